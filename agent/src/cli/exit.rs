//! How a command ends.

use std::{
    fmt::Write as _,
    io::{self, Write},
    process::ExitCode,
};

/// The exit codes of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done,
    /// The server answered with an error.
    Refused,
    /// Bad usage, a bad setting or a local file that cannot be read or written.
    Usage,
    /// No connection: cannot listen, cannot connect, or it broke.
    Unreachable,
    /// No such key, or a condition did not hold.
    Missed,
    /// No answer in time.
    Late,
}

impl Exit {
    /// All of them.
    pub const ALL: [Exit; 6] = [
        Exit::Done,
        Exit::Refused,
        Exit::Usage,
        Exit::Unreachable,
        Exit::Missed,
        Exit::Late,
    ];

    /// The number that the process ends with.
    pub fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Refused => 1,
            Exit::Usage => 2,
            Exit::Unreachable => 3,
            Exit::Missed => 4,
            Exit::Late => 5,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        exit.code().into()
    }
}

/// Why a command did not do what it was asked to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Failure {
    exit: Exit,
    message: String,
}

impl Failure {
    /// Several things that happened.
    pub(super) fn all(exit: Exit, lines: &[String]) -> Failure {
        Failure::new(exit, lines.join("\nerror: "))
    }

    pub(super) fn new(exit: Exit, message: impl Into<String>) -> Failure {
        Failure {
            exit,
            message: message.into(),
        }
    }

    /// With everything that was said already.
    pub(super) fn quiet(exit: Exit) -> Failure {
        Failure::new(exit, "")
    }

    /// An error and what caused it, as one line.
    pub(super) fn caused(exit: Exit, error: &dyn std::error::Error) -> Failure {
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            // Writing to a string cannot fail.
            let _ = write!(message, ": {error}");
            cause = error.source();
        }
        Failure::new(exit, message)
    }

    /// With what it is about before it.
    #[must_use]
    pub(super) fn about(self, what: &str) -> Failure {
        Failure::new(self.exit, format!("{what}: {}", self.message))
    }

    /// Everything that happened, each by itself.
    pub(super) fn lines(&self) -> Vec<String> {
        let lines = self.message.split("\nerror: ");
        lines.map(str::to_owned).collect()
    }

    pub(super) fn exit(&self) -> Exit {
        self.exit
    }

    pub(super) fn message(&self) -> &str {
        &self.message
    }

    /// Says what happened and gives the exit code.
    pub(super) fn report(self) -> ExitCode {
        if !self.message.is_empty() {
            // A closed stderr has nobody to tell.
            let _closed = writeln!(io::stderr(), "error: {}", self.message);
        }
        self.exit.into()
    }
}
