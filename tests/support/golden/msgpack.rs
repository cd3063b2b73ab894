//! A msgpack of the tests' own, so that a mistake in the product's codec
//! cannot hide itself. It reads what Consul writes and writes as Consul does:
//! the old raw type for text and bytes, every length and number in its
//! shortest form, keys in the order given.

use std::fmt;

/// A value as it lies on the wire. Text and bytes are one type there.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Nil,
    Bool(bool),
    /// Zero and above.
    UInt(u64),
    /// Below zero.
    Int(i64),
    Raw(Vec<u8>),
    Array(Vec<Value>),
    Map(Vec<(Value, Value)>),
}

/// Why bytes are no value.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Bad {
    /// More bytes are needed.
    Short,
    /// A byte that this dialect does not know.
    Marker(u8),
}

/// One value, and what lies behind it.
pub(crate) fn decode(bytes: &[u8]) -> Result<(Value, &[u8]), Bad> {
    let mut left = bytes;
    let value = read(&mut left)?;
    Ok((value, left))
}

/// A header and a body: what one request or one reply consists of.
pub(crate) fn decode_pair(bytes: &[u8]) -> Result<(Value, Value, &[u8]), Bad> {
    let (header, rest) = decode(bytes)?;
    let (body, rest) = decode(rest)?;
    Ok((header, body, rest))
}

fn take<'a>(left: &mut &'a [u8], n: usize) -> Result<&'a [u8], Bad> {
    let (taken, rest) = left.split_at_checked(n).ok_or(Bad::Short)?;
    *left = rest;
    Ok(taken)
}

/// A big-endian number of `n` bytes.
fn number(left: &mut &[u8], n: usize) -> Result<u64, Bad> {
    Ok(take(left, n)?
        .iter()
        .fold(0, |sum, byte| (sum << 8) | u64::from(*byte)))
}

fn length(left: &mut &[u8], n: usize) -> Result<usize, Bad> {
    usize::try_from(number(left, n)?).map_err(|_| Bad::Short)
}

fn signed(value: i64) -> Value {
    u64::try_from(value).map_or(Value::Int(value), Value::UInt)
}

fn read(left: &mut &[u8]) -> Result<Value, Bad> {
    let marker = take(left, 1)?[0];
    Ok(match marker {
        0x00..=0x7f => Value::UInt(u64::from(marker)),
        0x80..=0x8f => map(left, usize::from(marker & 0x0f))?,
        0x90..=0x9f => array(left, usize::from(marker & 0x0f))?,
        0xa0..=0xbf => Value::Raw(take(left, usize::from(marker & 0x1f))?.to_vec()),
        0xc0 => Value::Nil,
        0xc2 | 0xc3 => Value::Bool(marker == 0xc3),
        0xcc => Value::UInt(number(left, 1)?),
        0xcd => Value::UInt(number(left, 2)?),
        0xce => Value::UInt(number(left, 4)?),
        0xcf => Value::UInt(number(left, 8)?),
        0xd0 => signed(i64::from(i8::from_be_bytes([take(left, 1)?[0]]))),
        0xd1 => signed(i64::from(i16::from_be_bytes(fixed(take(left, 2)?)))),
        0xd2 => signed(i64::from(i32::from_be_bytes(fixed(take(left, 4)?)))),
        0xd3 => signed(i64::from_be_bytes(fixed(take(left, 8)?))),
        0xc4 | 0xd9 => raw(left, 1)?,
        0xc5 | 0xda => raw(left, 2)?,
        0xc6 | 0xdb => raw(left, 4)?,
        0xdc => {
            let n = length(left, 2)?;
            array(left, n)?
        }
        0xdd => {
            let n = length(left, 4)?;
            array(left, n)?
        }
        0xde => {
            let n = length(left, 2)?;
            map(left, n)?
        }
        0xdf => {
            let n = length(left, 4)?;
            map(left, n)?
        }
        0xe0..=0xff => signed(i64::from(i8::from_be_bytes([marker]))),
        other => return Err(Bad::Marker(other)),
    })
}

fn fixed<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().expect("the caller took N bytes")
}

fn raw(left: &mut &[u8], width: usize) -> Result<Value, Bad> {
    let n = length(left, width)?;
    Ok(Value::Raw(take(left, n)?.to_vec()))
}

