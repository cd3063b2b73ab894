//! `oneport validate` and `oneport settings`: what they print and how they end.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::{
    fs,
    process::{Command, Output},
};

fn oneport(dir: &tempfile::TempDir, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_oneport"));
    command.current_dir(dir.path()).args(args);
    command.output().unwrap()
}

fn dir(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(dir.path().join(name), text).unwrap();
    }
    dir
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn a_good_file_is_valid_and_what_is_not_used_is_listed() {
    let dir = dir(&[("a.json", r#"{"server": true, "datacenter": "dc2"}"#)]);
    let output = oneport(&dir, &["validate", "a.json"]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(text(&output.stdout), "Configuration is valid!\n");
    assert_eq!(
        text(&output.stderr),
        "warning: known to Consul and not used here: server (a.json:1:2)\n"
    );
}

#[test]
fn every_error_is_said_and_the_exit_code_is_2() {
    let dir = dir(&[
        ("a.json", r#"{"datacenter": 1}"#),
        ("b.toml", "node_nam = \"x\"\n"),
    ]);
    let output = oneport(&dir, &["validate", "a.json", "b.toml"]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(text(&output.stdout), "");
    assert_eq!(
        text(&output.stderr),
        "error: a.json:1:16: datacenter is 1, but it must be 1 to 128 of a-z, A-Z, 0-9, - and _\n\
         error: b.toml:1:1: there is no setting node_nam; did you mean node_name?\n"
    );
    // The agent reads the same files and refuses them alike.
    let args = [
        "agent",
        "--dev",
        "--config-file",
        "a.json",
        "--config-file",
        "b.toml",
    ];
    let agent = oneport(&dir, &args);
    assert_eq!(agent.status.code(), Some(2));
    assert_eq!(agent.stderr, output.stderr);
}

#[test]
fn the_page_is_printed() {
    let dir = dir(&[]);
    let page = oneport(&dir, &["settings", "--markdown"]);
    assert!(text(&page.stdout).starts_with("# Settings\n"));
    let plain = oneport(&dir, &["settings"]);
    assert!(text(&plain.stdout).contains("limits.rpc_max_conns_per_client  "));
}
