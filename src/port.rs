//! The table of a port: which first byte or ALPN name leads to which protocol.

use std::{
    error::Error,
    fmt,
    future::{Ready, ready},
    sync::{Arc, OnceLock},
    task::{Context, Poll},
};

use metrics::{Counter, counter};
use oneport_proto::{BoxError, Refusal};
use oneport_services::{BoxProtocol, Conn, Protocol};
use tower::Service;

use crate::metrics::PORT_ROUTED;

/// The longest ALPN name that a handshake can carry, in bytes (RFC 7301, section 3.1).
pub const MAX_ALPN_NAME: usize = 255;

/// What tells a connection's protocol.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Mark {
    /// The first byte that the peer sends.
    First(u8),
    /// The protocol name that a TLS handshake agreed on (ALPN, RFC 7301).
    Alpn(Vec<u8>),
}

impl From<u8> for Mark {
    fn from(byte: u8) -> Mark {
        Mark::First(byte)
    }
}

impl From<&[u8]> for Mark {
    fn from(name: &[u8]) -> Mark {
        Mark::Alpn(name.to_vec())
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Mark::First(byte) => f.pad(&format!("{byte:#04x}")),
            Mark::Alpn(name) => f.pad(&name.escape_ascii().to_string()),
        }
    }
}

/// The table of a port. It says who gets a connection, once its [`Mark`] is known, and nothing
/// else: policy is which rows it has.
///
/// A clone is cheap and shares the table. As a service it answers a mark with a protocol, which
/// makes it a `MakeService<Mark, Conn>`: what [`Sniff`](crate::Sniff) asks for. It is always
/// ready. Printed, it is one line a row.
#[derive(Clone, Debug)]
pub struct Port {
    rows: Arc<[Row]>,
}

#[derive(Clone, Debug)]
struct Row {
    /// `None` in the row for everything else.
    mark: Option<Mark>,
    name: &'static str,
    kind: Kind,
    routed: OnceLock<Counter>,
}

#[derive(Clone, Debug)]
enum Kind {
    /// The mark is the port's: a byte is eaten before the protocol begins.
    Tag(BoxProtocol),
    /// The mark is the protocol's, or none on the connection: nothing is eaten.
    Whole(BoxProtocol),
    Unserved,
}

/// Why a mark leads nowhere. The connection is closed without a byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unrouted {
    /// The wire knows this mark, but this port does not serve what it stands for.
    Unserved {
        /// What the peer sent.
        mark: Mark,
        /// The name of the row.
        name: &'static str,
    },
    /// The table has no such row.
    Unknown(Mark),
}

impl fmt::Display for Unrouted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unrouted::Unserved { mark, name } => write!(f, "{name} ({mark}) is not served here"),
            Unrouted::Unknown(mark) => write!(f, "no protocol begins with {mark}"),
        }
    }
}

/// The source is always [`Refusal::NotFound`], which gives the refusal its code.
impl Error for Unrouted {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&Refusal::NotFound)
    }
}

impl Port {
    /// A table without rows, to be filled.
    pub fn builder() -> PortBuilder {
        PortBuilder {
            rows: Vec::new(),
            error: None,
        }
    }

    /// The ALPN names of the table, in its order: what a TLS handshake offers, most liked first.
    pub fn alpn_names(&self) -> impl Iterator<Item = &[u8]> {
        self.rows.iter().filter_map(|row| match &row.mark {
            Some(Mark::Alpn(name)) => Some(name.as_slice()),
            _ => None,
        })
    }

    /// The row of a mark: its own, else the one for everything else.
    fn row(&self, mark: &Mark) -> Option<&Row> {
        // A dozen rows, once per connection: a scan is all it takes.
        let of = |wanted: Option<&Mark>| self.rows.iter().find(|row| row.mark.as_ref() == wanted);
        of(Some(mark)).or_else(|| of(None))
    }
}

impl Service<Mark> for Port {
    type Response = BoxProtocol;
    type Error = Unrouted;
    type Future = Ready<Result<BoxProtocol, Unrouted>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Unrouted>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mark: Mark) -> Self::Future {
        let Some(row) = self.row(&mark) else {
            return ready(Err(Unrouted::Unknown(mark)));
        };
        row.routed().increment(1);
        ready(match &row.kind {
            Kind::Tag(protocol) | Kind::Whole(protocol) => Ok(protocol.clone()),
            Kind::Unserved => Err(Unrouted::Unserved {
                mark,
                name: row.name,
            }),
        })
    }
}

/// One line a row: the mark, the row's name, and what becomes of the mark.
impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = |row: &Row| match &row.mark {
            Some(mark) => mark.to_string(),
            None => "otherwise".to_owned(),
        };
        let marks = self.rows.iter().map(|row| mark(row).len()).max();
        let names = self.rows.iter().map(|row| row.name.len()).max();
        let (marks, names) = (marks.unwrap_or(0), names.unwrap_or(0));
        for row in &*self.rows {
            let (mark, name) = (mark(row), row.name);
            writeln!(f, "{mark:marks$}  {name:names$}  {}", row.note())?;
        }
        Ok(())
    }
}