fn array(left: &mut &[u8], n: usize) -> Result<Value, Bad> {
    (0..n)
        .map(|_| read(left))
        .collect::<Result<_, _>>()
        .map(Value::Array)
}

fn map(left: &mut &[u8], n: usize) -> Result<Value, Bad> {
    (0..n)
        .map(|_| Ok((read(left)?, read(left)?)))
        .collect::<Result<_, _>>()
        .map(Value::Map)
}

impl Value {
    /// As Consul writes it.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Value::Nil => out.push(0xc0),
            Value::Bool(value) => out.push(if *value { 0xc3 } else { 0xc2 }),
            Value::UInt(value) => match *value {
                n @ 0..=0x7f => out.extend(low_bytes(n, 1)),
                n @ 0x80..=0xff => head(out, 0xcc, n, 1),
                n @ 0x100..=0xffff => head(out, 0xcd, n, 2),
                n @ 0x1_0000..=0xffff_ffff => head(out, 0xce, n, 4),
                n => head(out, 0xcf, n, 8),
            },
            Value::Int(value) => {
                let bits = u64::from_be_bytes(value.to_be_bytes());
                match *value {
                    -0x20.. => out.extend(low_bytes(bits, 1)),
                    -0x80.. => head(out, 0xd0, bits, 1),
                    -0x8000.. => head(out, 0xd1, bits, 2),
                    -0x8000_0000.. => head(out, 0xd2, bits, 4),
                    _ => head(out, 0xd3, bits, 8),
                }
            }
            Value::Raw(bytes) => {
                sized(out, bytes.len(), (0xa0, 31), 0xda, 0xdb);
                out.extend_from_slice(bytes);
            }
            Value::Array(items) => {
                sized(out, items.len(), (0x90, 15), 0xdc, 0xdd);
                items.iter().for_each(|item| item.write(out));
            }
            Value::Map(entries) => {
                sized(out, entries.len(), (0x80, 15), 0xde, 0xdf);
                for (key, value) in entries {
                    key.write(out);
                    value.write(out);
                }
            }
        }
    }

    /// The value under a path like `Entries[0].ModifyIndex`; the empty path is
    /// the value itself.
    pub(crate) fn at(&self, path: &str) -> Option<&Value> {
        let mut here = self;
        for step in steps(path) {
            here = match (step, here) {
                (Step::Key(key), Value::Map(entries)) => {
                    &entries.iter().find(|(name, _)| name.is_text(key))?.1
                }
                (Step::Item(n), Value::Array(items)) => items.get(n)?,
                _ => return None,
            };
        }
        Some(here)
    }

    /// The same, to change it.
    pub(crate) fn at_mut(&mut self, path: &str) -> Option<&mut Value> {
        let mut here = self;
        for step in steps(path) {
            here = match (step, here) {
                (Step::Key(key), Value::Map(entries)) => {
                    &mut entries.iter_mut().find(|(name, _)| name.is_text(key))?.1
                }
                (Step::Item(n), Value::Array(items)) => items.get_mut(n)?,
                _ => return None,
            };
        }
        Some(here)
    }

    /// The number, if it is one that is not negative.
    pub(crate) fn as_u64(&self) -> Option<u64> {
        match self {
            Value::UInt(value) => Some(*value),
            _ => None,
        }
    }

    pub(crate) fn is_text(&self, text: &str) -> bool {
        matches!(self, Value::Raw(bytes) if bytes == text.as_bytes())
    }
}

enum Step<'a> {
    Key(&'a str),
    Item(usize),
}

fn steps(path: &str) -> impl Iterator<Item = Step<'_>> {
    path.split(['.', '['])
        .filter(|part| !part.is_empty())
        .map(|part| match part.strip_suffix(']') {
            Some(n) => Step::Item(n.parse().expect("a number between brackets")),
            None => Step::Key(part),
        })
}

/// The last `n` bytes of a number.
fn low_bytes(value: u64, n: usize) -> impl Iterator<Item = u8> {
    value.to_be_bytes().into_iter().skip(8 - n)
}

fn head(out: &mut Vec<u8>, marker: u8, value: u64, width: usize) {
    out.push(marker);
    out.extend(low_bytes(value, width));
}

