//! Contents given on the command line: in place, from a file or from stdin.

use std::{
    fs,
    io::{self, Read},
    path::PathBuf,
};

use bytes::Bytes;

use super::exit::{Exit, Failure};

/// Contents that are given in place, as `@file`, or as `-` for stdin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Here(String),
    File(PathBuf),
    Stdin,
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        match text.strip_prefix('@') {
            Some(path) => Value::File(path.into()),
            None if text == "-" => Value::Stdin,
            None => Value::Here(text),
        }
    }
}

impl Value {
    /// The contents. `what` is the argument's name, for errors.
    pub(super) fn read(self, what: &str) -> Result<Bytes, Failure> {
        match self {
            Value::Here(text) => Ok(text.into()),
            Value::File(path) => fs::read(&path).map(Bytes::from).map_err(|error| {
                let message = format!("{what}: cannot read {}: {error}", path.display());
                Failure::new(Exit::Usage, message)
            }),
            Value::Stdin => {
                let mut bytes = Vec::new();
                let read = io::stdin().lock().read_to_end(&mut bytes);
                read.map_err(|error| {
                    Failure::new(Exit::Usage, format!("{what}: cannot read stdin: {error}"))
                })?;
                Ok(bytes.into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_says_where_the_contents_are() {
        assert_eq!(Value::from("a@b".to_owned()), Value::Here("a@b".into()));
        assert_eq!(Value::from("@a".to_owned()), Value::File("a".into()));
        assert_eq!(Value::from("-".to_owned()), Value::Stdin);
        assert_eq!(Value::from("-1".to_owned()), Value::Here("-1".into()));
    }

    #[test]
    fn a_missing_file_is_named() {
        let failure = Value::File("/nowhere/at all".into())
            .read("VALUE")
            .unwrap_err();
        assert_eq!(failure.exit(), Exit::Usage);
        let message = failure.message();
        assert!(
            message.starts_with("VALUE: cannot read /nowhere/at all: "),
            "{message}"
        );
    }
}
