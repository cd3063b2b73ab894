//! The table of all settings: files, checks, reloads and the reference page are made from it.

use std::time::Duration;

use oneport::{
    LONGEST_GRACE, LONGEST_KEEPALIVE, MOST_CONNS_PER_SECOND,
    services::{drpc::MAX_PATH, msgpack::MAX_DEPTH},
    stack::LONGEST_TIMEOUT,
};

use super::{
    LARGEST_BODY, LONGEST_FIRST_BYTE, LONGEST_PATH, LONGEST_SOCKET, LONGEST_TIME, LONGEST_TTL,
    LONGEST_WAIT, MOST_BLOCKING,
    field::{
        Field::{
            Address, Choice, Flag, Mode, Name, Networks, Path, Rate, Reachable, Rules, Secret,
            Socket, Span, Tokens, Whole,
        },
        Rated::{Alone, WithBurst},
        Spanned::{Maybe, Seconds, Some as Always},
        Whole::{U16, U32, U64, Usize},
    },
    setting::{
        Change::{AtOnce, NewConnections, Restart},
        Setting,
    },
    words,
};

const ZERO: Duration = Duration::ZERO;
const MILLI: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
/// No limit that could be named.
const ANY: u64 = u64::MAX;
const MOST_CONNS: u64 = 1 << 20;
const MOST_CALLS: u64 = 1 << 20;
const U32_MAX: u64 = u32::MAX as u64;
const MOST_STREAMS: u64 = 1 << 20;
/// Sizes in memory, as far as a `u32` or a sane machine goes.
const LARGEST: u64 = LARGEST_BODY as u64;
const MOST_A_SECOND: u64 = MOST_CONNS_PER_SECOND as u64;

