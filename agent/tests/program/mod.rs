//! The program as a child, and an agent of its own to talk to.

#![allow(
    dead_code,
    reason = "every test file is a crate of its own and uses a part"
)]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, ChildStdout, Command, Output, Stdio},
};

use serde_json::Value;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_oneport");

/// A server at a port that the kernel chose; killed when it is dropped.
pub(crate) struct Agent {
    pub(crate) child: Child,
    pub(crate) stdout: BufReader<ChildStdout>,
    pub(crate) addr: String,
    pub(crate) greeting: Vec<String>,
}

impl Agent {
    pub(crate) fn start() -> Agent {
        let mut child = Command::new(PROGRAM)
            .args(["agent", "--dev", "--server-port", "0", "--node", "n1"])
            .args(["--log-level", "warn"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut greeting = Vec::new();
        // The last row of the table ends the greeting.
        while !greeting
            .iter()
            .any(|line: &String| line.starts_with("0x08"))
        {
            let mut line = String::new();
            assert!(stdout.read_line(&mut line).unwrap() > 0, "{greeting:?}");
            greeting.push(line.trim_end().to_owned());
        }
        let addr = greeting[1]
            .strip_prefix("listening on ")
            .unwrap()
            .to_owned();
        Agent {
            child,
            stdout,
            addr,
            greeting,
        }
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(args).env("ONEPORT_ADDR", &self.addr);
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Ended {
        Ended::from(self.command(args).output().unwrap())
    }

    pub(crate) fn signal(&self, name: &str) {
        signal(&self.child, name);
    }

    /// Waits for the end and gives the exit code and the rest of stdout.
    pub(crate) fn ended(&mut self) -> (Option<i32>, String) {
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap().code(), rest)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // It may have ended long ago.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

pub(crate) fn signal(child: &Child, name: &str) {
    let id = child.id().to_string();
    let sent = Command::new("kill").args([name, &id]).status().unwrap();
    assert!(sent.success());
}

pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) out: Vec<u8>,
    pub(crate) err: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Ended {
        Ended {
            code: output.status.code().unwrap(),
            out: output.stdout,
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Ended {
    pub(crate) fn json(&self) -> Value {
        assert_eq!((self.code, self.err.as_str()), (0, ""));
        serde_json::from_slice(&self.out).unwrap()
    }

    pub(crate) fn fails(&self, code: i32, text: &str) {
        assert_eq!(self.code, code, "{}", self.err);
        assert!(self.err.contains(text), "{}", self.err);
    }
}

pub(crate) fn alone(args: &[&str]) -> Ended {
    let mut command = Command::new(PROGRAM);
    command.args(args).env_remove("ONEPORT_ADDR");
    Ended::from(command.output().unwrap())
}
