//! Messages between two peers over a simulated network.

use super::budget::Budget;
use super::fault::Fault;
use super::inbox::{Inbox, Stopped};
use super::incoming::{Incoming, Kind};
use super::outbox::{Outbox, PushError};
use super::testing::{Network, Pair};
use crate::config::limits::{
    MAX_MESSAGE_BYTES, REASSEMBLY_FREE_BYTES, REASSEMBLY_PATIENCE, REASSEMBLY_TOTAL_BYTES, SEND_BUFFER_BYTES,
};
use bytes::Bytes;
use quinn_proto::{Connection, Dir, StreamId};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

const MINUTE: Duration = Duration::from_secs(60);

fn outbox() -> Outbox {
    Outbox::new(SEND_BUFFER_BYTES, MAX_MESSAGE_BYTES)
}

/// The receiving side, as a link would drive it.
struct Receiver {
    incoming: Incoming,
    inbox: Option<Inbox>,
    budget: Budget,
    max_message: usize,
    got: Vec<Bytes>,
    /// Messages taken by one call.
    most: usize,
    last: Option<Stopped>,
}

impl Receiver {
    fn new() -> Receiver {
        let budget = Budget::new(REASSEMBLY_TOTAL_BYTES);
        Receiver {
            incoming: Incoming::default(),
            inbox: None,
            budget,
            max_message: MAX_MESSAGE_BYTES,
            got: Vec::new(),
            most: usize::MAX,
            last: None,
        }
    }

