//! Values as the recording program printed them: literals of Python.

/// A literal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Literal {
    Int(u64),
    /// Text and bytes.
    Raw(Vec<u8>),
    /// A list, or a tuple.
    List(Vec<Literal>),
    Map(Vec<(Literal, Literal)>),
}

impl Literal {
    /// The one literal that all of this text is.
    pub(crate) fn read(text: &str) -> Literal {
        let mut left = text.trim();
        let value = value(&mut left);
        assert!(left.trim().is_empty(), "behind a literal: {left}");
        value
    }

    pub(crate) fn raw(&self) -> &[u8] {
        match self {
            Literal::Raw(bytes) => bytes,
            other => panic!("no text: {other:?}"),
        }
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(self.raw()).into_owned()
    }

    pub(crate) fn list(&self) -> &[Literal] {
        match self {
            Literal::List(items) => items,
            other => panic!("no list: {other:?}"),
        }
    }

    /// The number.
    pub(crate) fn number(&self) -> u64 {
        match self {
            Literal::Int(number) => *number,
            other => panic!("no number: {other:?}"),
        }
    }

    /// The value under this key.
    pub(crate) fn at(&self, key: &str) -> &Literal {
        let Literal::Map(entries) = self else {
            panic!("no map: {self:?}")
        };
        let found = entries.iter().find(|(name, _)| name.text() == key);
        &found.unwrap_or_else(|| panic!("no {key} in {self:?}")).1
    }
}

fn value(left: &mut &str) -> Literal {
    *left = left.trim_start();
    match left.chars().next() {
        Some('[') => Literal::List(items(left, '[', ']')),
        Some('(') => Literal::List(items(left, '(', ')')),
        Some('{') => {
            let mut entries = Vec::new();
            eat(left, '{');
            while !ends(left, '}') {
                let key = value(left);
                *left = left.trim_start();
                eat(left, ':');
                entries.push((key, value(left)));
            }
            Literal::Map(entries)
        }
        Some('b') => {
            eat(left, 'b');
            quoted(left)
        }
        Some('\'' | '"') => quoted(left),
        _ => {
            let digits = left.len() - left.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let (number, rest) = left.split_at(digits);
            *left = rest;
            Literal::Int(number.parse().expect("a number"))
        }
    }
}

fn items(left: &mut &str, open: char, close: char) -> Vec<Literal> {
    eat(left, open);
    let mut items = Vec::new();
    while !ends(left, close) {
        items.push(value(left));
    }
    items
}

/// Passes the comma before another item, or the end.
fn ends(left: &mut &str, close: char) -> bool {
    *left = left.trim_start();
    if let Some(rest) = left.strip_prefix(',') {
        *left = rest.trim_start();
    }
    match left.strip_prefix(close) {
        Some(rest) => {
            *left = rest;
            true
        }
        None => false,
    }
}

fn eat(left: &mut &str, expected: char) {
    *left = left
        .strip_prefix(expected)
        .unwrap_or_else(|| panic!("{expected} expected at {left}"));
}

fn quoted(left: &mut &str) -> Literal {
    let mut chars = left.char_indices();
    let (_, quote) = chars.next().expect("a quote");
    let mut bytes = Vec::new();
    loop {
        let (at, next) = chars.next().expect("the other quote");
        match next {
            '\\' => match chars.next().expect("what is escaped").1 {
                'x' => {
                    let digits: String = chars.by_ref().take(2).map(|(_, digit)| digit).collect();
                    bytes.push(u8::from_str_radix(&digits, 16).expect("two digits"));
                }
                'n' => bytes.push(b'\n'),
                'r' => bytes.push(b'\r'),
                't' => bytes.push(b'\t'),
                plain => bytes.extend(plain.to_string().bytes()),
            },
            end if end == quote => {
                *left = &left[at + 1..];
                return Literal::Raw(bytes);
            }
            other => bytes.extend(other.to_string().bytes()),
        }
    }
}

#[test]
fn literals_are_read() {
    let read = Literal::read(r#"[('a\'b', 7), {"k'": b'\x00\n!'}, []]"#);
    assert_eq!(read.list()[0].list()[0].text(), "a'b");
    assert_eq!(read.list()[0].list()[1], Literal::Int(7));
    assert_eq!(read.list()[1].at("k'").raw(), b"\0\n!");
    assert_eq!(read.list()[2], Literal::List(Vec::new()));
}
