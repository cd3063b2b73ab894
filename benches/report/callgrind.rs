//! Counting instructions with valgrind's callgrind.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::Failure;

/// Valgrind, if it is installed.
pub(crate) struct Valgrind {
    pub(crate) version: String,
    out: PathBuf,
}

impl Valgrind {
    pub(crate) fn find() -> Option<Valgrind> {
        let said = Command::new("valgrind").arg("--version").output().ok()?;
        let version = String::from_utf8(said.stdout).ok()?;
        said.status.success().then(|| Valgrind {
            version: version.trim().to_owned(),
            out: Path::new(env!("CARGO_TARGET_TMPDIR")).join("callgrind"),
        })
    }

    /// Instructions per call or connection: what twice as many take more. What is done once, before
    /// and after, takes no part.
    pub(crate) fn each(&self, run: &str, count: u32) -> Result<f64, Failure> {
        let once = self.instructions(run, count)?;
        let twice = self.instructions(run, 2 * count)?;
        Ok((twice - once) / f64::from(count))
    }

    /// Instructions of the first thread of a fixed run.
    fn instructions(&self, run: &str, count: u32) -> Result<f64, Failure> {
        fs::create_dir_all(&self.out)?;
        let to = self.out.join(run);
        let first = self.out.join(format!("{run}-01"));
        remove(&first)?;
        let output = Command::new("valgrind")
            .args(["--tool=callgrind", "--quiet", "--fair-sched=yes"])
            .arg("--separate-threads=yes")
            .arg(format!("--callgrind-out-file={}", to.display()))
            .arg(std::env::current_exe()?)
            .args(["fixed", run, &count.to_string()])
            .stdin(Stdio::null())
            .output()?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(format!("{run} ended with {}: {}", output.status, said.trim()).into());
        }
        let counted = total(&fs::read_to_string(&first)?);
        counted.ok_or_else(|| format!("{} has no total", first.display()).into())
    }
}

fn remove(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn total(file: &str) -> Option<f64> {
    let total = file
        .lines()
        .find_map(|line| line.strip_prefix("totals: "))?;
    total.trim().parse().ok()
}
