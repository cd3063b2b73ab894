//! The rules of yamux as Consul's server shows them, line by line of the recorded matrix. Where we
//! differ on purpose the id of the deviation stands beside it.
#![cfg(feature = "yamux")]

mod yamux_support;

use bytes::Bytes;
use oneport_services::yamux::{
    Config,
    frame::{Flags, Header},
};
use yamux_support::*;

const CALL: &[u8] = b"\x82\xa3Seq\x01\xadServiceMethod\xabStatus.Ping\x80";

fn server() -> Peer {
    Peer::new(echo(), Config::default())
}

fn flagged(frame: Frame, flags: Flags) -> Frame {
    Frame {
        header: Header {
            flags,
            ..frame.header
        },
        ..frame
    }
}

#[tokio::test(start_paused = true)]
async fn two_calls_on_one_stream() {
    let mut peer = server();
    peer.send(&[syn(1), data(1, CALL)]).await;
    peer.expect(&[ack(1), data(1, CALL)]).await;
    peer.send(&[data(1, b"second")]).await;
    peer.expect(&[data(1, b"second")]).await;
    peer.expect_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn syn_on_the_data_frame() {
    let mut peer = server();
    peer.send(&[flagged(data(1, CALL), Flags::SYN)]).await;
    peer.expect(&[ack(1), data(1, CALL)]).await;
    peer.expect_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn even_ids_are_tolerated() {
    let mut peer = server();
    peer.send(&[syn(2), data(2, CALL)]).await;
    peer.expect(&[ack(2), data(2, CALL)]).await;
    peer.expect_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn ids_in_any_order() {
    let mut peer = server();
    peer.send(&[syn(99), data(99, CALL)]).await;
    peer.expect(&[ack(99), data(99, CALL)]).await;
    peer.send(&[syn(7), data(7, CALL)]).await;
    peer.expect(&[ack(7), data(7, CALL)]).await;
    peer.expect_quiet().await;
}

/// D-yamux-id-0: Consul serves it; we refuse, since 0 is the session itself.
#[tokio::test(start_paused = true)]
async fn stream_zero_is_refused() {
    for frame in [syn(0), data(0, CALL), window(0, Flags::NONE, 1)] {
        let mut peer = server();
        peer.send(&[frame]).await;
        assert_eq!(peer.expect_fault().await, "yamux: stream id 0");
    }
}

/// D-yamux-goaway-1: in this and all following faults Consul queues the go-away too, but closes
/// before it is sent.
#[tokio::test(start_paused = true)]
async fn a_second_syn_for_a_live_stream_ends_the_session() {
    let mut peer = server();
    peer.send(&[syn(1), data(1, CALL)]).await;
    peer.expect(&[ack(1), data(1, CALL)]).await;
    peer.send(&[syn(1)]).await;
    let why = peer.expect_fault().await;
    assert_eq!(why, "yamux: second SYN for an open stream");
}

#[tokio::test(start_paused = true)]
async fn a_wrong_version_or_type_ends_the_session() {
    for (at, value, why) in [
        (0, 1, "yamux: yamux version 1"),
        (1, 4, "yamux: yamux frame type 4"),
    ] {
        let mut peer = server();
        let mut header = Header::window(1, Flags::SYN, 0).encode();
        header[at] = value;
        peer.send_bytes(&header).await;
        assert_eq!(peer.expect_fault().await, why);
    }
}

#[tokio::test(start_paused = true)]
async fn frames_for_unknown_streams_are_ignored() {
    let mut peer = server();
    peer.send(&[
        data(9, CALL),
        window(9, Flags::NONE, 5),
        fin(9),
        rst(9),
        syn(1),
        data(1, CALL),
    ])
    .await;
    peer.expect(&[ack(1), data(1, CALL)]).await;
    peer.expect_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn pings_are_echoed_and_their_answers_ignored() {
    let mut peer = server();
    for value in [0xdead_beef, 0, u32::MAX] {
        peer.send(&[ping(Flags::SYN, value), ping(Flags::ACK, 77)])
            .await;
        peer.expect(&[ping(Flags::ACK, value)]).await;
    }
    peer.expect_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn go_away_0_does_not_bind_who_sends_it() {
    let mut peer = server();
    peer.send(&[go_away(0), syn(1), data(1, CALL)]).await;
    peer.expect(&[ack(1), data(1, CALL)]).await;
    peer.expect_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn any_other_go_away_ends_the_session() {
    for code in [1, 2, 9] {
        let mut peer = server();
        peer.send(&[go_away(code)]).await;
        let why = peer.expect_end(None).await;
        assert_eq!(
            why,
            format!("yamux: the peer ended the session with code {code}")
        );
    }
}

/// D-yamux-silent: Consul does not accept stream 3 before stream 1 has carried a byte.
#[tokio::test(start_paused = true)]
async fn a_silent_stream_delays_nobody() {
    let mut peer = server();
    peer.send(&[syn(1), syn(3), data(3, CALL)]).await;
    peer.expect(&[ack(1), ack(3), data(3, CALL)]).await;
    peer.send(&[data(1, CALL)]).await;
    peer.expect(&[data(1, CALL)]).await;
    peer.expect_quiet().await;
}

/// D-yamux-empty: Consul ends the session.
#[tokio::test(start_paused = true)]
async fn an_empty_stream_is_only_its_own_end() {
    let mut peer = server();
    peer.send(&[syn(1), data(1, CALL)]).await;
    peer.expect(&[ack(1), data(1, CALL)]).await;
    peer.send(&[syn(3), fin(3)]).await;
    peer.expect(&[ack(3), fin(3)]).await;
    peer.send(&[syn(5), rst(5)]).await;
    peer.send(&[data(1, CALL)]).await;
    peer.expect(&[data(1, CALL)]).await;
    peer.expect_quiet().await;
}

/// D-yamux-ack-after-fin: Consul sends no ACK when FIN came before it looked.
#[tokio::test(start_paused = true)]
async fn fin_right_behind_the_request() {
    let mut peer = server();
    peer.send(&[syn(1), data(1, CALL), fin(1)]).await;
    peer.expect(&[ack(1), data(1, CALL), fin(1)]).await;
    peer.expect_quiet().await;
}

/// D-yamux-ack-after-fin.
#[tokio::test(start_paused = true)]
async fn syn_fin_and_data_in_one_frame() {
    let mut peer = server();
    peer.send(&[flagged(data(1, CALL), Flags::SYN.with(Flags::FIN))])
        .await;
    peer.expect(&[ack(1), data(1, CALL), fin(1)]).await;
    peer.expect_alive(3).await;
}

/// The FIN of a data frame takes effect behind its payload, however that is cut.
#[tokio::test(start_paused = true)]
async fn fin_and_data_cut_in_two() {
    let mut peer = server();
    let frame = flagged(data(1, b"halves"), Flags::SYN.with(Flags::FIN));
    peer.send_bytes(&frame.header.encode()).await;
    peer.expect(&[ack(1)]).await;
    peer.send_bytes(b"hal").await;
    peer.expect(&[data(1, b"hal")]).await;
    peer.expect_quiet().await;
    peer.send_bytes(b"ves").await;
    peer.expect(&[data(1, b"ves"), fin(1)]).await;
    peer.expect_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_second_fin_ends_the_session() {
    // The stream has to be live: one that is closed on both sides is unknown.
    let mut peer = Peer::new(deaf(), Config::default());
    peer.send(&[syn(1), data(1, CALL), fin(1), fin(1)]).await;
    let why = peer.expect_fault().await;
    assert_eq!(why, "yamux: second FIN for a stream");
}

#[tokio::test(start_paused = true)]
async fn a_reset_in_the_middle_of_a_call_is_the_streams_affair() {
    let mut peer = Peer::new(
        oneport_services::BoxProtocol::new(tower::service_fn(
            |mut conn: oneport_services::Conn| async move {
                if conn.chunk().await? == Bytes::from_static(b"block") {
                    std::future::pending::<()>().await;
                }
                serve_echo(conn).await
            },
        )),
        Config::default(),
    );
    peer.send(&[syn(1), data(1, b"block")]).await;
    peer.expect(&[ack(1)]).await;
    peer.send(&[rst(1), syn(3), data(3, b"first"), data(3, CALL)])
        .await;
    peer.expect(&[ack(3), data(3, CALL)]).await;
    peer.expect_quiet().await;
}

/// D-yamux-empty: Consul ends the session.
#[tokio::test(start_paused = true)]
async fn request_and_reset_in_one_write() {
    let mut peer = server();
    peer.send(&[syn(1), data(1, CALL), rst(1)]).await;
    peer.expect_alive(3).await;
}

/// D-yamux-update: Consul reports what its buffered reader has passed on, 131,078 of these; we
/// report what the application has taken.
#[tokio::test(start_paused = true)]
async fn half_a_window_is_reported_once_consumed() {
    let mut peer = Peer::new(sink(), Config::default());
    let half = 128 * 1024;
    peer.send(&[syn(1), data(1, &vec![1; half - 1])]).await;
    peer.expect(&[ack(1)]).await;
    peer.expect_quiet().await;
    peer.send(&[data(1, &[1])]).await;
    let all = u32::try_from(half).unwrap();
    peer.expect(&[window(1, Flags::NONE, all)]).await;
    peer.expect_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn the_window_is_a_limit() {
    for (length, fits) in [(262_143, true), (262_144, true), (262_145, false)] {
        let mut peer = Peer::new(deaf(), Config::default());
        peer.send(&[syn(1)]).await;
        peer.expect(&[ack(1)]).await;
        peer.send_bytes(&Header::data(1, length).encode()).await;
        if fits {
            peer.send_bytes(&vec![0; usize::try_from(length).unwrap()])
                .await;
            peer.send(&[ping(Flags::SYN, 5)]).await;
            peer.expect(&[ping(Flags::ACK, 5)]).await;
        } else {
            // From the header alone: no payload was sent.
            let why = peer.expect_fault().await;
            assert_eq!(why, "yamux: data over the receive window");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_long_answer_stops_at_the_window() {
    let mut peer = Peer::new(fountain(360_347), Config::default());
    peer.send(&[syn(1), data(1, CALL)]).await;
    peer.expect(&[ack(1)]).await;
    let mut got = 0;
    while got < 262_144 {
        let frame = peer.next().await.unwrap();
        assert!(frame.body.len() <= 64 * 1024);
        got += frame.body.len();
    }
    assert_eq!(got, 262_144);
    peer.expect_quiet().await;
    peer.send(&[window(1, Flags::NONE, 98_202)]).await;
    for length in [65_536, 32_666] {
        assert_eq!(peer.next().await.unwrap().body.len(), length);
    }
    peer.expect_quiet().await;
    peer.send(&[window(1, Flags::NONE, 1)]).await;
    peer.expect(&[data(1, &[7]), fin(1)]).await;
}

#[tokio::test(start_paused = true)]
async fn credit_beyond_32_bits_ends_the_session() {
    let most = u32::MAX - 262_144;
    for (increment, fits) in [(most - 1, true), (most, true), (most + 1, false)] {
        let mut peer = server();
        peer.send(&[syn(1)]).await;
        peer.expect(&[ack(1)]).await;
        peer.send(&[window(1, Flags::NONE, increment)]).await;
        if fits {
            peer.expect_alive(3).await;
        } else {
            let why = peer.expect_fault().await;
            assert_eq!(why, "yamux: window credit overflow");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_cut_header_is_an_error_and_a_clean_end_is_not() {
    for (cut, why) in [(0, ""), (5, "yamux: connection ended inside a frame")] {
        let mut peer = server();
        peer.expect_alive(1).await;
        peer.send_bytes(&syn(3).header.encode()[..cut]).await;
        tokio::io::AsyncWriteExt::shutdown(&mut peer.io)
            .await
            .unwrap();
        assert_eq!(peer.expect_end(None).await, why);
    }
}