/// A length in its shortest form: inside the marker, two bytes, or four.
fn sized(out: &mut Vec<u8>, n: usize, (fixed, most): (u8, usize), two: u8, four: u8) {
    let value = u64::try_from(n).expect("a length fits into 64 bits");
    if n <= most {
        out.push(fixed | u8::try_from(n).expect("at most 31"));
    } else if n <= 0xffff {
        head(out, two, value, 2);
    } else {
        head(out, four, value, 4);
    }
}

/// Nearly JSON, for messages; long things are cut.
impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Nil => f.write_str("nil"),
            Value::Bool(value) => write!(f, "{value}"),
            Value::UInt(value) => write!(f, "{value}"),
            Value::Int(value) => write!(f, "{value}"),
            Value::Raw(bytes) if bytes.len() > 80 => {
                write!(
                    f,
                    "\"{}…\" ({} bytes)",
                    bytes[..40].escape_ascii(),
                    bytes.len()
                )
            }
            Value::Raw(bytes) => write!(f, "\"{}\"", bytes.escape_ascii()),
            Value::Array(items) => f.debug_list().entries(items).finish(),
            Value::Map(entries) => f
                .debug_map()
                .entries(entries.iter().map(|(k, v)| (k, v)))
                .finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn both_ways(value: Value, bytes: &[u8]) {
        assert_eq!(value.encode(), bytes);
        assert_eq!(decode(bytes), Ok((value, &[][..])));
    }

    #[test]
    fn numbers_take_their_shortest_form() {
        both_ways(Value::UInt(0), &[0]);
        both_ways(Value::UInt(127), &[0x7f]);
        both_ways(Value::UInt(128), &[0xcc, 0x80]);
        both_ways(Value::UInt(256), &[0xcd, 1, 0]);
        both_ways(Value::UInt(65536), &[0xce, 0, 1, 0, 0]);
        both_ways(
            Value::UInt(u64::MAX),
            &[0xcf, 255, 255, 255, 255, 255, 255, 255, 255],
        );
        both_ways(Value::Int(-1), &[0xff]);
        both_ways(Value::Int(-32), &[0xe0]);
        both_ways(Value::Int(-33), &[0xd0, 0xdf]);
        both_ways(Value::Int(-129), &[0xd1, 0xff, 0x7f]);
        both_ways(Value::Int(-32769), &[0xd2, 0xff, 0xff, 0x7f, 0xff]);
        both_ways(Value::Int(i64::MIN), &[0xd3, 0x80, 0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn text_is_raw_and_never_str8() {
        both_ways(
            Value::Raw(vec![b'a'; 31]),
            &[&[0xbf][..], &[b'a'; 31]].concat(),
        );
        both_ways(
            Value::Raw(vec![b'a'; 32]),
            &[&[0xda, 0, 32][..], &[b'a'; 32]].concat(),
        );
        let str8 = [&[0xd9, 32][..], &[b'a'; 32]].concat();
        let (value, _) = decode(&str8).expect("str8 is read");
        assert_ne!(value.encode(), str8);
    }

    #[test]
    fn paths_lead_into_maps_and_lists() {
        let entry = Value::Map(vec![(Value::Raw(b"ModifyIndex".to_vec()), Value::UInt(7))]);
        let mut reply = Value::Map(vec![(
            Value::Raw(b"Entries".to_vec()),
            Value::Array(vec![entry]),
        )]);
        assert_eq!(reply.at("Entries[0].ModifyIndex"), Some(&Value::UInt(7)));
        assert_eq!(reply.at("Entries[1].ModifyIndex"), None);
        assert_eq!(reply.at(""), Some(&reply.clone()));
        *reply.at_mut("Entries[0].ModifyIndex").expect("it is there") = Value::UInt(300);
        assert_eq!(
            reply.at("Entries[0].ModifyIndex").and_then(Value::as_u64),
            Some(300)
        );
    }

    #[test]
    fn a_cut_value_is_short() {
        for n in 0..4 {
            assert_eq!(decode(&[0x92, 0xcd, 1, 2, 0xc0][..n]), Err(Bad::Short));
        }
        assert_eq!(decode(&[0xc1]), Err(Bad::Marker(0xc1)));
    }
}
