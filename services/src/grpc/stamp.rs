//! The layer that gives plain HTTP requests a head.

use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Extensions, HeaderMap, HeaderValue, header::AUTHORIZATION};
use oneport_proto::{Head, Local, Peer, Session, TRACEPARENT, Token};
use tokio::time::Instant;
use tower::{Layer, Service};

use super::{methods::Methods, timeout};

/// The metadata key of a Consul ACL token.
pub const CONSUL_TOKEN: &str = "x-consul-token";

/// Gives every request a [`Head`]: see the [module](super).
#[derive(Clone)]
pub struct Stamp {
    methods: Methods,
    peer: fn(&Extensions) -> Option<Peer>,
}

impl Stamp {
    /// Knows `methods`; all others are unknown ones. The connection of a request is the
    /// `Arc<Session>` among its extensions.
    ///
    /// A request from nobody knows where gets no head, and so is refused by the first layer that
    /// looks for one: else a limit by address, or a list of networks, would take a stranger for a
    /// caller inside this process. Where a server has no sessions tell the stamp where it has its
    /// peers, by [`peer`](Stamp::peer).
    pub fn new(methods: Methods) -> Stamp {
        Stamp {
            methods,
            peer: |_| None,
        }
    }

    /// The same with a way to find the other end of a connection among a request's extensions, for
    /// servers that put it there; tonic's have `TcpConnectInfo`.
    ///
    /// Each request then has a session of its own: limits by address hold, a bound *per connection*
    /// does not. A host that wants that too puts one `Arc<Session>` for each connection among the
    /// extensions of its requests.
    #[must_use]
    pub fn peer(self, peer: fn(&Extensions) -> Option<Peer>) -> Stamp {
        Stamp { peer, ..self }
    }

    /// What is known about a request, unless nothing is known about its connection.
    fn head<B>(&self, request: &http::Request<B>) -> Option<Head> {
        let session = self.session(request.extensions())?;
        let now = Instant::now();
        let headers = request.headers();
        let mut head = Head::new(self.methods.find(request.uri().path()), session, now);
        head.token = token(headers);
        head.deadline = text(headers, "grpc-timeout")
            .and_then(timeout::parse)
            .and_then(|time| now.checked_add(time));
        head.trace = text(headers, TRACEPARENT)
            .and_then(|text| text.parse().ok())
            .map(Box::new);
        Some(head)
    }

    fn session(&self, extensions: &Extensions) -> Option<Arc<Session>> {
        if let Some(session) = extensions.get::<Arc<Session>>() {
            return Some(Arc::clone(session));
        }
        let peer = (self.peer)(extensions)?;
        Some(Session::new(peer, Local::InProcess))
    }
}

fn token(headers: &HeaderMap) -> Option<Token> {
    let secret = headers.get(CONSUL_TOKEN).map(HeaderValue::as_bytes);
    Token::new(secret.or_else(|| bearer(headers))?)
}

fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(AUTHORIZATION)?.as_bytes();
    let (scheme, secret) = value.split_at_checked(b"Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then_some(secret)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Writes the trace of `head`, if it has one, into the headers of a request that its handler makes,
/// so that the trace goes on there.
pub fn pass_trace(head: &Head, headers: &mut HeaderMap) {
    if let Some(trace) = &head.trace
        && let Ok(value) = HeaderValue::try_from(trace.to_string())
    {
        headers.insert(TRACEPARENT, value);
    }
}

impl fmt::Debug for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stamp")
            .field("methods", &self.methods)
            .finish_non_exhaustive()
    }
}

impl<S> Layer<S> for Stamp {
    type Service = Stamped<S>;

    fn layer(&self, inner: S) -> Stamped<S> {
        Stamped {
            inner,
            stamp: self.clone(),
        }
    }
}

/// A service whose requests are stamped.
#[derive(Clone, Debug)]
pub struct Stamped<S> {
    inner: S,
    stamp: Stamp,
}

impl<S, B> Service<http::Request<B>> for Stamped<S>
where
    S: Service<http::Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: http::Request<B>) -> S::Future {
        if let Some(head) = self.stamp.head(&request) {
            request.extensions_mut().insert(head);
        }
        self.inner.call(request)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use oneport_proto::Class;

    use super::*;

    const PATH: &str = "/test.Stamp/Get";

    fn bare() -> Stamp {
        Stamp::new(Methods::new([(PATH, Class::Read)]).unwrap())
    }

    fn stamp() -> Stamp {
        bare().peer(|_| Some(Peer::Tcp("192.0.2.1:7".parse().unwrap())))
    }

    fn head(headers: &[(&str, &str)]) -> Head {
        let mut request = http::Request::post(format!("http://host{PATH}?x=1"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        stamp().head(&request.body(()).unwrap()).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn everything_that_a_request_may_say() {
        let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let head = head(&[
            (CONSUL_TOKEN, "secret"),
            ("grpc-timeout", "250m"),
            (TRACEPARENT, traceparent),
        ]);
        assert_eq!(head.method.name(), PATH);
        assert_eq!(head.token.as_ref().unwrap().secret(), b"secret");
        assert_eq!(head.deadline, Some(head.at + Duration::from_millis(250)));
        let mut headers = HeaderMap::new();
        pass_trace(&head, &mut headers);
        assert_eq!(headers[TRACEPARENT], traceparent);
    }

    #[test]
    fn nothing_and_nonsense_ask_for_nothing() {
        for headers in [
            [("x", "y"), ("a", "b"), ("c", "d")],
            [
                ("grpc-timeout", "soon"),
                (TRACEPARENT, "x"),
                ("authorization", "Basic eDp5"),
            ],
        ] {
            let head = head(&headers);
            assert_eq!((head.deadline, head.trace), (None, None));
            assert!(head.token.is_none());
        }
        let other = http::Request::post("http://host/other.Service/Get")
            .body(())
            .unwrap();
        assert_eq!(stamp().head(&other).unwrap().method.name(), "unknown");
    }

    #[test]
    fn a_bearer_is_a_token() {
        for value in ["Bearer secret", "bearer secret"] {
            let head = head(&[("authorization", value)]);
            assert_eq!(head.token.unwrap().secret(), b"secret");
        }
        assert!(head(&[("authorization", "Bearer ")]).token.is_none());
    }

    #[test]
    fn a_session_is_the_connections_if_there_is_one() {
        let session = Session::in_process();
        let mut request = http::Request::new(());
        request.extensions_mut().insert(Arc::clone(&session));
        assert_eq!(stamp().head(&request).unwrap().session.id, session.id);

        let found = stamp().head(&http::Request::new(())).unwrap();
        assert_eq!(found.session.peer.to_string(), "192.0.2.1:7");
    }

    #[test]
    fn a_request_from_nobody_knows_where_gets_no_head() {
        assert!(bare().head(&http::Request::new(())).is_none());
    }
}