/// All settings, in the order of the reference page.
pub const SETTINGS: &[Setting] = &[
    Setting::new(
        "node_name",
        Name(|c| &mut c.node),
        Restart,
        "The node's name.",
    )
    .flag("--node"),
    Setting::new(
        "datacenter",
        Name(|c| &mut c.datacenter),
        Restart,
        "The datacenter's name; upper and lower case differ.",
    )
    .flag("--datacenter"),
    Setting::new(
        "bind_addr",
        Address(|c| &mut c.bind),
        Restart,
        "The address to listen at.",
    )
    .flag("--bind"),
    Setting::new(
        "advertise_addr",
        Reachable(|c| &mut c.advertise),
        Restart,
        "The address that others are told, if it is not the one that is bound.",
    )
    .flag("--advertise"),
    Setting::new(
        "ports.server",
        Whole(U16(|c| &mut c.server_port), 0, 65_535),
        Restart,
        "The port to listen at; 0 is any that is free.",
    )
    .flag("--server-port"),
    Setting::new(
        "default_query_time",
        Span(Always(|c| &mut c.queries.default_time), MILLI, LONGEST_WAIT),
        Restart,
        "How long a blocking query waits that does not say how long.",
    ),
    Setting::new(
        "max_query_time",
        Span(Always(|c| &mut c.queries.max_time), MILLI, LONGEST_WAIT),
        Restart,
        "How long a blocking query may ask to wait; a longer wish counts as this one.",
    ),
    Setting::new(
        "limits.rpc_handshake_timeout",
        Span(Always(|c| &mut c.first_byte), ZERO, LONGEST_FIRST_BYTE),
        NewConnections,
        "How long a connection may take for its first byte; 0 is for ever.",
    ),
    Setting::new(
        "limits.rpc_max_conns_per_client",
        Whole(Usize(|c| &mut c.listen.max_conns_per_source), 0, MOST_CONNS),
        AtOnce,
        "Connections at once from one IPv4 address or IPv6 /64; 0 is no limit.",
    ),
    Setting::new(
        "limits.rpc_rate",
        Rate(Alone(|c| &mut c.stack.rates.rpc.rate)),
        AtOnce,
        "Calls a second, in the long run, all together. Consul holds only an agent's own \
         calls to it; here it holds for the port.",
    ),
    Setting::new(
        "limits.rpc_max_burst",
        Whole(U32(|c| &mut c.stack.rates.rpc.burst), 1, U32_MAX),
        AtOnce,
        "Calls at one moment, all together.",
    ),
    Setting::new(
        "limits.request_limits.mode",
        Choice(words::MODE),
        AtOnce,
        "What is done about a call over one of the limits of its class, source or identity: \
         nothing; count and log it; or refuse it too.",
    ),
    Setting::new(
        "limits.request_limits.read_rate",
        Rate(WithBurst(|c| &mut c.stack.rates.read)),
        AtOnce,
        "Calls a second that change nothing, all together.",
    ),
    Setting::new(
        "limits.request_limits.write_rate",
        Rate(WithBurst(|c| &mut c.stack.rates.write)),
        AtOnce,
        "Calls a second that change something, all together.",
    ),
    Setting::new(
        "performance.leave_drain_time",
        Span(Always(|c| &mut c.listen.grace), ZERO, LONGEST_GRACE),
        AtOnce,
        "How long connections may take to finish when the agent ends.",
    ),
    Setting::new(
        "acl.enabled",
        Flag(|c| &mut c.acl.enabled),
        AtOnce,
        "Whether tokens are asked for; without them everybody may do everything.",
    ),
    Setting::new(
        "acl.default_policy",
        Choice(words::POLICY),
        AtOnce,
        "What holds for keys that no rule is about.",
    ),
    Setting::new(
        "acl.tokens.initial_management",
        Secret(|c| &mut c.acl.management),
        AtOnce,
        "The secret of a token that may do everything.",
    ),
    Setting::new(
        "log_level",
        Choice(words::LEVEL),
        AtOnce,
        "How much is logged; where it is not set, what RUST_LOG says, else info.",
    )
    .flag("--log-level"),
    Setting::new(
        "log_json",
        Flag(|c| &mut c.log_json),
        Restart,
        "Log JSON, an object a line.",
    )
    .flag("--log-json"),
    Setting::new(
        "pid_file",
        Path(|c| &mut c.pid_file, LONGEST_PATH),
        Restart,
        "A file for the process id: written when all is bound, removed at the end.",
    )
    .flag("--pid-file"),
    Setting::new(
        "telemetry.metrics_prefix",
        Name(|c| &mut c.metrics_prefix),
        Restart,
        "What the names of Consul's metrics begin with; ours begin with oneport.",
    ),
    Setting::new(
        "oneport.admin_socket",
        Path(|c| &mut c.admin_socket, LONGEST_SOCKET),
        Restart,
        "A unix socket for metrics, state, readiness and reloads, mode 0600. The agent's \
         default is oneport-PORT.sock in XDG_RUNTIME_DIR where that is set.",
    )
    .flag("--admin-socket"),
    Setting::new(
        "oneport.metrics_addr",
        Socket(|c| &mut c.metrics_addr),
        Restart,
        "An address for scraping metrics and readiness by HTTP; it needs no password, so bind \
         it where only your monitoring is.",
    )
    .flag("--metrics-addr"),
    Setting::new(
        "oneport.drpc.socket",
        Path(|c| &mut c.drpc.socket, MAX_PATH),
        Restart,
        "A SOCK_SEQPACKET unix socket for programs of this host: DAOS dRPC with modules 16 \
         (status), 17 (keys and values) and 18 (reload, for the agent's own user and root).",
    )
    .flag("--drpc-socket"),
    Setting::new(
        "oneport.drpc.mode",
        Mode(|c| &mut c.drpc.mode),
        Restart,
        "The mode of the dRPC socket: whoever may write may call.",
    )
    .flag("--drpc-mode"),
    Setting::new(
        "oneport.drpc.max_sessions",
        Whole(Usize(|c| &mut c.drpc.listen.max_sessions), 1, MOST_CONNS),
        Restart,
        "dRPC sessions at once, in all.",
    ),
    Setting::new(
        "oneport.drpc.max_sessions_per_user",
        Whole(
            Usize(|c| &mut c.drpc.listen.max_sessions_per_user),
            1,
            MOST_CONNS,
        ),
        Restart,
        "dRPC sessions at once of one user of this host.",
    ),
    Setting::new(
        "oneport.drpc.message_limit",
        Whole(Usize(|c| &mut c.drpc.messages.message_limit), 1, LARGEST),
        Restart,
        "The largest dRPC call, in bytes.",
    ),
    Setting::new(
        "oneport.drpc.memory",
        Whole(Usize(|c| &mut c.drpc.messages.memory), 1, ANY),
        Restart,
        "Memory for dRPC calls of more than one packet, of all sessions together, in bytes.",
    ),
    Setting::new(
        "oneport.drpc.message_time",
        Span(
            Always(|c| &mut c.drpc.messages.message_time),
            MILLI,
            LONGEST_TIME,
        ),
        Restart,
        "How long a dRPC call may take from its first packet to its last.",
    ),
    Setting::new(
        "oneport.drpc.write_stall",
        Span(
            Always(|c| &mut c.drpc.messages.write_stall),
            MILLI,
            LONGEST_TIME,
        ),
        Restart,
        "How long a dRPC client may take nothing of its answer.",
    ),
    Setting::new(
        "oneport.drpc.idle",
        Span(Maybe(|c| &mut c.drpc.messages.idle), MILLI, LONGEST_TIME),
        Restart,
        "How long a dRPC session may be idle; 0 is for ever, as in DAOS.",
    ),
    Setting::new(
        "oneport.listen.max_conns",
        Whole(Usize(|c| &mut c.listen.max_conns), 0, MOST_CONNS),
        AtOnce,
        "Connections at once, in all; 0 is no limit.",
    ),
    Setting::new(
        "oneport.listen.conns_per_second",
        Whole(U32(|c| &mut c.listen.conns_per_second), 0, MOST_A_SECOND),
        AtOnce,
        "New connections a second from one source, in the long run; 0 is no limit.",
    ),
    Setting::new(
        "oneport.listen.conn_burst",
        Whole(U32(|c| &mut c.listen.conn_burst), 0, MOST_A_SECOND),
        AtOnce,
        "New connections from one source at one moment; at least 1 beside conns_per_second.",
    ),
    Setting::new(
        "oneport.listen.keepalive",
        Span(
            Seconds(|c| &mut c.listen.keepalive),
            ZERO,
            LONGEST_KEEPALIVE,
        ),
        Restart,
        "The time between TCP keepalive probes; 0 sends none.",
    ),
    Setting::new(
        "oneport.listen.all_conns_per_second",
        Whole(
            U32(|c| &mut c.listen.all_conns_per_second),
            0,
            MOST_A_SECOND,
        ),
        AtOnce,
        "New connections a second in all, in the long run; 0 is no limit.",
    ),
    Setting::new(
        "oneport.listen.all_conn_burst",
        Whole(U32(|c| &mut c.listen.all_conn_burst), 0, MOST_A_SECOND),
        AtOnce,
        "New connections in all at one moment; at least 1 beside all_conns_per_second.",
    ),
    Setting::new(
        "oneport.timeouts.read",
        Span(
            Always(|c| &mut c.stack.timeouts.read),
            ZERO,
            LONGEST_TIMEOUT,
        ),
        AtOnce,
        "How long a call may take that changes nothing; a blocking query waits on top of it. \
         0 is no limit.",
    ),
    Setting::new(
        "oneport.timeouts.write",
        Span(
            Always(|c| &mut c.stack.timeouts.write),
            ZERO,
            LONGEST_TIMEOUT,
        ),
        AtOnce,
        "How long a call may take that changes something; it may have happened all the same. \
         0 is no limit.",
    ),
    Setting::new(
        "oneport.timeouts.exempt",
        Span(
            Always(|c| &mut c.stack.timeouts.exempt),
            ZERO,
            LONGEST_TIMEOUT,
        ),
        AtOnce,
        "How long a call may take that no rate limits, as Status.Ping. 0 is no limit.",
    ),
    Setting::new(
        "oneport.in_flight.calls",
        Whole(Usize(|c| &mut c.stack.in_flight.calls), 0, MOST_CALLS),
        AtOnce,
        "Calls at once, in all; 0 is no limit.",
    ),
    Setting::new(
        "oneport.in_flight.calls_per_connection",
        Whole(
            Usize(|c| &mut c.stack.in_flight.calls_per_connection),
            0,
            MOST_CALLS,
        ),
        AtOnce,
        "Calls at once on one connection; 0 is no limit.",
    ),
    Setting::new(
        "oneport.in_flight.waiting",
        Whole(Usize(|c| &mut c.stack.in_flight.waiting), 0, MOST_CALLS),
        AtOnce,
        "Blocking queries at once, in all; one more is refused. 0 is no limit.",
    ),
    Setting::new(
        "oneport.in_flight.waiting_per_connection",
        Whole(
            Usize(|c| &mut c.stack.in_flight.waiting_per_connection),
            0,
            MOST_CALLS,
        ),
        AtOnce,
        "Blocking queries at once on one connection; 0 is no limit.",
    ),
    Setting::new(
        "oneport.rate_limits.source_rate",
        Rate(Alone(|c| &mut c.stack.rates.source.rate)),
        AtOnce,
        "Calls a second of one IPv4 address or IPv6 /64; what is done about more says \
         request_limits.mode.",
    ),
    Setting::new(
        "oneport.rate_limits.source_burst",
        Whole(U32(|c| &mut c.stack.rates.source.burst), 1, U32_MAX),
        AtOnce,
        "Calls at one moment of one IPv4 address or IPv6 /64.",
    ),
    Setting::new(
        "oneport.rate_limits.identity_rate",
        Rate(Alone(|c| &mut c.stack.rates.identity.rate)),
        AtOnce,
        "Calls a second of one identity, which is the name of a token; what is done about \
         more says request_limits.mode.",
    ),
    Setting::new(
        "oneport.rate_limits.identity_burst",
        Whole(U32(|c| &mut c.stack.rates.identity.burst), 1, U32_MAX),
        AtOnce,
        "Calls at one moment of one identity.",
    ),
    Setting::new(
        "oneport.acl.tokens",
        Tokens(|c| &mut c.acl.tokens),
        AtOnce,
        "Tokens and what their holders may do, where acl.enabled is true. The lists of \
         several files are put together.",
    ),
    Setting::new(
        "oneport.acl.anonymous",
        Rules(|c| &mut c.acl.anonymous),
        AtOnce,
        "What callers without a token may do, where acl.enabled is true.",
    ),
    Setting::new(
        "oneport.networks.allow",
        Networks(|c| &mut c.networks.allow),
        AtOnce,
        "If there are any, calls come from these networks only.",
    ),
    Setting::new(
        "oneport.networks.deny",
        Networks(|c| &mut c.networks.deny),
        AtOnce,
        "No call comes from these networks, also if they are allowed.",
    ),
    Setting::new(
        "oneport.queries.max_blocking",
        Whole(
            Usize(|c| &mut c.queries.max_blocking),
            0,
            MOST_BLOCKING as u64,
        ),
        AtOnce,
        "Blocking queries that may wait at once; one more is answered at once with what there \
         is.",
    ),
    Setting::new(
        "oneport.tombstones.ttl",
        Span(Always(|c| &mut c.tombstones.ttl), MILLI, LONGEST_TTL),
        Restart,
        "How long the indexes of lists remember a deletion.",
    ),
    Setting::new(
        "oneport.tombstones.granularity",
        Span(
            Always(|c| &mut c.tombstones.granularity),
            SECOND,
            LONGEST_TTL,
        ),
        Restart,
        "How often old tombstones are looked for.",
    ),
    Setting::new(
        "oneport.netrpc.header_limit",
        Whole(Usize(|c| &mut c.netrpc.header_limit), 1, LARGEST),
        NewConnections,
        "Largest request header, in bytes.",
    ),
    Setting::new(
        "oneport.netrpc.method_limit",
        Whole(Usize(|c| &mut c.netrpc.method_limit), 1, LARGEST),
        NewConnections,
        "Longest method name, in bytes.",
    ),
    Setting::new(
        "oneport.netrpc.body_limit",
        Whole(Usize(|c| &mut c.netrpc.body_limit), 1, LARGEST),
        NewConnections,
        "Largest request body, in bytes.",
    ),
    Setting::new(
        "oneport.netrpc.depth",
        Whole(Usize(|c| &mut c.netrpc.depth), 1, MAX_DEPTH as u64),
        NewConnections,
        "Deepest nesting of a request body.",
    ),
    Setting::new(
        "oneport.netrpc.elements",
        Whole(U64(|c| &mut c.netrpc.elements), 1, ANY),
        NewConnections,
        "Most elements of a request body.",
    ),
    Setting::new(
        "oneport.netrpc.first_request",
        Span(Maybe(|c| &mut c.netrpc.first_request), MILLI, LONGEST_TIME),
        NewConnections,
        "How long a connection may be silent before its first request.",
    ),
    Setting::new(
        "oneport.netrpc.head_time",
        Span(Always(|c| &mut c.netrpc.head_time), MILLI, LONGEST_TIME),
        NewConnections,
        "How long a request header may take from its first byte.",
    ),
    Setting::new(
        "oneport.netrpc.body_stall",
        Span(Always(|c| &mut c.netrpc.body_stall), MILLI, LONGEST_TIME),
        NewConnections,
        "How long a request body may make no progress.",
    ),
    Setting::new(
        "oneport.netrpc.least_rate",
        Whole(U64(|c| &mut c.netrpc.least_rate), 0, LARGEST),
        NewConnections,
        "The least mean rate of a request under way, in bytes a second; 0 asks for none.",
    ),
    Setting::new(
        "oneport.netrpc.least_rate_after",
        Span(
            Always(|c| &mut c.netrpc.least_rate_after),
            ZERO,
            LONGEST_TIME,
        ),
        NewConnections,
        "From when on, counted from a request's first byte, the least rate is asked for.",
    ),
    Setting::new(
        "oneport.netrpc.write_stall",
        Span(Maybe(|c| &mut c.netrpc.write_stall), MILLI, LONGEST_TIME),
        NewConnections,
        "How long a peer may take none of what is to be sent to it.",
    ),
    Setting::new(
        "oneport.netrpc.linger",
        Span(Always(|c| &mut c.netrpc.linger), ZERO, LONGEST_TIME),
        NewConnections,
        "How long a session that refused a request waits for silence, so that its answer is \
         read.",
    ),
    Setting::new(
        "oneport.netrpc.linger_bytes",
        Whole(Usize(|c| &mut c.netrpc.linger_bytes), 0, LARGEST),
        NewConnections,
        "Bytes of a refused request that are thrown away before the connection is closed.",
    ),
    Setting::new(
        "oneport.yamux.first_frame",
        Span(Always(|c| &mut c.yamux.first_frame), MILLI, LONGEST_TIME),
        NewConnections,
        "How long a client may be silent before its first frame.",
    ),
    Setting::new(
        "oneport.yamux.probation",
        Whole(Usize(|c| &mut c.yamux.probation), 0, ANY),
        NewConnections,
        "Bytes that the streams of a session may cost before one of them has carried a whole \
         request.",
    ),
    Setting::new(
        "oneport.yamux.max_streams",
        Whole(Usize(|c| &mut c.yamux.max_streams), 1, MOST_STREAMS),
        NewConnections,
        "Streams open at once in one session.",
    ),
    Setting::new(
        "oneport.yamux.accept_backlog",
        Whole(Usize(|c| &mut c.yamux.accept_backlog), 1, MOST_STREAMS),
        NewConnections,
        "Streams that wait to be taken; one more is reset.",
    ),
    Setting::new(
        "oneport.yamux.max_silent",
        Whole(Usize(|c| &mut c.yamux.max_silent), 1, MOST_STREAMS),
        NewConnections,
        "Streams taken that have not carried a byte yet.",
    ),
    Setting::new(
        "oneport.yamux.silent_timeout",
        Span(Always(|c| &mut c.yamux.silent_timeout), MILLI, LONGEST_TIME),
        NewConnections,
        "How long a stream may be open without a byte.",
    ),
    Setting::new(
        "oneport.yamux.max_unacked",
        Whole(Usize(|c| &mut c.yamux.max_unacked), 1, MOST_STREAMS),
        NewConnections,
        "Streams of ours that the peer has not accepted yet.",
    ),
    Setting::new(
        "oneport.yamux.open_timeout",
        Span(Always(|c| &mut c.yamux.open_timeout), MILLI, LONGEST_TIME),
        NewConnections,
        "How long a peer may take to accept a stream of ours.",
    ),
    Setting::new(
        "oneport.yamux.close_timeout",
        Span(Always(|c| &mut c.yamux.close_timeout), MILLI, LONGEST_TIME),
        NewConnections,
        "How long a peer may take to close its half of a stream after ours.",
    ),
    Setting::new(
        "oneport.yamux.max_stream_window",
        Whole(U32(|c| &mut c.yamux.max_stream_window), 0, LARGEST),
        NewConnections,
        "How far a stream's receive window may grow, in bytes; it is never below 262144.",
    ),
    Setting::new(
        "oneport.yamux.session_window",
        Whole(Usize(|c| &mut c.yamux.session_window), 0, LARGEST),
        NewConnections,
        "Unread bytes of a session above which it gets no credit.",
    ),
    Setting::new(
        "oneport.yamux.max_unread",
        Whole(Usize(|c| &mut c.yamux.max_unread), 0, LARGEST),
        NewConnections,
        "Unread bytes of a session above which its newest stream is reset; at least \
         session_window.",
    ),
    Setting::new(
        "oneport.yamux.fatal_unread",
        Whole(Usize(|c| &mut c.yamux.fatal_unread), 0, LARGEST),
        NewConnections,
        "Unread bytes of a session above which it ends; at least max_unread.",
    ),
    Setting::new(
        "oneport.yamux.max_outgoing",
        Whole(Usize(|c| &mut c.yamux.max_outgoing), 1, LARGEST),
        NewConnections,
        "Outgoing bytes of a session at which writes wait.",
    ),
    Setting::new(
        "oneport.yamux.max_pending",
        Whole(Usize(|c| &mut c.yamux.max_pending), 0, LARGEST),
        NewConnections,
        "Bytes waiting for credit at which a session's streams get nothing more to read.",
    ),
    Setting::new(
        "oneport.yamux.write_timeout",
        Span(Always(|c| &mut c.yamux.write_timeout), MILLI, LONGEST_TIME),
        NewConnections,
        "How long a connection may take no byte while there are some to send.",
    ),
    Setting::new(
        "oneport.yamux.keepalive_interval",
        Span(
            Always(|c| &mut c.yamux.keepalive_interval),
            MILLI,
            LONGEST_TIME,
        ),
        NewConnections,
        "How often a peer is pinged.",
    ),
    Setting::new(
        "oneport.yamux.keepalive_timeout",
        Span(
            Always(|c| &mut c.yamux.keepalive_timeout),
            MILLI,
            LONGEST_TIME,
        ),
        NewConnections,
        "How long the answer to a ping may take.",
    ),
    Setting::new(
        "oneport.yamux.pings.per_second",
        Whole(U32(|c| &mut c.yamux.pings.per_second), 0, MOST_A_SECOND),
        NewConnections,
        "Pings that a peer may send, in the long run.",
    ),
    Setting::new(
        "oneport.yamux.pings.burst",
        Whole(U32(|c| &mut c.yamux.pings.burst), 0, MOST_A_SECOND),
        NewConnections,
        "Pings that a peer may send at once.",
    ),
    Setting::new(
        "oneport.yamux.resets.per_second",
        Whole(U32(|c| &mut c.yamux.resets.per_second), 0, MOST_A_SECOND),
        NewConnections,
        "Streams that a peer may reset, or have reset, in the long run.",
    ),
    Setting::new(
        "oneport.yamux.resets.burst",
        Whole(U32(|c| &mut c.yamux.resets.burst), 0, MOST_A_SECOND),
        NewConnections,
        "Streams that a peer may reset, or have reset, at once.",
    ),
    Setting::new(
        "oneport.yamux.empty_frames.per_second",
        Whole(
            U32(|c| &mut c.yamux.empty_frames.per_second),
            0,
            MOST_A_SECOND,
        ),
        NewConnections,
        "Frames without content that a peer may send, in the long run.",
    ),
    Setting::new(
        "oneport.yamux.empty_frames.burst",
        Whole(U32(|c| &mut c.yamux.empty_frames.burst), 0, MOST_A_SECOND),
        NewConnections,
        "Frames without content that a peer may send at once.",
    ),
    Setting::new(
        "oneport.yamux.unknown_frames.per_second",
        Whole(
            U32(|c| &mut c.yamux.unknown_frames.per_second),
            0,
            MOST_A_SECOND,
        ),
        NewConnections,
        "Frames for streams that never were, in the long run.",
    ),
    Setting::new(
        "oneport.yamux.unknown_frames.burst",
        Whole(U32(|c| &mut c.yamux.unknown_frames.burst), 0, MOST_A_SECOND),
        NewConnections,
        "Frames for streams that never were, at once.",
    ),
    Setting::new(
        "oneport.yamux.polls_per_turn",
        Whole(Usize(|c| &mut c.yamux.polls_per_turn), 1, MOST_STREAMS),
        NewConnections,
        "Streams that a session works on before other connections get their turn.",
    ),
];
