//! The net/rpc driver through its public face: raw bytes in, raw bytes out.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use oneport_proto::{BoxError, Class, Head, Session};
use oneport_services::{
    Conn, Drainer,
    netrpc::{CallError, Channel, Client, Config, Methods, Reply, Request, Router, Server},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    sync::Notify,
    task::JoinHandle,
    time::Instant,
};
use tonic::Status;
use tower::{Service, ServiceExt, service_fn};

/// What the handlers of these tests share.
#[derive(Clone, Default)]
struct Lab {
    calls: Arc<AtomicUsize>,
    gate: Arc<Notify>,
}

async fn ping(lab: Lab, _head: Head, (): ()) -> Result<(), Status> {
    lab.calls.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

async fn double(_lab: Lab, _head: Head, n: u64) -> Result<u64, Status> {
    n.checked_mul(2)
        .ok_or_else(|| Status::out_of_range("too large"))
}

async fn gated(lab: Lab, _head: Head, (): ()) -> Result<bool, Status> {
    lab.gate.notified().await;
    Ok(true)
}

async fn length(_lab: Lab, _head: Head, text: String) -> Result<usize, Status> {
    Ok(text.len())
}

async fn panics(_lab: Lab, _head: Head, (): ()) -> Result<(), Status> {
    panic!("on purpose");
}

async fn token(_lab: Lab, head: Head, _body: Option<()>) -> Result<(String, u64), Status> {
    let token = head.token.map(|token| token.secret().to_vec());
    let token = String::from_utf8(token.unwrap_or_default()).unwrap();
    let wait = head.wait.unwrap_or_default().as_millis();
    Ok((token, u64::try_from(wait).unwrap()))
}

fn router(lab: Lab) -> Router {
    Router::builder(lab)
        .method("Lab.Ping", Class::Exempt, ping)
        .method("Lab.Double", Class::Read, double)
        .method("Lab.Gated", Class::Read, gated)
        .method("Lab.Length", Class::Read, length)
        .method("Lab.Panics", Class::Read, panics)
        .method("Lab.Token", Class::Read, token)
        .build()
        .unwrap()
}

/// A served connection and our end of it.
struct Served {
    far: DuplexStream,
    task: JoinHandle<Result<(), BoxError>>,
    lab: Lab,
    drainer: Drainer,
}

fn serve(config: Config) -> Served {
    let lab = Lab::default();
    let router = router(lab.clone());
    let mut server = Server::new(router.methods(), router).config(config);
    let (near, far) = duplex(1 << 20);
    let drainer = Drainer::new();
    let conn = Conn::stream(Session::in_process(), drainer.handle(), near);
    Served {
        far,
        task: tokio::spawn(server.call(conn)),
        lab,
        drainer,
    }
}

impl Served {
    /// Sends bytes, ends our side and gives all that came back.
    async fn exchange(mut self, bytes: &[u8]) -> Vec<u8> {
        self.far.write_all(bytes).await.unwrap();
        self.far.shutdown().await.unwrap();
        self.rest().await
    }

    /// All that comes until the server ends.
    async fn rest(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        self.far.read_to_end(&mut all).await.unwrap();
        all
    }

    async fn expect(&mut self, bytes: &[u8]) {
        let mut got = vec![0; bytes.len()];
        self.far.read_exact(&mut got).await.unwrap();
        assert_eq!(got, bytes);
    }
}

fn string(text: &str) -> Vec<u8> {
    let mut out = bytes::BytesMut::new();
    oneport_services::msgpack::encode(text, &mut out).unwrap();
    out.to_vec()
}

fn request(seq: u8, method: &str, body: &[u8]) -> Vec<u8> {
    let mut out = b"\x82\xa3Seq".to_vec();
    out.push(seq);
    out.extend(b"\xadServiceMethod");
    out.extend(string(method));
    out.extend(body);
    out
}

fn reply(seq: u8, method: &str, error: &str, body: &[u8]) -> Vec<u8> {
    let mut out = b"\x83\xa5Error".to_vec();
    out.extend(string(error));
    out.extend(b"\xa3Seq");
    out.push(seq);
    out.extend(b"\xadServiceMethod");
    out.extend(string(method));
    out.extend(body);
    out
}

#[tokio::test]
async fn several_requests_in_one_segment_are_answered_in_order() {
    let sent = [
        request(7, "Lab.Double", b"\x15"),
        request(9, "Lab.Ping", b"\x80"),
        request(3, "Lab.Double", b"\xcc\x80"),
    ]
    .concat();
    let got = serve(Config::default()).exchange(&sent).await;
    let want = [
        reply(7, "Lab.Double", "", b"\x2a"),
        reply(9, "Lab.Ping", "", b"\xc0"),
        reply(3, "Lab.Double", "", b"\xcd\x01\x00"),
    ]
    .concat();
    assert_eq!(got, want);
}

#[tokio::test]
async fn a_request_may_be_split_at_every_byte() {
    let sent = [
        request(1, "Lab.Length", &string(&"x".repeat(300))),
        request(2, "Lab.Ping", b"\xde\x00\x01\xa1k\x92\x01\xa2vv"),
    ]
    .concat();
    let whole = serve(Config::default()).exchange(&sent).await;
    assert!(!whole.is_empty());
    for cut in 0..=sent.len() {
        let mut served = serve(Config::default());
        served.far.write_all(&sent[..cut]).await.unwrap();
        // Let the driver see the first part alone.
        tokio::task::yield_now().await;
        assert_eq!(served.exchange(&sent[cut..]).await, whole, "cut at {cut}");
    }
}

#[tokio::test]
async fn an_application_error_keeps_the_session() {
    let sent = [
        request(1, "Lab.Double", b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff"),
        request(2, "Lab.Double", b"\x01"),
    ]
    .concat();
    let got = serve(Config::default()).exchange(&sent).await;
    let want = [
        reply(1, "Lab.Double", "too large", b"\x80"),
        reply(2, "Lab.Double", "", b"\x02"),
    ]
    .concat();
    assert_eq!(got, want);
}

#[tokio::test]
async fn faults_are_answered_and_end_the_session() {
    for (method, body, error) in [
        (
            "Nope.X",
            b"\x80".as_slice(),
            "rpc: can't find service Nope.X",
        ),
        (
            "Lab.X",
            b"\x93\x01\x02\xa1x",
            "rpc: can't find method Lab.X",
        ),
        (
            "Lab",
            b"\xc0",
            "rpc: service/method request ill-formed: Lab",
        ),
        (
            "Lab.Double",
            b"\xcb\0\0\0\0\0\0\0\0",
            "codec.decoder: Unhandled single-byte unsigned integer value: Unrecognized descriptor byte: cb",
        ),
    ] {
        let mut served = serve(Config::default());
        let sent = [request(1, method, body), request(2, "Lab.Ping", b"\x80")].concat();
        served.far.write_all(&sent).await.unwrap();
        assert_eq!(served.rest().await, reply(1, method, error, b"\x80"));
        served.task.await.unwrap().unwrap();
        assert_eq!(served.lab.calls.load(Ordering::Relaxed), 0);
    }
}

#[tokio::test]
async fn a_bad_header_is_closed_without_an_answer() {
    for header in [
        b"\xa3abc".as_slice(),
        b"\x82\xa3Seq\xff\xadServiceMethod\xa1x",
    ] {
        let mut served = serve(Config::default());
        served.far.write_all(header).await.unwrap();
        assert!(served.rest().await.is_empty());
        assert!(served.task.await.unwrap().is_err());
    }
}

#[tokio::test]
async fn what_was_answered_before_a_bad_header_still_leaves() {
    let sent = [request(1, "Lab.Ping", b"\x80"), b"\xa3abc".to_vec()].concat();
    let mut served = serve(Config::default());
    served.far.write_all(&sent).await.unwrap();
    assert_eq!(served.rest().await, reply(1, "Lab.Ping", "", b"\xc0"));
}

/// How long a session lives whose peer reads ten bytes every 25 s, so many times.
async fn lives_while_read(times: usize) -> Duration {
    let router = router(Lab::default());
    let mut server = Server::new(router.methods(), router);
    let (near, far) = duplex(64);
    let drainer = Drainer::new();
    let conn = Conn::stream(Session::in_process(), drainer.handle(), near);
    let begun = Instant::now();
    let task = tokio::spawn(server.call(conn));
    let (mut answers, mut wire) = tokio::io::split(far);
    // More answers than the pipe holds; the server may not want all requests.
    let asking = tokio::spawn(async move {
        let pings = request(1, "Lab.Ping", b"\x80").repeat(20);
        let _unwanted = wire.write_all(&pings).await;
    });
    for _ in 0..times {
        tokio::time::sleep(Duration::from_secs(25)).await;
        answers.read_exact(&mut [0; 10]).await.unwrap();
    }
    assert!(task.await.unwrap().is_err());
    asking.await.unwrap();
    begun.elapsed()
}

#[tokio::test(start_paused = true)]
async fn answers_that_nobody_takes_end_the_session() {
    // A second more for what was answered before the end.
    let seconds = Duration::from_secs;
    assert_eq!(lives_while_read(0).await, seconds(31));
    // Taken slowly, they go on for 30 s behind the last piece, and for less than 30 s more.
    let lived = lives_while_read(2).await;
    assert!(
        lived >= seconds(50 + 30) && lived <= seconds(50 + 30 + 30),
        "{lived:?}"
    );
}

#[tokio::test]
async fn the_end_inside_a_header_is_closed_without_an_answer() {
    let sent = request(1, "Lab.Length", b"");
    for cut in 1..sent.len() {
        let said = serve(Config::default()).exchange(&sent[..cut]).await;
        assert!(said.is_empty(), "cut at {cut}");
    }
}

/// As the real Consul does: its decoder reads a marker, a length and a payload each by itself.
#[tokio::test]
async fn the_end_inside_a_body_is_told_in_gos_words() {
    // An array of a text of two bytes of length, a number of two bytes, and a short text.
    let body = b"\x93\xda\0\x02ab\xcd\x01\x02\xa2yz";
    let unexpected = [3, 5, 8, 11];
    for cut in 0..body.len() {
        let sent = request(1, "Lab.Length", &body[..cut]);
        let text = if unexpected.contains(&cut) {
            "unexpected EOF"
        } else {
            "EOF"
        };
        let said = serve(Config::default()).exchange(&sent).await;
        assert_eq!(said, reply(1, "Lab.Length", text, b"\x80"), "cut at {cut}");
    }
    let said = serve(Config::default())
        .exchange(&request(1, "Lab.Nope", b"\x93"))
        .await;
    assert_eq!(
        said,
        reply(1, "Lab.Nope", "rpc: can't find method Lab.Nope", b"\x80")
    );
}

#[tokio::test]
async fn answers_leave_before_a_call_that_waits() {
    let mut served = serve(Config::default());
    let sent = [
        request(1, "Lab.Ping", b"\x80"),
        request(2, "Lab.Gated", b"\x80"),
    ]
    .concat();
    served.far.write_all(&sent).await.unwrap();
    served.expect(&reply(1, "Lab.Ping", "", b"\xc0")).await;
    served.lab.gate.notify_one();
    served.expect(&reply(2, "Lab.Gated", "", b"\xc3")).await;
}

#[tokio::test]
async fn a_panic_answers_that_call_and_ends_the_session() {
    let mut served = serve(Config::default());
    served
        .far
        .write_all(&request(1, "Lab.Panics", b"\x80"))
        .await
        .unwrap();
    let want = reply(1, "Lab.Panics", "rpc: the handler panicked", b"\x80");
    assert_eq!(served.rest().await, want);
}

#[tokio::test]
async fn token_and_wait_reach_the_head() {
    let body = b"\x83\xacMaxQueryTime\xce\x3b\x9a\xca\x00\xadMinQueryIndex\x07\xa5Token\xa3abc";
    let got = serve(Config::default())
        .exchange(&request(1, "Lab.Token", body))
        .await;
    // A second, and the sixteenth by which it may be spread.
    assert_eq!(got, reply(1, "Lab.Token", "", b"\x92\xa3abc\xcd\x04\x26"));

    let config = Config {
        max_wait: Duration::from_millis(160),
        ..Config::default()
    };
    let got = serve(config).exchange(&request(1, "Lab.Token", body)).await;
    assert_eq!(got, reply(1, "Lab.Token", "", b"\x92\xa3abc\xcc\xaa"));
}

#[tokio::test]
async fn a_call_in_this_process_has_the_head_that_it_has_on_the_wire() {
    let heads = service_fn(|request: Request| async move {
        let head = request.head;
        let token = head.token.map(|token| token.secret().to_vec());
        let token = String::from_utf8(token.unwrap_or_default()).unwrap();
        let wait = head.wait.unwrap_or_default().as_millis();
        let told = format!("{} {token} {wait}", head.method.name());
        Ok::<_, BoxError>(Reply::value(told))
    });
    let methods = Methods::new([("Lab.Heads", Class::Write)]).unwrap();
    let mut client = Server::new(methods, heads).client();
    let body = b"\x83\xacMaxQueryTime\xce\x3b\x9a\xca\x00\xadMinQueryIndex\x07\xa5Token\xa3abc";
    let told = client.call_raw("Lab.Heads", Bytes::from_static(body)).await;
    assert!(told.unwrap().ends_with(b"Lab.Heads abc 1062"));
    let told = client.call_raw("Lab.Other", Bytes::from_static(body)).await;
    assert!(told.unwrap().ends_with(b"unknown  0"));
}

/// A string body of `len` bytes in all, header included.
fn body_of(len: usize) -> Vec<u8> {
    let body = string(&"b".repeat(len - 3));
    assert_eq!(body.len(), len);
    body
}

#[tokio::test]
async fn a_body_has_a_limit_and_is_refused_by_name() {
    let config = Config {
        body_limit: 1000,
        ..Config::default()
    };
    for len in [999, 1000] {
        let sent = request(1, "Lab.Length", &body_of(len));
        let got = serve(config.clone()).exchange(&sent).await;
        assert!(got.starts_with(b"\x83\xa5Error\xa0"), "{len} bytes fit");
    }
    let sent = request(1, "Lab.Length", &body_of(1001));
    let got = serve(config).exchange(&sent).await;
    let text = "request body of 1001 bytes exceeds 1000";
    assert_eq!(got, reply(1, "Lab.Length", text, b"\x80"));
}

#[tokio::test]
async fn a_body_too_deep_is_refused_by_name() {
    let config = Config::default();
    for (depth, served_well) in [(31, true), (32, true), (33, false)] {
        let nested = [vec![0x91; depth - 1], vec![0x90]].concat();
        let got = serve(config.clone())
            .exchange(&request(1, "Lab.Ping", &nested))
            .await;
        let text = String::from_utf8_lossy(&got);
        assert_eq!(!text.contains("32"), served_well, "depth {depth}: {text}");
    }
}

#[tokio::test]
async fn a_body_too_rich_is_refused_by_name() {
    let config = Config {
        elements: 10,
        ..Config::default()
    };
    for (elements, served_well) in [(9u8, true), (10, true), (11, false)] {
        let list = [vec![0x90 + elements], vec![0xc0; elements.into()]].concat();
        let got = serve(config.clone())
            .exchange(&request(1, "Lab.Ping", &list))
            .await;
        let text = String::from_utf8_lossy(&got);
        let refusal = "request body of 11 elements exceeds 10";
        assert_eq!(!text.contains(refusal), served_well, "{elements}: {text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_body_is_thrown_away_for_a_while() {
    let config = Config {
        body_limit: 10,
        linger_bytes: 100,
        ..Config::default()
    };
    for (more, kept) in [(99, true), (100, true), (101, false)] {
        let begun = Instant::now();
        let mut served = serve(config.clone());
        served
            .far
            .write_all(&request(1, "Lab.Length", b"\xda\x10\x00"))
            .await
            .unwrap();
        let refused = reply(
            1,
            "Lab.Length",
            "request body of 4099 bytes exceeds 10",
            b"\x80",
        );
        served.expect(&refused).await;
        served.far.write_all(&vec![7; more]).await.unwrap();
        served.task.await.unwrap().unwrap();
        // A peer that is silent then is given a second; one that sent too much is not.
        let waited = if kept {
            Duration::from_secs(1)
        } else {
            Duration::ZERO
        };
        assert_eq!(begun.elapsed(), waited, "{more} bytes");
    }
}

#[tokio::test]
async fn names_and_headers_have_limits() {
    for (len, answered) in [(511, true), (512, true), (513, false)] {
        let name = "n".repeat(len);
        let got = serve(Config::default())
            .exchange(&request(1, &name, b"\x80"))
            .await;
        assert_eq!(!got.is_empty(), answered, "a name of {len} bytes");
    }
    let ping = "Lab.Ping";
    let bare = request(1, ping, b"").len() + "\u{1}x".len() + 3;
    for (len, answered) in [(1023, true), (1024, true), (1025, false)] {
        let mut header = b"\x83\xa1x".to_vec();
        header.extend(body_of(len - bare + 3));
        header.extend(&request(1, ping, b"")[1..]);
        assert_eq!(header.len(), len);
        header.push(0x80);
        let got = serve(Config::default()).exchange(&header).await;
        assert_eq!(!got.is_empty(), answered, "a header of {len} bytes");
    }
}

/// How long after its opening the server gives up on a peer that sends `parts` and then nothing.
async fn gives_up_after(config: Config, parts: &[(u64, &[u8])]) -> Duration {
    let opened = Instant::now();
    let mut served = serve(config);
    for (at, part) in parts {
        tokio::time::sleep_until(opened + Duration::from_secs(*at)).await;
        served.far.write_all(part).await.unwrap();
    }
    served.rest().await;
    opened.elapsed().as_secs().pipe(Duration::from_secs)
}

/// Reads left to right.
trait Pipe: Sized {
    fn pipe<T>(self, f: impl FnOnce(Self) -> T) -> T {
        f(self)
    }
}

impl<T> Pipe for T {}

#[tokio::test(start_paused = true)]
async fn slow_peers_have_deadlines() {
    let seconds = Duration::from_secs;
    let config = Config::default;
    assert_eq!(gives_up_after(config(), &[]).await, seconds(10));
    let head: &[(u64, &[u8])] = &[(3, b"\x82"), (8, b"\xa3Seq")];
    assert_eq!(gives_up_after(config(), head).await, seconds(13));
    let header = request(1, "Lab.Length", b"\xda\x10\x00");
    let crawl: &[(u64, &[u8])] = &[(0, &header), (9, b"x")];
    assert_eq!(gives_up_after(config(), crawl).await, seconds(10));
    let no_rate = Config {
        least_rate: 0,
        ..config()
    };
    assert_eq!(gives_up_after(no_rate, crawl).await, seconds(39));
}

#[tokio::test(start_paused = true)]
async fn a_request_has_a_least_rate() {
    // After ten seconds the bytes that came have to be worth the time that they took.
    let header = request(1, "Lab.Length", b"\xdb\x00\x01\x00\x00");
    for (came, until) in [(4096 * 11, 11), (4096 * 12 - 1, 11), (4096 * 12, 12)] {
        let quick = [header.as_slice(), &vec![b'x'; came - 5]].concat();
        let gone = gives_up_after(Config::default(), &[(0, &quick)]).await;
        assert_eq!(gone, Duration::from_secs(until), "{came} bytes");
    }
}

#[tokio::test(start_paused = true)]
async fn what_comes_in_time_is_served() {
    let header = request(1, "Lab.Length", b"\xda\x10\x00");
    let body = vec![b'x'; 4096];
    // A second within each time: of the first byte, of a header, of a body's next piece.
    let parts: &[(u64, &[u8])] = &[
        (9, &header[..3]),
        (18, &header[3..]),
        (18, &body[..1]),
        (47, &body[1..]),
    ];
    let opened = Instant::now();
    let mut served = serve(Config {
        least_rate: 0,
        ..Config::default()
    });
    for (at, part) in parts {
        tokio::time::sleep_until(opened + Duration::from_secs(*at)).await;
        served.far.write_all(part).await.unwrap();
    }
    served
        .expect(&reply(1, "Lab.Length", "", b"\xcd\x10\x00"))
        .await;
}

#[tokio::test(start_paused = true)]
async fn an_idle_session_is_kept_for_ever() {
    let mut served = serve(Config::default());
    let ping = request(1, "Lab.Ping", b"\x80");
    served.far.write_all(&ping).await.unwrap();
    served.expect(&reply(1, "Lab.Ping", "", b"\xc0")).await;
    tokio::time::advance(Duration::from_secs(86_400)).await;
    served.far.write_all(&ping).await.unwrap();
    served.expect(&reply(1, "Lab.Ping", "", b"\xc0")).await;
}

#[tokio::test]
async fn a_drain_ends_an_idle_session_and_lets_a_call_finish() {
    let mut idle = serve(Config::default());
    idle.drainer.drain();
    assert!(idle.rest().await.is_empty());

    let mut busy = serve(Config::default());
    let gated = request(1, "Lab.Gated", b"\x80");
    busy.far.write_all(&gated).await.unwrap();
    tokio::task::yield_now().await;
    busy.drainer.drain();
    tokio::task::yield_now().await;
    busy.lab.gate.notify_one();
    assert_eq!(busy.rest().await, reply(1, "Lab.Gated", "", b"\xc3"));
}

#[tokio::test]
async fn nothing_is_read_while_the_service_is_not_ready() {
    let lab = Lab::default();
    let methods = router(lab.clone()).methods();
    let limit = tower::limit::ConcurrencyLimit::new(router(lab.clone()), 1);
    let mut other = limit.clone();
    let permit = other.ready().await.unwrap();
    let mut server = Server::new(methods, limit);
    let (near, mut far) = duplex(64);
    let drainer = Drainer::new();
    let conn = Conn::stream(Session::in_process(), drainer.handle(), near);
    let task = tokio::spawn(server.call(conn));
    far.write_all(&request(1, "Lab.Ping", b"\x80"))
        .await
        .unwrap();
    // The pipe holds 64 bytes: a driver that went on reading would empty it again.
    let ping = request(2, "Lab.Ping", b"\x80");
    tokio::task::yield_now().await;
    far.write_all(&ping).await.unwrap();
    tokio::task::yield_now().await;
    assert_eq!(lab.calls.load(Ordering::Relaxed), 0);
    permit.call(local_ping()).await.unwrap();
    far.shutdown().await.unwrap();
    let mut all = Vec::new();
    far.read_to_end(&mut all).await.unwrap();
    task.await.unwrap().unwrap();
    assert_eq!(lab.calls.load(Ordering::Relaxed), 3);
}

fn local_ping() -> Request {
    use oneport_proto::{Family, Method};
    let unknown = Method::Unknown(Family::NetRpc);
    Request {
        head: Head::new(unknown, Session::in_process(), Instant::now()),
        name: Bytes::from_static(b"Lab.Ping"),
        body: Bytes::from_static(b"\x80"),
    }
}

/// A client whose server is driven by a task of its own, for as long as the drainer lives.
fn client(
    service: Router,
    drainer: &Drainer,
) -> (Client<Channel>, JoinHandle<Result<(), BoxError>>) {
    let mut server = Server::new(service.methods(), service);
    let (near, far) = duplex(1 << 16);
    let near = Conn::stream(Session::in_process(), drainer.handle(), near);
    let far = Conn::stream(Session::in_process(), drainer.handle(), far);
    (
        Client::new(Channel::new(far)),
        tokio::spawn(server.call(near)),
    )
}

#[tokio::test]
async fn a_client_calls_over_a_connection_and_in_process_alike() {
    let drainer = Drainer::new();
    let (mut remote, _task) = client(router(Lab::default()), &drainer);
    let mut local = Client::new(router(Lab::default()));
    assert_eq!(remote.call::<_, u64>("Lab.Double", &4).await.unwrap(), 8);
    assert_eq!(local.call::<_, u64>("Lab.Double", &4).await.unwrap(), 8);
    let error = local.call::<_, u64>("Lab.Double", &u64::MAX).await;
    assert!(matches!(error, Err(CallError::Remote(text)) if text == "too large"));
    let error = local.call::<_, u64>("Lab.None", &1).await;
    assert!(
        matches!(error, Err(CallError::Remote(text)) if text == "rpc: can't find method Lab.None")
    );
}

#[tokio::test]
async fn an_answer_has_a_limit_and_is_refused_by_name() {
    let drainer = Drainer::new();
    let mut server = Server::new(router(Lab::default()).methods(), router(Lab::default()));
    let (near, far) = duplex(1 << 16);
    let near = Conn::stream(Session::in_process(), drainer.handle(), near);
    let far = Conn::stream(Session::in_process(), drainer.handle(), far);
    let _task = tokio::spawn(server.call(near));
    let mut client = Client::new(Channel::with_reply_limit(far, 5));
    let fits = client.call::<_, u64>("Lab.Double", &(1_u64 << 30)).await;
    assert_eq!(fits.unwrap(), 1 << 31);
    let refused = client.call::<_, u64>("Lab.Double", &(1_u64 << 31)).await;
    let text = "bad answer: body of 9 bytes exceeds 5";
    assert_eq!(refused.unwrap_err().to_string(), text);
    let after = client.call::<_, u64>("Lab.Double", &1).await;
    assert!(matches!(after, Err(CallError::Closed)));
}

#[tokio::test(start_paused = true)]
async fn a_channel_with_an_answer_outstanding_is_never_used_again() {
    let lab = Lab::default();
    let drainer = Drainer::new();
    let (client, _task) = client(router(lab.clone()), &drainer);
    let mut client = client.timeout(Duration::from_secs(1));
    let late = client.call::<_, bool>("Lab.Gated", &()).await;
    assert!(matches!(late, Err(CallError::TimedOut)));
    lab.gate.notify_one();
    let after = client.call::<_, u64>("Lab.Double", &1).await;
    assert!(matches!(after, Err(CallError::Closed)));
}

#[tokio::test]
async fn a_host_may_serve_any_request_service() {
    let echo =
        service_fn(|request: Request| async move { Ok::<_, BoxError>(Reply::raw(request.body)) });
    let mut client = Client::new(echo);
    let body = client
        .call_raw("Any.Thing", Bytes::from_static(b"\x07"))
        .await;
    assert_eq!(&body.unwrap()[..], b"\x07");
}
