//! The examples end by themselves, and print what the README says.
//!
//! They are built with the tests: `cargo test`, or `cargo build --examples` before this file alone.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::{env, path::PathBuf, process::Command};

const README: &str = include_str!("../README.md");

/// Runs an example to its end.
fn run(name: &str) -> String {
    let program = program(name);
    let output = Command::new(&program).output();
    let output = output.unwrap_or_else(|error| {
        panic!(
            "{}: {error}; `cargo build --examples` makes it",
            program.display()
        )
    });
    let text = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {text}{errors}");
    text
}

/// Examples are beside the folder of the tests.
fn program(name: &str) -> PathBuf {
    let mut path = env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.push("examples");
    path.push(format!("{name}{}", env::consts::EXE_SUFFIX));
    path
}

/// What the README shows as the output of an example.
fn shown(name: &str) -> &'static str {
    let command = format!("cargo run -q --example {name}\n```\n\n```text\n");
    let (_, rest) = README
        .split_once(&command)
        .unwrap_or_else(|| panic!("README.md shows no output of {name}"));
    rest.split_once("```").unwrap().0
}

#[test]
fn host_layer_prints_what_the_readme_says() {
    assert_eq!(run("host_layer"), shown("host_layer"));
}

#[test]
fn host_protocol_prints_what_the_readme_says() {
    assert_eq!(run("host_protocol"), shown("host_protocol"));
}

#[test]
fn tonic_only_prints_what_the_readme_says() {
    assert_eq!(run("tonic_only"), shown("tonic_only"));
}
