//! What was seen of one side: everything that has to be equal, and nothing else.

use std::collections::BTreeMap;
use std::fmt;

use crate::matrix::answer::End;
use crate::matrix::msgpack;

/// What came over one connection.
#[derive(Clone, Debug)]
pub(crate) struct Sight {
    /// By stream. A plain connection is one line, of number 0.
    pub(crate) lines: BTreeMap<u32, Line>,
    /// What is said to the whole yamux session: answers to pings, go-aways, and what is no frame.
    pub(crate) session: Vec<String>,
    pub(crate) end: End,
}

/// What came over one stream, or over a plain connection.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// A stream's acknowledgement; which frame carries it is the sender's affair.
    pub(crate) acked: bool,
    pub(crate) data: Vec<u8>,
    /// The sizes of its data frames.
    pub(crate) sizes: Vec<u32>,
    pub(crate) end: End,
    /// What no Consul sends.
    pub(crate) odd: Vec<String>,
}

impl Line {
    pub(crate) fn new() -> Line {
        Line {
            acked: false,
            data: Vec::new(),
            sizes: Vec::new(),
            end: End::Open,
            odd: Vec::new(),
        }
    }

    /// The texts of its replies that are errors.
    pub(crate) fn errors(&self) -> Vec<String> {
        let mut errors = Vec::new();
        let mut left = &self.data[..];
        while let Ok((header, _, rest)) = msgpack::decode_pair(left) {
            if let Some(msgpack::Value::Raw(text)) = header.at("Error") {
                errors.push(String::from_utf8_lossy(text).into_owned());
            }
            left = rest;
        }
        errors.retain(|text| !text.is_empty());
        errors
    }
}

impl Sight {
    pub(crate) fn is_silent(&self) -> bool {
        self.lines.values().all(|line| line.data.is_empty())
    }

    pub(crate) fn errors(&self) -> Vec<String> {
        self.lines.values().flat_map(Line::errors).collect()
    }

    pub(crate) fn says(&self, word: &str) -> bool {
        self.session.iter().any(|said| said == word)
    }
}

impl fmt::Display for Sight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, line) in &self.lines {
            if self.lines.len() > 1 || *number > 0 {
                write!(f, "stream {number}: ")?;
            }
            writeln!(f, "{line}")?;
        }
        for said in &self.session {
            writeln!(f, "session: {said}")?;
        }
        write!(f, "connection: {:?}", self.end)
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.acked {
            f.write_str("acknowledged, ")?;
        }
        for odd in &self.odd {
            write!(f, "{odd}, ")?;
        }
        write!(f, "{:?}, {} bytes", self.end, self.data.len())?;
        let mut left = &self.data[..];
        while !left.is_empty() {
            match msgpack::decode_pair(left) {
                Ok((header, body, rest)) => {
                    write!(f, "\n      {header:?}\n        {body:?}")?;
                    left = rest;
                }
                Err(bad) => {
                    write!(f, "\n      no reply ({bad:?})")?;
                    break;
                }
            }
        }
        if !self.data.is_empty() {
            f.write_str("\n      hex ")?;
            let shown = &self.data[..self.data.len().min(HEX)];
            shown.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
            if self.data.len() > HEX {
                f.write_str("…")?;
            }
        }
        Ok(())
    }
}

/// So many bytes are shown in hex.
const HEX: usize = 400;
