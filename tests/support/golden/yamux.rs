//! As much yamux as a replay needs: reading frames and swapping a request.

use super::msgpack::Bad;

pub(crate) const HEADER: usize = 12;
pub(crate) const DATA: u8 = 0;
pub(crate) const FIN: u16 = 4;
const RST: u16 = 8;

/// A frame's header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Head {
    pub(crate) kind: u8,
    pub(crate) flags: u16,
    pub(crate) stream: u32,
    pub(crate) length: u32,
}

impl Head {
    /// Reads a header, and what follows it if the frame carries data.
    pub(crate) fn split(bytes: &[u8]) -> Result<(Head, &[u8], &[u8]), Bad> {
        let (head, rest) = bytes.split_first_chunk::<HEADER>().ok_or(Bad::Short)?;
        let [version, kind, f0, f1, s0, s1, s2, s3, l0, l1, l2, l3] = *head;
        if version != 0 || kind > 3 {
            return Err(Bad::Marker(if version != 0 { version } else { kind }));
        }
        let head = Head {
            kind,
            flags: u16::from_be_bytes([f0, f1]),
            stream: u32::from_be_bytes([s0, s1, s2, s3]),
            length: u32::from_be_bytes([l0, l1, l2, l3]),
        };
        let carried = if kind == DATA {
            usize::try_from(head.length).map_err(|_| Bad::Short)?
        } else {
            0
        };
        let (data, rest) = rest.split_at_checked(carried).ok_or(Bad::Short)?;
        Ok((head, data, rest))
    }

    pub(crate) fn write(self, out: &mut Vec<u8>) {
        out.extend([0, self.kind]);
        out.extend(self.flags.to_be_bytes());
        out.extend(self.stream.to_be_bytes());
        out.extend(self.length.to_be_bytes());
    }

    fn ends_stream(self) -> bool {
        self.flags & (FIN | RST) != 0
    }
}

/// What a server did on a session. How it cut its data into frames is its own
/// affair, so the data of neighbouring frames is one event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Event {
    Control(Head),
    Data {
        stream: u32,
        flags: u16,
        bytes: Vec<u8>,
    },
}

/// Reads whole frames from the front; what is left is a frame not yet whole.
pub(crate) fn take_events<'a>(
    mut bytes: &'a [u8],
    events: &mut Vec<Event>,
) -> Result<&'a [u8], String> {
    loop {
        let (head, data, rest) = match Head::split(bytes) {
            Ok(frame) => frame,
            Err(Bad::Short) => return Ok(bytes),
            Err(Bad::Marker(byte)) => {
                return Err(format!("no yamux frame begins with version or type {byte}"));
            }
        };
        bytes = rest;
        match (head.kind, events.last_mut()) {
            (
                DATA,
                Some(Event::Data {
                    stream,
                    flags,
                    bytes,
                }),
            ) if *stream == head.stream && *flags == head.flags => {
                bytes.extend_from_slice(data);
            }
            (DATA, _) => {
                events.push(Event::Data {
                    stream: head.stream,
                    flags: head.flags,
                    bytes: data.to_vec(),
                });
            }
            _ => events.push(Event::Control(head)),
        }
    }
}

/// All frames of a recording.
pub(crate) fn events(bytes: &[u8]) -> Result<Vec<Event>, String> {
    let mut events = Vec::new();
    match take_events(bytes, &mut events)? {
        [] => Ok(events),
        rest => Err(format!("{} bytes behind the last whole frame", rest.len())),
    }
}

/// All data of a session, joined.
pub(crate) fn payload(events: &[Event]) -> Vec<u8> {
    events
        .iter()
        .filter_map(|event| match event {
            Event::Data { bytes, .. } => Some(&bytes[..]),
            Event::Control(_) => None,
        })
        .collect::<Vec<_>>()
        .concat()
}

/// Whether the server has closed or reset a stream.
pub(crate) fn stream_ended(events: &[Event]) -> bool {
    events.iter().any(|event| match event {
        Event::Control(head) => head.ends_stream(),
        Event::Data { flags, .. } => flags & (FIN | RST) != 0,
    })
}

/// The recorded bytes of a client, cut before the frame that closes the stream:
/// the recorded client sent that one after the reply. `request`, if there is
/// one, takes the place of the recorded request.
pub(crate) fn client_bytes(
    sent: &[u8],
    request: Option<&[u8]>,
) -> Result<(Vec<u8>, Vec<u8>), String> {
    let (mode, mut left) = sent.split_first().ok_or("nothing was sent")?;
    let mut opening = vec![*mode];
    let mut request = request;
    while !left.is_empty() {
        let (mut head, data, rest) =
            Head::split(left).map_err(|err| format!("client frames: {err:?}"))?;
        if head.ends_stream() {
            return Ok((opening, left.to_vec()));
        }
        left = rest;
        match request.take() {
            Some(request) if head.kind == DATA => {
                head.length = u32::try_from(request.len()).map_err(|err| err.to_string())?;
                head.write(&mut opening);
                opening.extend_from_slice(request);
            }
            unused => {
                request = unused;
                head.write(&mut opening);
                opening.extend_from_slice(data);
            }
        }
    }
    Err("the client never closed its stream".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SESSION: &[u8] = &[
        4, // the mode
        0, 1, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, // window update with SYN
        0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 7, 8, // two bytes
        0, 1, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0, // window update with FIN
    ];

    #[test]
    fn a_client_keeps_its_frames_and_changes_its_request() {
        let (opening, closing) = client_bytes(SESSION, None).expect("whole frames");
        assert_eq!([&opening[..], &closing].concat(), SESSION);
        let (opening, closing) = client_bytes(SESSION, Some(&[1, 2, 3])).expect("whole frames");
        assert_eq!(opening[13..], [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 3, 1, 2, 3]);
        assert_eq!(closing, SESSION[27..]);
    }

    #[test]
    fn data_of_neighbours_is_one_event() {
        let two = [&SESSION[13..27], &SESSION[13..]].concat();
        let events = events(&two).expect("whole frames");
        assert_eq!(events.len(), 2);
        assert_eq!(payload(&events), [7, 8, 7, 8]);
        assert!(stream_ended(&events));
        assert!(super::events(&two[..20]).is_err());
    }
}