    fn read(&mut self, now: Instant, connection: &mut Connection) -> Result<(), Fault> {
        for (id, kind) in self.incoming.accept(connection)? {
            assert_eq!(kind, Kind::Messages);
            self.inbox = Some(Inbox::new(id, self.max_message));
        }
        let Some(inbox) = &mut self.inbox else { return Ok(()) };
        let (got, mut left) = (&mut self.got, self.most);
        self.last = Some(inbox.read(now, connection, &mut self.budget, |message| {
            got.push(message);
            left = left.saturating_sub(1);
            if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?);
        inbox.handle_timeout(now)
    }
}

/// Opens the message stream by hand and writes these bytes.
fn write_raw(connection: &mut Connection, bytes: &[u8]) -> StreamId {
    let id = connection.streams().open(Dir::Uni).expect("a stream");
    assert_eq!(connection.send_stream(id).write(bytes), Ok(bytes.len()));
    id
}

fn numbered(n: u32) -> Vec<u8> {
    // Sizes from 0 to 9,000 bytes, so that all ways through the code are taken.
    let len = [0, 1, 62, 63, 64, 65, 100, 300, 2_000, 4_095, 4_097, 9_000][n as usize % 12];
    let mut bytes = n.to_be_bytes().repeat(len / 4 + 1);
    bytes.truncate(len.max(if len == 0 { 0 } else { 4 }));
    bytes
}

#[test]
fn messages_arrive_once_and_in_order_whatever_is_lost() {
    for (seed, loss) in [(1, 0), (2, 20), (3, 100), (4, 200)] {
        let mut pair = Pair::new(seed, Network::lossy(loss));
        let (mut out, mut receiver, mut next, mut sent) = (outbox(), Receiver::new(), 0u32, Vec::new());
        let total = 3_000;
        let done = pair.run(5 * MINUTE, |pair| {
            while next < total && out.push(numbered(next).into(), u64::from(next) + 1).is_ok() {
                next += 1;
            }
            out.write(&mut pair.peers[0].connection).expect("the stream lives");
            sent.extend(std::iter::from_fn(|| out.take_sent()));
            receiver.read(pair.now, &mut pair.peers[1].connection).expect("nothing wrong");
            receiver.got.len() == total as usize && out.is_idle()
        });
        assert!(done, "loss {loss}: {} arrived", receiver.got.len());
        assert!(receiver.got.iter().enumerate().all(|(n, message)| *message == numbered(n as u32)));
        sent.extend(std::iter::from_fn(|| out.take_sent()));
        assert_eq!(sent, (1..=u64::from(total)).collect::<Vec<_>>());
        assert_eq!((out.buffered(), receiver.budget.free()), (0, REASSEMBLY_TOTAL_BYTES));
    }
}

#[test]
fn large_packets_are_found_and_given_up_where_they_do_not_fit_any_more() {
    let mut pair = Pair::new(1, Network::clean(1));
    let (mut out, mut receiver, mut found) = (outbox(), Receiver::new(), Vec::new());
    // One large path, then as after a change of paths below QUIC.
    for mtu in [9_000, 1_472, 1_232] {
        pair.network.mtu = mtu;
        let arrived = receiver.got.len();
        for _ in 0..30 {
            assert_eq!(out.push(vec![7; 60_000].into(), 0), Ok(()));
        }
        let done = pair.run(Duration::from_secs(5), |pair| {
            out.write(&mut pair.peers[0].connection).expect("the stream lives");
            receiver.read(pair.now, &mut pair.peers[1].connection).expect("nothing wrong");
            receiver.got.len() == arrived + 30
        });
        found.push(pair.peers[0].connection.current_mtu());
        assert!(done, "{mtu}: {} of 30 arrived; packets of {found:?} bytes", receiver.got.len() - arrived);
    }
    assert!(found[0] > 8_700 && found[1] <= 1_472 && found[2] <= 1_232, "{found:?}");
}

#[test]
fn packets_as_large_as_ethernet_takes_with_ipv6_are_found_at_once() {
    let mut pair = Pair::new(1, Network { mtu: 1_452, ..Network::clean(5) });
    let (mut out, mut receiver) = (outbox(), Receiver::new());
    for _ in 0..30 {
        assert_eq!(out.push(vec![7; 60_000].into(), 0), Ok(()));
    }
    let done = pair.run(Duration::from_secs(5), |pair| {
        out.write(&mut pair.peers[0].connection).expect("the stream lives");
        receiver.read(pair.now, &mut pair.peers[1].connection).expect("nothing wrong");
        pair.peers[0].connection.current_mtu() > 1_440
    });
    assert!(done, "packets of {} bytes", pair.peers[0].connection.current_mtu());
}

#[test]
fn the_largest_message_and_the_smallest() {
    let mut pair = Pair::new(1, Network::clean(5));
    let (mut out, mut receiver) = (outbox(), Receiver::new());
    let large: Bytes = (0..MAX_MESSAGE_BYTES).map(|n| ((n * 7) >> 3) as u8).collect::<Vec<_>>().into();
    assert_eq!(out.push(large.clone(), 1), Ok(()));
    assert_eq!(out.push(Bytes::new(), 2), Err(PushError::Full));
    let mut refused = true;
    let done = pair.run(MINUTE, |pair| {
        out.write(&mut pair.peers[0].connection).expect("the stream lives");
        if refused && out.take_writable() {
            assert_eq!(out.push(Bytes::new(), 2), Ok(()));
            refused = false;
        }
        receiver.read(pair.now, &mut pair.peers[1].connection).expect("nothing wrong");
        receiver.got.len() == 2
    });
    assert!(done);
    assert!(receiver.got[0] == large && receiver.got[1].is_empty());
    assert_eq!(receiver.budget.free(), REASSEMBLY_TOTAL_BYTES);
    assert_eq!(out.push(vec![0; MAX_MESSAGE_BYTES + 1].into(), 3), Err(PushError::TooLarge { max: MAX_MESSAGE_BYTES }));
}

#[test]
fn a_tag_is_completed_by_the_acknowledgement_and_not_before() {
    let mut pair = Pair::new(1, Network::clean(20));
    let (mut out, mut receiver) = (outbox(), Receiver::new());
    out.push_copy(b"one", 7).unwrap();
    let begun = pair.now;
    let mut arrived = None;
    let done = pair.run(MINUTE, |pair| {
        out.write(&mut pair.peers[0].connection).expect("the stream lives");
        receiver.read(pair.now, &mut pair.peers[1].connection).expect("nothing wrong");
        if !receiver.got.is_empty() {
            arrived.get_or_insert(pair.now);
        }
        out.take_sent() == Some(7)
    });
    assert!(done && arrived.expect("arrived") - begun >= Duration::from_millis(20));
    assert!(pair.now - begun >= Duration::from_millis(40), "a round trip");
    // From here on nothing arrives: what is not acknowledged is not completed.
    pair.network.mute = Some(0);
    out.push_copy(b"two", 8).unwrap();
    out.push_copy(b"three", 0).unwrap();
    out.push_copy(b"four", 9).unwrap();
    assert!(!pair.run(Duration::from_secs(20), |pair| {
        out.write(&mut pair.peers[0].connection).expect("the stream lives");
        out.take_sent().is_some()
    }));
    assert_eq!(out.give_up(), [8, 9]);
}

#[test]
fn a_peer_that_acknowledges_nothing_fills_a_bounded_buffer() {
    let mut pair = Pair::new(1, Network::clean(5));
    pair.network.mute = Some(1);
    let (mut out, mut pushed) = (outbox(), 0usize);
    pair.run(Duration::from_secs(30), |pair| {
        while out.push_copy(&[0; 100], 0).is_ok() {
            pushed += 102;
        }
        out.write(&mut pair.peers[0].connection).expect("the stream lives");
        assert!(!out.take_writable());
        false
    });
    assert!((SEND_BUFFER_BYTES - 200..=SEND_BUFFER_BYTES + 200).contains(&pushed), "{pushed}");
    assert!(out.buffered() == pushed + 1);
}

#[test]
fn a_batch_that_began_is_taken_whole_and_the_next_one_waits_for_room() {
    let mut pair = Pair::new(1, Network::clean(5));
    let (mut out, mut receiver) = (Outbox::new(1_000, 500), Receiver::new());
    let batch = |out: &mut Outbox, first: u8| (first..first + 10).all(|n| out.push_of_batch(&[n; 100]).is_ok());
    out.push_copy(&[0; 100], 0).unwrap();
    assert!(out.takes_batch() && batch(&mut out, 1));
    assert!(out.buffered() > 1_000 && !out.takes_batch(), "beyond the limit");
    assert_eq!(out.push_copy(&[9; 1], 0), Err(PushError::Full));
    assert_eq!(out.push_of_batch(&[0; 501]), Err(PushError::TooLarge { max: 500 }));
    let (mut told, mut most) = (0, out.buffered());
    let done = pair.run(MINUTE, |pair| {
        out.write(&mut pair.peers[0].connection).expect("the stream lives");
        if out.take_writable() {
            told += 1;
            assert!(out.takes_batch() && batch(&mut out, 11));
            most = most.max(out.buffered());
            out.takes_batch();
        }
        receiver.read(pair.now, &mut pair.peers[1].connection).expect("nothing wrong");
        receiver.got.len() == 21
    });
    assert!(done && told == 1 && most < 1_000 + 1_100);
    let firsts: Vec<u8> = receiver.got.iter().map(|message| message[0]).collect();
    assert_eq!(firsts, (0..21).collect::<Vec<u8>>());
}

#[test]
fn a_message_above_what_we_announced_is_a_fault() {
    let mut pair = Pair::new(1, Network::clean(1));
    let (mut out, mut receiver) = (outbox(), Receiver::new());
    receiver.max_message = 1_000;
    out.push_copy(&[1; 1_000], 0).unwrap();
    out.push_copy(&[2; 1_001], 0).unwrap();
    let mut fault = None;
    pair.run(MINUTE, |pair| {
        out.write(&mut pair.peers[0].connection).expect("the stream lives");
        fault = receiver.read(pair.now, &mut pair.peers[1].connection).err();
        fault.is_some()
    });
    assert_eq!(fault, Some(Fault::TooLarge { len: 1_001, max: 1_000 }));
    assert_eq!(receiver.got.len(), 1);
}

#[test]
fn without_budget_a_peer_waits_and_goes_on_when_there_is_some() {
    let mut pair = Pair::new(1, Network::clean(1));
    let (mut out, mut receiver) = (outbox(), Receiver::new());
    let large = vec![3; 1 << 20];
    assert!(receiver.budget.take(REASSEMBLY_TOTAL_BYTES - 1_000));
    out.push_copy(&vec![1; REASSEMBLY_FREE_BYTES], 0).unwrap();
    out.push_copy(&large, 0).unwrap();
    out.push_copy(b"after", 0).unwrap();
    let mut run = |receiver: &mut Receiver, time, count| {
        pair.run(time, |pair| {
            out.write(&mut pair.peers[0].connection).expect("the stream lives");
            receiver.read(pair.now, &mut pair.peers[1].connection).expect("waiting for room is no fault");
            receiver.got.len() == count
        })
    };
    assert!(!run(&mut receiver, Duration::from_secs(50), 2));
    assert_eq!(receiver.last, Some(Stopped::NoRoom(1 << 20)));
    assert_eq!(receiver.got.len(), 1, "small ones need none");
    receiver.budget.give(REASSEMBLY_TOTAL_BYTES - 1_000);
    assert!(run(&mut receiver, MINUTE, 3));
    assert!(receiver.got[1] == large && &receiver.got[2][..] == b"after");
    assert_eq!(receiver.budget.free(), REASSEMBLY_TOTAL_BYTES);
}

#[test]
fn who_begins_a_large_message_and_stops_is_cut_off_and_gives_back_its_room() {
    let mut pair = Pair::new(1, Network::clean(1));
    let mut receiver = Receiver::new();
    // The type, a length of 1 MiB and some bytes of it.
    write_raw(&mut pair.peers[0].connection, &[&[2, 0x80, 0x10, 0, 0][..], &[5; 2_000]].concat());
    let mut fault = None;
    let mut begun = None;
    pair.run(MINUTE, |pair| {
        fault = receiver.read(pair.now, &mut pair.peers[1].connection).err();
        let inbox = receiver.inbox.as_ref();
        if let Some(deadline) = inbox.and_then(Inbox::poll_deadline) {
            begun.get_or_insert(deadline - REASSEMBLY_PATIENCE);
            // QUIC has nothing to do for so long: the owner's timer takes us there.
            pair.now = deadline;
        }
        fault.is_some()
    });
    assert_eq!(fault, Some(Fault::Stalled { have: 2_000, len: 1 << 20 }));
    assert_eq!(pair.now - begun.expect("it began"), REASSEMBLY_PATIENCE);
    assert_eq!(receiver.budget.free(), REASSEMBLY_TOTAL_BYTES - (1 << 20), "the whole length was reserved");
    receiver.inbox.take().expect("an inbox").give_up(&mut receiver.budget);
    assert_eq!(receiver.budget.free(), REASSEMBLY_TOTAL_BYTES);
}

#[test]
fn an_application_that_takes_little_stalls_the_sender_and_loses_nothing() {
    let mut pair = Pair::new(1, Network::clean(2));
    let (mut out, mut receiver, mut next) = (outbox(), Receiver::new(), 0u32);
    receiver.most = 1;
    let total = 12_000;
    let (mut most_buffered, start) = (0, pair.now);
    let mut step = |pair: &mut Pair| {
        while next < total && out.push(numbered(next).into(), 0).is_ok() {
            next += 1;
        }
        most_buffered = most_buffered.max(out.buffered());
        out.write(&mut pair.peers[0].connection).expect("the stream lives");
        // Nothing is read at first, then a hundred messages whenever something happens.
        if pair.now - start > Duration::from_millis(500) {
            for _ in 0..100 {
                receiver.read(pair.now, &mut pair.peers[1].connection).expect("nothing wrong");
            }
        }
        receiver.got.len() == total as usize
    };
    // The application comes back every 10 ms, whether something arrived or not.
    let done = (0..10_000).any(|_| pair.run(Duration::from_millis(10), &mut step));
    assert!(done, "{} of {total}", receiver.got.len());
    assert!(receiver.got.iter().enumerate().all(|(n, message)| *message == numbered(n as u32)));
    assert!(most_buffered > SEND_BUFFER_BYTES / 2 && most_buffered <= SEND_BUFFER_BYTES + 9_002);
}

#[test]
fn a_stream_that_ends_between_messages_is_finished_and_inside_one_a_fault() {
    let mut pair = Pair::new(1, Network::clean(1));
    let (mut out, mut receiver) = (outbox(), Receiver::new());
    out.push_copy(b"last", 0).unwrap();
    out.finish();
    let done = pair.run(MINUTE, |pair| {
        out.write(&mut pair.peers[0].connection).expect("the stream lives");
        receiver.read(pair.now, &mut pair.peers[1].connection).expect("nothing wrong");
        receiver.last == Some(Stopped::Finished) && out.is_idle()
    });
    assert!(done && receiver.got == [&b"last"[..]]);

    let mut receiver = Receiver::new();
    let id = write_raw(&mut pair.peers[0].connection, &[2, 5, 1, 2]);
    pair.peers[0].connection.send_stream(id).finish().unwrap();
    let mut fault = None;
    pair.run(MINUTE, |pair| {
        fault = receiver.read(pair.now, &mut pair.peers[1].connection).err();
        fault.is_some()
    });
    assert_eq!(fault, Some(Fault::CutOff));
}

#[test]
fn lengths_in_pieces_of_one_byte_are_read() {
    let mut pair = Pair::new(1, Network::clean(1));
    let mut receiver = Receiver::new();
    // Two lengths of eight and four bytes for messages that need one.
    let bytes = [2, 0xC0, 0, 0, 0, 0, 0, 0, 3, 7, 8, 9, 0x80, 0, 0, 1, 5, 0];
    let mut written = 0;
    let mut id = None;
    let done = pair.run(MINUTE, |pair| {
        receiver.read(pair.now, &mut pair.peers[1].connection).expect("nothing wrong");
        if let Some(byte) = bytes.get(written) {
            let connection = &mut pair.peers[0].connection;
            let id = *id.get_or_insert_with(|| connection.streams().open(Dir::Uni).expect("a stream"));
            written += connection.send_stream(id).write(&[*byte]).expect("room");
        }
        receiver.got.len() == 3
    });
    assert!(done);
    assert_eq!(receiver.got, [&[7, 8, 9][..], &[5], &[]]);
}
