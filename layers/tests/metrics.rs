//! What is counted, under which name.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::{
    collections::{BTreeMap, BTreeSet},
    future::pending,
    sync::Arc,
    time::Duration,
};

use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use oneport_layers::{
    MetricsLayer, RateLimitLayer,
    bucket::{Limit, Rate},
    metrics::{CALLS, CONSUL_CALL, DURATION, ERRORS, IN_FLIGHT, REFUSED, UNSTAMPED},
    rate_limit::{EXCEEDED, LOG_DROPPED, Limiter, Limits, Mode},
    testing::{Ping, Pong},
};
use oneport_proto::{
    BoxError, Class, Code, Family, Head, Method, MethodInfo, Refusal, Session, Status,
};
use tokio::time::{Instant, advance};
use tower::{Layer, Service, ServiceExt, service_fn};

/// What was recorded: by name and labels, in the order of the catalogue.
type Counts = BTreeMap<String, Vec<f64>>;

fn counts(snapshotter: &Snapshotter) -> Counts {
    let read = |value| match value {
        DebugValue::Counter(count) => vec![f64::from(u32::try_from(count).unwrap())],
        DebugValue::Gauge(value) => vec![value.into_inner()],
        DebugValue::Histogram(values) => {
            values.into_iter().map(|value| value.into_inner()).collect()
        }
    };
    let all = snapshotter.snapshot().into_vec();
    let named = all.into_iter().map(|(key, _, _, value)| {
        let labels = key.key().labels().map(|label| {
            let (name, value) = label.clone().into_parts();
            format!("{name}={value}")
        });
        let labels = labels.collect::<Vec<_>>().join(",");
        (format!("{}{{{labels}}}", key.key().name()), read(value))
    });
    named.collect()
}

/// Runs `test` under a recorder of its own.
fn recorded(test: impl Future<Output = ()>) -> Counts {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    metrics::with_local_recorder(&recorder, || runtime.block_on(test));
    counts(&snapshotter)
}

fn ping(name: &'static str, family: Family, class: Class) -> Ping {
    let info = MethodInfo::intern(family, name, class).unwrap();
    of(Method::Known(info))
}

fn of(method: Method) -> Ping {
    Ping {
        head: Some(Head::new(method, Session::in_process(), Instant::now())),
    }
}

async fn serve(_: Ping) -> Result<Pong, BoxError> {
    Ok(Pong::new())
}

#[test]
fn a_call_is_counted_when_its_reply_has_ended() {
    let counted = recorded(async {
        let mut service = MetricsLayer::new().layer(service_fn(serve));
        let call = service.call(ping("M.Get", Family::Grpc, Class::Read));
        let reply = call.await.unwrap();
        advance(Duration::from_secs(3)).await;
        reply.finish(Code::Ok);
    });
    let labels = "protocol=grpc,method=M.Get";
    assert_eq!(counted[&format!("{CALLS}{{{labels}}}")], [1.0]);
    assert_eq!(counted[&format!("{IN_FLIGHT}{{{labels}}}")], [0.0]);
    assert_eq!(
        counted[&format!("{DURATION}{{{labels},blocking=false}}")],
        [3.0]
    );
    assert_eq!(counted.len(), 3, "{counted:?}");
}

#[test]
fn who_gives_up_cancelled_it() {
    let counted = recorded(async {
        let layer = MetricsLayer::new();
        // Before the answer.
        let never = service_fn(|_: Ping| pending::<Result<Pong, BoxError>>());
        let call = layer
            .layer(never)
            .oneshot(ping("M.Wait", Family::Grpc, Class::Read));
        assert!(
            tokio::time::timeout(Duration::from_secs(1), call)
                .await
                .is_err()
        );
        // In the middle of a stream.
        let call =
            layer
                .layer(service_fn(serve))
                .oneshot(ping("M.Wait", Family::Grpc, Class::Read));
        drop(call.await.unwrap());
        // Before it was polled at all.
        let mut service = layer.layer(service_fn(serve));
        drop(service.call(ping("M.Wait", Family::Grpc, Class::Read)));
    });
    let labels = "protocol=grpc,method=M.Wait";
    assert_eq!(
        counted[&format!("{ERRORS}{{{labels},code=cancelled}}")],
        [3.0]
    );
    assert_eq!(counted[&format!("{IN_FLIGHT}{{{labels}}}")], [0.0]);
}

#[test]
fn an_error_is_counted_by_its_code_and_a_refusal_by_its_reason() {
    let counted = recorded(async {
        let fails = service_fn(|_: Ping| async {
            Err::<Pong, BoxError>(Status::from(Refusal::Timeout).into())
        });
        let layer = MetricsLayer::new();
        let call = layer
            .layer(fails)
            .oneshot(ping("M.Fail", Family::Drpc, Class::Write));
        call.await.unwrap_err();
        let odd = service_fn(|_: Ping| async { Err::<Pong, BoxError>("odd".into()) });
        let call = layer
            .layer(odd)
            .oneshot(ping("M.Fail", Family::Drpc, Class::Write));
        call.await.unwrap_err();
        // The end of a stream has a code too.
        let call =
            layer
                .layer(service_fn(serve))
                .oneshot(ping("M.Fail", Family::Drpc, Class::Write));
        call.await.unwrap().finish(Code::DataLoss);
    });
    let labels = "protocol=drpc,method=M.Fail";
    for code in ["deadline_exceeded", "unknown", "data_loss"] {
        assert_eq!(counted[&format!("{ERRORS}{{{labels},code={code}}}")], [1.0]);
    }
    assert_eq!(
        counted[&format!("{REFUSED}{{{labels},reason=timeout}}")],
        [1.0]
    );
}

