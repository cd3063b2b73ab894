//! Calls that are refused, by each protocol.

pub(crate) mod setups;

use std::{
    future::poll_fn,
    panic::AssertUnwindSafe,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use bytes::{Bytes, BytesMut};
use oneport::{
    proto::{BoxError, Head, Method, Refusal, Session, Status, Token},
    services::{
        Conn, Drainer, drpc,
        msgpack::encode,
        netrpc::{Methods, Reply, Request, Server},
    },
};
use prost::Message;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, duplex},
    time::{Duration, Instant, timeout},
};
use tower::{Service, ServiceExt, util::BoxCloneSyncService};

/// What calls go to: layers in front of a handler.
pub(crate) type Guarded = BoxCloneSyncService<Request, Reply, BoxError>;

/// A service and a call that it refuses.
pub(crate) struct Setup {
    pub(crate) service: Guarded,
    pub(crate) methods: Methods,
    pub(crate) session: Arc<Session>,
    pub(crate) token: &'static str,
    pub(crate) method: &'static str,
    /// How many calls like it are served before one is refused.
    pub(crate) served: u8,
    /// A method to which a call is under way meanwhile, on the same connection or another.
    pub(crate) held: Option<(&'static str, Arc<Session>)>,
}

/// When a session that ends has ended, on the paused clock.
const SOON: Duration = Duration::from_secs(60);

#[derive(serde::Serialize)]
#[serde(rename_all = "PascalCase")]
struct Body {
    token: &'static str,
}

impl Setup {
    /// The bytes of all answers to the call on net/rpc and, if the session is to end, what follows
    /// up to its end; and what they should be.
    pub(crate) async fn netrpc(self, text: &str, ends: bool) -> (Vec<u8>, Vec<u8>) {
        let _held = self.hold();
        let (near, mut far) = duplex(4096);
        let drainer = Drainer::new();
        let conn = Conn::stream(Arc::clone(&self.session), drainer.handle(), near);
        let mut server = Server::new(self.methods.clone(), self.service.clone());
        let serving = tokio::spawn(server.call(conn));

        let mut expected = Vec::new();
        for seq in 0..=self.served {
            let refused = (seq == self.served).then_some(text);
            expected.extend(self.answer(seq, refused.unwrap_or_default()));
            far.write_all(&self.request(seq)).await.unwrap();
        }
        let mut got = vec![0; expected.len()];
        let read = far.read_exact(&mut got).await;
        if ends {
            // Only the server's own end lets this return: an idle session is never timed.
            let rest = timeout(SOON, far.read_to_end(&mut got)).await;
            rest.expect("the session goes on").unwrap();
        } else {
            assert!(!serving.is_finished(), "the session has ended");
            serving.abort();
        }
        if read.is_err() {
            got.truncate(
                got.iter()
                    .rposition(|&byte| byte != 0)
                    .map_or(0, |at| at + 1),
            );
        }
        (got, expected)
    }

    /// The statuses of all answers to the call on dRPC. The session decides nothing there: none of
    /// them ends it.
    pub(crate) async fn drpc(self) -> Vec<drpc::Status> {
        let _held = self.hold();
        let (methods, method, token) = (self.methods.clone(), self.method, self.token);
        let service = self.service.clone();
        // The same layers and handlers behind another protocol: only the body is another.
        let service = service.map_request(move |request: drpc::Request| {
            let mut head = request.head;
            head.method = methods.find(method.as_bytes());
            head.token = Token::new(token.as_bytes());
            let mut body = BytesMut::new();
            encode(&Body { token }, &mut body).unwrap();
            Request {
                head,
                name: Bytes::from_static(method.as_bytes()),
                body: body.freeze(),
            }
        });
        let service = service.map_response(|_| drpc::Reply::default());
        let mut service = drpc::ModuleService::new(drpc::Methods::default(), service);
        let mut statuses = Vec::new();
        for sequence in 1..=i64::from(self.served) + 1 {
            let call = drpc::Call {
                sequence,
                ..drpc::Call::default()
            };
            let call = call.encode_to_vec().into();
            let answer = service.process(&self.session, call).await;
            let answer = drpc::Response::decode(answer).unwrap();
            assert_eq!(answer.sequence, sequence);
            assert!(answer.body.is_empty());
            statuses.push(answer.ended());
        }
        statuses
    }

    /// The error that the call ends with.
    pub(crate) async fn refused(self) -> BoxError {
        let _held = self.hold();
        for _ in 0..self.served {
            self.call(self.method, &self.session).await.unwrap();
        }
        self.call(self.method, &self.session).await.unwrap_err()
    }

    /// A call of this process, through the same service. What a driver does about a panic is done
    /// here as well.
    async fn call(&self, method: &'static str, session: &Arc<Session>) -> Result<Reply, BoxError> {
        let mut call = pin!(self.start(method, session));
        poll_fn(|cx| {
            let polled = std::panic::catch_unwind(AssertUnwindSafe(|| call.as_mut().poll(cx)));
            polled.unwrap_or_else(|_| Poll::Ready(Err(Status::from(Refusal::Panicked).into())))
        })
        .await
    }

    fn start(
        &self,
        method: &'static str,
        session: &Arc<Session>,
    ) -> impl Future<Output = Result<Reply, BoxError>> + Send + 'static {
        let method_info: Method = self.methods.find(method.as_bytes());
        let mut head = Head::new(method_info, Arc::clone(session), Instant::now());
        head.token = Token::new(self.token.as_bytes());
        let mut body = BytesMut::new();
        encode(&Body { token: self.token }, &mut body).unwrap();
        self.service.clone().oneshot(Request {
            head,
            name: Bytes::from_static(method.as_bytes()),
            body: body.freeze(),
        })
    }

    /// Starts the call that is under way, and leaves it there.
    fn hold(&self) -> Option<impl Future<Output = Result<Reply, BoxError>>> {
        let (method, session) = self.held.as_ref()?;
        let mut held = Box::pin(self.start(method, session));
        let polled = held.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending());
        Some(held)
    }

    fn request(&self, seq: u8) -> Vec<u8> {
        let mut bytes = b"\x82\xa3Seq".to_vec();
        bytes.push(seq);
        bytes.extend(string("ServiceMethod"));
        bytes.extend(string(self.method));
        bytes.extend(b"\x81\xa5Token");
        bytes.extend(string(self.token));
        bytes
    }

    /// An answer, byte by byte: the header's keys in Go's order, strings in the old msgpack, and an
    /// empty map for the body of an error, as for an empty struct.
    fn answer(&self, seq: u8, error: &str) -> Vec<u8> {
        let mut bytes = b"\x83\xa5Error".to_vec();
        bytes.extend(string(error));
        bytes.extend(b"\xa3Seq");
        bytes.push(seq);
        bytes.extend(string("ServiceMethod"));
        bytes.extend(string(self.method));
        bytes.push(0x80);
        bytes
    }
}

/// A string in the old msgpack, which has no form of 8 bits.
fn string(text: &str) -> Vec<u8> {
    let mut bytes = match u8::try_from(text.len()) {
        Ok(len @ 0..=31) => vec![0xa0 | len],
        _ => {
            let [high, low] = u16::try_from(text.len()).unwrap().to_be_bytes();
            vec![0xda, high, low]
        }
    };
    bytes.extend(text.as_bytes());
    bytes
}
