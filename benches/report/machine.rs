//! The machine and the versions that figures belong to.

use std::{fs, process::Command};

/// Facts, each with its name.
pub(crate) fn facts() -> Vec<(&'static str, String)> {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    vec![
        ("CPU", format!("{}, {cores} logical", cpu())),
        ("Memory", memory()),
        ("Kernel", read("/proc/sys/kernel/osrelease")),
        ("Others", load()),
        ("Rust", said("rustc", &["--version"])),
        ("Go", said("go", &["version"])),
    ]
}

fn cpu() -> String {
    field("/proc/cpuinfo", "model name")
}

/// How much else there was to do: figures of a busy machine wobble.
fn load() -> String {
    let text = read("/proc/loadavg");
    let minute = text.split(' ').next().unwrap_or("unknown");
    format!("load average {minute} in the minute before measuring")
}

fn memory() -> String {
    let text = field("/proc/meminfo", "MemTotal");
    let kib: Option<u64> = text.split(' ').next().and_then(|kib| kib.parse().ok());
    kib.map_or(text, |kib| format!("{} MiB", kib / 1024))
}

fn field(file: &str, name: &str) -> String {
    let text = read(file);
    let line = text.lines().find(|line| line.starts_with(name));
    let value = line.and_then(|line| line.split_once(':'));
    value.map_or("unknown".into(), |(_, value)| value.trim().to_owned())
}

fn read(file: &str) -> String {
    let text = fs::read_to_string(file).unwrap_or_else(|_| "unknown".into());
    text.trim().to_owned()
}

fn said(program: &str, args: &[&str]) -> String {
    let Ok(output) = Command::new(program).args(args).output() else {
        return "not installed".into();
    };
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
