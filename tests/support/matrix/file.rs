//! The files: which cases there are, and the lines of each.

use std::path::Path;

/// What the lines of a case look like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Form {
    /// `EOF after 0ms, received 0 bytes:`
    Port,
    /// `110 connections tried: open=98 closed=12 …`
    Limit,
    /// `30.0s 0002…`
    Times,
    /// `s2c DATA flags=- stream=1 len=40 83a5…`
    Frames,
    /// The sizes of data frames.
    Sizes,
    /// `closed(FIN) | b'\x83…'`
    Bytes,
    /// `still-open [('', 1, '{}')]`
    Tuples,
    /// The headers alone, one a line.
    Heads,
    /// Annotated, with a JSON line for each value.
    Json,
    /// Of another protocol.
    Foreign,
}

/// One recorded case.
#[derive(Debug)]
pub(crate) struct Recording {
    pub(crate) file: &'static str,
    pub(crate) name: String,
    pub(crate) form: Form,
    pub(crate) lines: Vec<String>,
}

/// The files, in the order in which they are made again.
pub(crate) const FILES: &[&str] = &[
    "consul-1.13/mux-first-bytes-plain.txt",
    "consul-1.13/mux-timeouts.txt",
    "consul-1.13/mux-connlimit.txt",
    "consul-1.13/mux-yamux-keepalive.txt",
    "consul-1.13/mux-yamux-netrpc-snapshot.txt",
    "consul-1.10/mux-msgpack-leniency.txt",
    "consul-1.10/mux-netrpc-rules.txt",
    "consul-1.10/mux-yamux-rules.txt",
];

/// The names of all recorded matrices on disk.
pub(crate) fn on_disk() -> Vec<String> {
    let mut found = Vec::new();
    for version in ["consul-1.10", "consul-1.13"] {
        for entry in folder().join(version).read_dir().expect("a folder") {
            let name = entry.expect("an entry").file_name();
            let name = name.to_str().expect("a plain name");
            if name.starts_with("mux-") {
                found.push(format!("{version}/{name}"));
            }
        }
    }
    found
}

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden"))
}

/// All cases of a file.
pub(crate) fn read(file: &'static str) -> Vec<Recording> {
    let path = folder().join(file);
    let text =
        std::fs::read_to_string(&path).unwrap_or_else(|err| panic!("{}: {err}", path.display()));
    let mut found = Reader {
        file,
        section: String::new(),
        found: Vec::new(),
    };
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        found.line(line);
    }
    found.found
}

struct Reader {
    file: &'static str,
    /// The last line that was not indented.
    section: String,
    found: Vec<Recording>,
}

impl Reader {
    fn line(&mut self, line: &str) {
        let indented = line.starts_with(' ');
        let text = line.trim();
        if !indented {
            text.clone_into(&mut self.section);
        }
        match self.file {
            "consul-1.13/mux-first-bytes-plain.txt" | "consul-1.13/mux-timeouts.txt" => {
                if indented {
                    self.port(text);
                }
            }
            "consul-1.13/mux-connlimit.txt" => {
                if indented {
                    self.more(text);
                } else {
                    let (name, rest) = text.split_once(": ").expect("a name and a result");
                    self.case(name, Form::Limit, rest);
                }
            }
            "consul-1.13/mux-yamux-keepalive.txt" => match text.split_once(' ') {
                Some((time, _)) if time.ends_with('s') && time.starts_with(char::is_numeric) => {
                    self.more(text);
                }
                _ => self.begin(text, Form::Times),
            },
            "consul-1.10/mux-msgpack-leniency.txt" => {
                let (name, rest) = text.split_once(" | ").expect("a name and a result");
                self.case(name, Form::Bytes, rest);
            }
            "consul-1.10/mux-netrpc-rules.txt" => {
                match (indented, text.starts_with("pipelining")) {
                    (true, _) => self.more(text),
                    (false, true) => self.begin(text, Form::Heads),
                    (false, false) => self.begin(text, Form::Json),
                }
            }
            _ => self.rules(text, indented),
        }
    }

    /// The files with several protocols.
    fn rules(&mut self, text: &str, indented: bool) {
        if let Some(name) = text.strip_prefix("== ") {
            let large = name.starts_with("large response");
            self.begin(name, if large { Form::Sizes } else { Form::Frames });
            return;
        }
        let foreign = self.section.starts_with("gRPC") || self.section.starts_with("external gRPC");
        match self.section.as_str() {
            "net/rpc rules" if indented => self.tuples(text),
            "snapshot (byte 5)" if indented => {
                let (name, rest) = text.split_once(" {").expect("a name and a reply");
                self.case(&format!("snapshot: {name}"), Form::Foreign, rest);
            }
            _ if indented => self.more(text),
            _ if foreign => self.begin(text, Form::Foreign),
            "yamux rules" | "net/rpc rules" | "snapshot (byte 5)" => {}
            other => panic!("{}: what is {other}?", self.file),
        }
    }

    /// A range of bytes, each a case, or a name and a result.
    fn port(&mut self, text: &str) {
        let named = text.split_once(" -> ").or_else(|| text.split_once("  "));
        if let Some((range, rest)) = text.split_once(" : ") {
            let byte = |text: &str| {
                let digits = text.strip_prefix("0x").expect("a byte");
                u8::from_str_radix(digits, 16).expect("a byte")
            };
            let (first, last) = range.split_once("..").expect("a range");
            for byte in byte(first)..=byte(last) {
                self.case(&format!("0x{byte:02x}"), Form::Port, rest);
            }
        } else {
            let (name, rest) = named.expect("a name and a result");
            self.case(name, Form::Port, rest.trim());
        }
    }

    fn tuples(&mut self, text: &str) {
        if let Some(head) = text.strip_prefix("pipelined reply ") {
            if self
                .found
                .last()
                .is_none_or(|last| last.form != Form::Heads)
            {
                self.begin("pipelined reply", Form::Heads);
            }
            self.more(head);
            return;
        }
        let at = text
            .find(" still-open ")
            .or_else(|| text.find(" EOF(FIN) "))
            .expect("an end");
        self.case(text[..at].trim(), Form::Tuples, text[at..].trim());
    }

    fn begin(&mut self, name: &str, form: Form) {
        self.found.push(Recording {
            file: self.file,
            name: name.trim_end_matches(':').to_owned(),
            form,
            lines: Vec::new(),
        });
    }

    fn more(&mut self, line: &str) {
        let last = self.found.last_mut().expect("a case before its lines");
        last.lines.push(line.to_owned());
    }

    fn case(&mut self, name: &str, form: Form, line: &str) {
        self.begin(name, form);
        self.more(line);
    }
}