impl Row {
    fn new(mark: Option<Mark>, name: &'static str, kind: Kind) -> Row {
        Row {
            mark,
            name,
            kind,
            routed: OnceLock::new(),
        }
    }

    /// The connections that found this row.
    fn routed(&self) -> &Counter {
        let make = || counter!(PORT_ROUTED, "row" => self.name);
        self.routed.get_or_init(make)
    }

    fn note(&self) -> &'static str {
        match (&self.mark, &self.kind) {
            (_, Kind::Unserved) => "not served",
            (_, Kind::Tag(_)) => "byte eaten",
            (Some(Mark::Alpn(_)), Kind::Whole(_)) => "by name",
            (_, Kind::Whole(_)) => "byte kept",
        }
    }
}

/// Fills the table of a [`Port`], row by row.
///
/// A row's name is for logs, for printing and for metric labels, hence `'static`. The order of
/// rows is the order of printing and of ALPN preference; which row a mark finds does not depend on
/// it.
#[derive(Debug)]
#[must_use = "a builder makes a port when it is built"]
pub struct PortBuilder {
    rows: Vec<Row>,
    error: Option<PortError>,
}

/// A row that cannot be in the table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PortError {
    /// Two rows have the same mark.
    #[error("row {name}: {mark} is taken by row {by}")]
    Taken {
        /// The mark of both rows.
        mark: Mark,
        /// The later row.
        name: &'static str,
        /// The earlier row.
        by: &'static str,
    },
    /// There are two rows for everything else.
    #[error("row {name}: everything else is taken by row {by}")]
    OtherwiseTaken {
        /// The later row.
        name: &'static str,
        /// The earlier row.
        by: &'static str,
    },
    /// No handshake can carry an ALPN name of this length.
    #[error("row {name}: an ALPN name has 1 to {MAX_ALPN_NAME} bytes, not {len}")]
    AlpnLength {
        /// The row.
        name: &'static str,
        /// The length of its ALPN name, in bytes.
        len: usize,
    },
}

impl PortBuilder {
    /// Gives connections that begin with `byte` to `protocol`, which does not see that byte.
    pub fn tag(self, byte: u8, name: &'static str, protocol: impl Protocol) -> Self {
        let eat = BoxProtocol::new(Eat(protocol));
        self.row(Some(Mark::First(byte)), name, Kind::Tag(eat))
    }

    /// Gives connections that begin with `byte` to `protocol`, which sees that byte too.
    pub fn first(self, byte: u8, name: &'static str, protocol: impl Protocol) -> Self {
        let whole = Kind::Whole(BoxProtocol::new(protocol));
        self.row(Some(Mark::First(byte)), name, whole)
    }

    /// Gives connections that agreed on `alpn` in their TLS handshake to `protocol`.
    pub fn alpn(self, alpn: &[u8], name: &'static str, protocol: impl Protocol) -> Self {
        let whole = Kind::Whole(BoxProtocol::new(protocol));
        self.row(Some(Mark::from(alpn)), name, whole)
    }

    /// Closes connections with `mark`, a byte or an ALPN name: known to the wire, not served here.
    /// They are counted and logged under the row's name; an ALPN name is still offered.
    pub fn unserved(self, mark: impl Into<Mark>, name: &'static str) -> Self {
        self.row(Some(mark.into()), name, Kind::Unserved)
    }

    /// Gives connections whose mark has no row to `protocol`, which sees the first byte too.
    pub fn otherwise(self, name: &'static str, protocol: impl Protocol) -> Self {
        self.row(None, name, Kind::Whole(BoxProtocol::new(protocol)))
    }

    /// The finished port.
    ///
    /// # Errors
    /// The first [`PortError`] of the rows above.
    pub fn build(self) -> Result<Port, PortError> {
        match self.error {
            Some(error) => Err(error),
            None => Ok(Port {
                rows: self.rows.into(),
            }),
        }
    }

    fn row(mut self, mark: Option<Mark>, name: &'static str, kind: Kind) -> Self {
        let row = Row::new(mark, name, kind);
        match row.conflict(&self.rows) {
            Some(error) => self.error = self.error.or(Some(error)),
            None => self.rows.push(row),
        }
        self
    }
}

impl Row {
    /// What keeps this row out of a table that has `rows` already.
    fn conflict(&self, rows: &[Row]) -> Option<PortError> {
        let name = self.name;
        if let Some(Mark::Alpn(alpn)) = &self.mark
            && !(1..=MAX_ALPN_NAME).contains(&alpn.len())
        {
            let len = alpn.len();
            return Some(PortError::AlpnLength { name, len });
        }
        let by = rows.iter().find(|row| row.mark == self.mark)?.name;
        Some(match self.mark.clone() {
            Some(mark) => PortError::Taken { mark, name, by },
            None => PortError::OtherwiseTaken { name, by },
        })
    }
}

/// Takes the tag byte off a connection and hands the rest on.
#[derive(Clone)]
struct Eat<P>(P);

impl<P: Protocol> Service<Conn> for Eat<P> {
    type Response = ();
    type Error = BoxError;
    type Future = P::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, mut conn: Conn) -> P::Future {
        conn.eat();
        self.0.call(conn)
    }
}