#[test]
fn a_panic_is_an_internal_error() {
    let counted = recorded(async {
        let panics = service_fn(|_: Ping| async {
            std::panic::resume_unwind(Box::new("on purpose"));
            #[allow(unreachable_code, reason = "it names the type")]
            Ok::<Pong, BoxError>(Pong::new())
        });
        let call = MetricsLayer::new().layer(panics);
        let call = call.oneshot(ping("M.Panic", Family::Grpc, Class::Read));
        // A task catches it, as a driver does; the call is dropped when all is over.
        assert!(tokio::spawn(call).await.unwrap_err().is_panic());
    });
    let labels = "protocol=grpc,method=M.Panic,code=internal";
    assert_eq!(counted[&format!("{ERRORS}{{{labels}}}")], [1.0]);
}

#[test]
fn what_nobody_registered_is_one_method_of_each_protocol() {
    let counted = recorded(async {
        let layer = MetricsLayer::new();
        for family in [
            Family::NetRpc,
            Family::Grpc,
            Family::Host("mine"),
            Family::Host("mine"),
        ] {
            let call = layer
                .layer(service_fn(serve))
                .oneshot(of(Method::Unknown(family)));
            call.await.unwrap().finish(Code::Ok);
        }
        let accept = of(Method::Known(MethodInfo::accept()));
        let call = layer.layer(service_fn(serve)).oneshot(accept);
        call.await.unwrap().finish(Code::Ok);
    });
    for (labels, calls) in [
        ("protocol=netrpc,method=unknown", 1.0),
        ("protocol=grpc,method=unknown", 1.0),
        ("protocol=mine,method=unknown", 2.0),
        ("protocol=connection,method=accept", 1.0),
    ] {
        assert_eq!(counted[&format!("{CALLS}{{{labels}}}")], [calls]);
    }
}

#[test]
fn a_request_without_a_head_is_counted() {
    let counted = recorded(async {
        let service = MetricsLayer::new().layer(service_fn(serve));
        service.oneshot(Ping::unstamped()).await.unwrap_err();
    });
    assert_eq!(counted[&format!("{UNSTAMPED}{{}}")], [1.0]);
    assert_eq!(counted.len(), 1);
}

/// Consul's own name, kind, unit and labels.
#[test]
fn a_netrpc_call_is_counted_as_consul_does() {
    let counted = recorded(async {
        let layer = MetricsLayer::new();
        let mut service = layer.layer(service_fn(serve));
        let mut read = ping("M.Consul", Family::NetRpc, Class::Read);
        read.head.as_mut().unwrap().wait = Some(Duration::from_secs(1));
        let reply = service.call(read).await.unwrap();
        advance(Duration::from_millis(20)).await;
        reply.finish(Code::Ok);
        layer.set_leader(true);
        let call = service.call(ping("M.Apply", Family::NetRpc, Class::Write));
        call.await.unwrap().finish(Code::NotFound);
    });
    let read = "method=M.Consul,errored=false,request_type=read,rpc_type=net/rpc,\
                leader=unreported,blocking=true";
    assert_eq!(counted[&format!("{CONSUL_CALL}{{{read}}}")], [20.0]);
    let write = "method=M.Apply,errored=true,request_type=write,rpc_type=net/rpc,\
                 leader=true,blocking=false";
    assert_eq!(counted[&format!("{CONSUL_CALL}{{{write}}}")], [0.0]);
}

/// Every metric is in the catalogue with its labels, and everything in the catalogue is counted.
#[test]
fn the_catalogue_is_what_is_counted() {
    let counted = recorded(async {
        let limiter = Arc::new(Limiter::new(Limits {
            mode: Mode::Enforcing,
            read: Limit {
                rate: Rate::per_second(0.001).unwrap(),
                burst: 1,
            },
            ..Limits::default()
        }));
        let limited = RateLimitLayer::new(limiter).layer(service_fn(serve));
        let service = MetricsLayer::new().layer(limited);
        // More than are logged in a second.
        for _ in 0..100 {
            let call = ping("M.All", Family::NetRpc, Class::Read);
            let _refused = service.clone().oneshot(call).await;
        }
        service.oneshot(Ping::unstamped()).await.unwrap_err();
    });
    let counted: BTreeSet<_> = counted
        .keys()
        .map(|key| {
            let (name, labels) = key.trim_end_matches('}').split_once('{').unwrap();
            let labels = labels.split(',').filter(|label| !label.is_empty());
            let labels = labels.map(|label| label.split_once('=').unwrap().0.to_owned());
            (name.to_owned(), labels.collect::<BTreeSet<_>>())
        })
        .collect();
    assert_eq!(counted, catalogue());
}

/// The table on the module's page.
fn catalogue() -> BTreeSet<(String, BTreeSet<String>)> {
    let names = [
        ("CALLS", CALLS),
        ("ERRORS", ERRORS),
        ("REFUSED", REFUSED),
        ("DURATION", DURATION),
        ("IN_FLIGHT", IN_FLIGHT),
        ("UNSTAMPED", UNSTAMPED),
        ("CONSUL_CALL", CONSUL_CALL),
        ("EXCEEDED", EXCEEDED),
        ("LOG_DROPPED", LOG_DROPPED),
    ];
    let rows = include_str!("../src/metrics.rs")
        .lines()
        .filter_map(|line| {
            let row = line.strip_prefix("//! | [`")?;
            let (name, row) = row.split_once("`]")?;
            let labels = row.split('|').nth(2)?;
            let labels = labels.split('`').skip(1).step_by(2).map(str::to_owned);
            let (_, name) = names.iter().find(|(known, _)| *known == name).unwrap();
            Some(((*name).to_owned(), labels.collect()))
        });
    rows.collect()
}
