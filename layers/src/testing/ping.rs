//! The smallest request and the smallest reply.

use std::{fmt, sync::Arc};

use oneport_proto::{Call, Class, End, Family, Head, Method, MethodInfo, Reply, Session};
use tokio::time::Instant;
use tonic::Code;

/// The smallest request: a head and nothing else.
#[derive(Clone, Debug)]
pub struct Ping {
    /// The head, unless nobody stamped it.
    pub head: Option<Head>,
}

impl Ping {
    /// A request of a known method that only reads, from inside this process, on a connection of
    /// its own.
    pub fn new() -> Ping {
        Ping::on(Session::in_process())
    }

    /// The same on this connection.
    pub fn on(session: Arc<Session>) -> Ping {
        let method = MethodInfo::intern(Family::NetRpc, "Contract.Ping", Class::Read)
            .map_or(Method::Unknown(Family::NetRpc), Method::Known);
        Ping {
            head: Some(Head::new(method, session, Instant::now())),
        }
    }

    /// A request that nobody stamped.
    pub fn unstamped() -> Ping {
        Ping { head: None }
    }
}

impl Default for Ping {
    fn default() -> Self {
        Ping::new()
    }
}

impl Call for Ping {
    fn head(&self) -> Option<&Head> {
        self.head.as_ref()
    }

    fn head_mut(&mut self) -> Option<&mut Head> {
        self.head.as_mut()
    }
}

/// The smallest reply. It is a stream of nothing: it has ended when it is told to, and was abandoned
/// when it is dropped before, so that a test can see what is held until then.
#[derive(Default)]
pub struct Pong {
    ends: Vec<Box<dyn FnOnce(Code) + Send>>,
}

impl Pong {
    /// A reply that has begun.
    pub fn new() -> Pong {
        Pong::default()
    }

    /// Ends it: whoever listens hears this code, the innermost layer first.
    pub fn finish(self, code: Code) {
        for end in self.ends {
            end(code);
        }
    }
}

impl Reply for Pong {
    type Tracked<E: End> = Pong;

    fn on_end<E: End>(mut self, end: E) -> Pong {
        self.ends.push(Box::new(move |code| end.end(code)));
        self
    }
}

impl fmt::Debug for Pong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pong").finish_non_exhaustive()
    }
}
