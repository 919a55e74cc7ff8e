//! What the queue keeps, drops and tells, and the promises of its three consumers.

use super::*;
use crate::event::{MESSAGE_CLEAR, kind};
use crate::node::{Family, PeerId, PeerInfo, Session, Source};
use std::sync::mpsc;

const ALL: EventMask = EventMask::MAX;

fn info(peer: u64) -> Box<PeerInfo> {
    Box::new(PeerInfo {
        id: PeerId(peer),
        key: None,
        legacy_id: None,
        session: Session::V12,
        suite: None,
        topics: Vec::new(),
        explicit: false,
        address: "127.0.0.1:9".parse().unwrap(),
        addresses: Vec::new(),
        source: Source::Lan,
        family: Family::Unknown,
        confirmed: false,
        client: false,
        rtt: None,
        loss_permille: 0,
        bytes_sent: 0,
        bytes_received: 0,
        messages_sent: 0,
        messages_received: 0,
        datagrams_dropped: 0,
        buffered: 0,
        connect_time: Duration::ZERO,
        max_message: 0,
    })
}

fn connection(peer: u64) -> Event {
    Event::Connection(info(peer))
}

fn disconnection(peer: u64) -> Event {
    Event::Disconnection { peer: PeerId(peer), code: Code::Closed, reason: String::new(), info: info(peer) }
}

fn message(peer: u64, len: usize) -> Event {
    Event::Message { peer: PeerId(peer), data: vec![7; len].into(), clear: false, broadcast: None }
}

fn done(op: u64, tag: u64) -> Event {
    Event::OpDone { op: OpId(op), tag, peer: None, code: None, detail: String::new() }
}

fn closed() -> Event {
    Event::Closed { code: None, detail: String::new() }
}

fn kinds(queue: &EventQueue) -> Vec<u16> {
    std::iter::from_fn(|| queue.next().unwrap()).map(|record| record.kind).collect()
}

fn readable(descriptor: RawFd) -> bool {
    let mut poll = libc::pollfd { fd: descriptor, events: libc::POLLIN, revents: 0 };
    // SAFETY: one structure is passed, and it outlives the call.
    unsafe { libc::poll(&mut poll, 1, 0) == 1 }
}

#[test]
fn events_come_in_order_and_numbered() {
    let queue = EventQueue::new(16, 1 << 17, ALL).unwrap();
    queue.push(connection(1));
    queue.push(Event::Message { peer: PeerId(1), data: b"hi"[..].into(), clear: true, broadcast: None });
    queue.push(disconnection(1));
    queue.push(closed());
    let records: Vec<Record> = std::iter::from_fn(|| queue.next().unwrap()).collect();
    let seen: Vec<(u64, u16)> = records.iter().map(|record| (record.seq, record.kind)).collect();
    let expected = [(1, kind::CONNECTION), (2, kind::MESSAGE), (3, kind::DISCONNECTION), (4, kind::CLOSED)];
    assert_eq!(seen, expected);
    assert_eq!((records[1].flags, &records[1].data[..]), (MESSAGE_CLEAR, &b"hi"[..]));
}

#[test]
fn messages_beyond_the_limits_are_counted_and_told() {
    let queue = EventQueue::new(2, 1 << 20, ALL).unwrap();
    for _ in 0..5 {
        queue.push(message(1, 10));
    }
    queue.push(disconnection(1));
    assert_eq!(queue.lost(), 3);
    let records: Vec<Record> = std::iter::from_fn(|| queue.next().unwrap()).collect();
    let seen: Vec<u16> = records.iter().map(|record| record.kind).collect();
    assert_eq!(seen, [kind::MESSAGE, kind::MESSAGE, kind::LOST, kind::DISCONNECTION]);
    assert_eq!(records[2].data, br#"{"messages":3,"total":3}"#[..]);
    // The count begins again once it was read, the total does not.
    for _ in 0..3 {
        queue.push(message(1, 10));
    }
    let lost = std::iter::from_fn(|| queue.next().unwrap()).last().unwrap();
    assert_eq!(lost.data, br#"{"messages":1,"total":4}"#[..]);
}

#[test]
fn messages_are_bounded_in_bytes_and_the_last_one_may_go_beyond() {
    let queue = EventQueue::new(100, 1_000, ALL).unwrap();
    queue.push(message(1, 5_000));
    queue.push(message(1, 1));
    assert_eq!(kinds(&queue), [kind::MESSAGE, kind::LOST]);
    for _ in 0..30 {
        queue.push(message(1, 160));
    }
    assert_eq!(kinds(&queue), [&[kind::MESSAGE; 5][..], &[kind::LOST]].concat());
}

/// What a modern peer was told that it arrived: a session takes the next message whenever there is room, of any size.
#[test]
fn what_was_taken_while_there_was_room_is_never_dropped() {
    let queue = EventQueue::new(100, 100_000, ALL).unwrap();
    let mut taken = 0;
    for len in [1, 60_000, 30_000, 9_800, 1 << 24, 5, 1 << 20] {
        if queue.room() > 0 {
            queue.push(message(1, len));
            taken += 1;
        }
    }
    assert_eq!((taken, queue.room()), (5, 0));
    assert_eq!(kinds(&queue), [kind::MESSAGE; 5]);
    assert!(queue.room() > 0);
}

#[test]
fn states_are_replaced_by_newer_ones() {
    let queue = EventQueue::new(16, 1 << 17, ALL).unwrap();
    for peer in [1, 2, 1, 2, 1] {
        queue.push(Event::Writable { peer: PeerId(peer) });
        queue.push(Event::Update(Box::new(PeerInfo { confirmed: true, ..*info(peer) })));
    }
    queue.push(Event::Peers { json: "[1]".into() });
    queue.push(Event::Peers { json: "[2]".into() });
    let records: Vec<Record> = std::iter::from_fn(|| queue.next().unwrap()).collect();
    assert_eq!(records.len(), 5);
    assert_eq!(records[4].data, b"[2]"[..]);
    queue.push(Event::Writable { peer: PeerId(1) });
    assert_eq!(kinds(&queue), [kind::WRITABLE]);
}

#[test]
fn counts_stand_behind_the_connections_that_they_count() {
    let queue = EventQueue::new(16, 1 << 17, ALL).unwrap();
    let changed = |connections| Event::Changed { connecting: 0, connections, known: 1 };
    let counts = |records: &[Record]| -> Vec<(u16, bool)> {
        records
            .iter()
            .map(|record| (record.kind, record.data.windows(15).any(|part| part == b"connections\":1,")))
            .collect()
    };
    for event in [changed(0), changed(0), connection(1), changed(0), changed(1), disconnection(1), changed(0)] {
        queue.push(event);
    }
    let first = queue.next().unwrap().unwrap();
    queue.push(changed(0));
    let records: Vec<Record> = std::iter::once(first).chain(std::iter::from_fn(|| queue.next().unwrap())).collect();
    let expected = [
        (kind::CHANGED, false),
        (kind::CONNECTION, false),
        (kind::CHANGED, true),
        (kind::DISCONNECTION, false),
        (kind::CHANGED, false),
    ];
    assert_eq!(counts(&records), expected);
    queue.push(changed(1));
    assert_eq!(kinds(&queue), [kind::CHANGED]);
}

#[test]
fn life_cycle_events_are_never_dropped_and_their_room_is_guarded() {
    let queue = EventQueue::new(2, 1 << 17, ALL).unwrap();
    let mut peers = 0;
    while queue.connections_allowed() {
        peers += 1;
        queue.push(connection(peers));
    }
    assert_eq!(peers as usize, crate::config::limits::QUEUE_LIFE_CYCLE / 2);
    for peer in 1..=peers {
        queue.push(disconnection(peer));
    }
    assert!(!queue.connections_allowed());
    assert_eq!(kinds(&queue).len() as u64, 2 * peers);
    assert!(queue.connections_allowed());
}

#[test]
fn operations_complete_exactly_once_whatever_happens() {
    let queue = EventQueue::new(16, 1 << 17, ALL).unwrap();
    queue.operation_begun(Some(OpId(1)), 5).unwrap();
    queue.operation_begun(Some(OpId(2)), 5).unwrap();
    queue.operation_begun(None, 7).unwrap();
    queue.operation_begun(None, 7).unwrap();
    queue.push(done(1, 5));
    queue.push(done(3, 7));
    queue.push(Event::Closed { code: Some(Code::Panic), detail: String::new() });
    queue.push(done(2, 5));
    assert_eq!(queue.operation_begun(None, 9).unwrap_err().code, Code::Closed);
    let records: Vec<Record> = std::iter::from_fn(|| queue.next().unwrap()).collect();
    let mut seen: Vec<(u64, u64, i32)> = records.iter().map(|r| (r.subject, r.tag, r.code)).collect();
    assert_eq!(seen.pop(), Some((0, 0, Code::Panic as i32)));
    seen.sort_unstable();
    let failed = Code::Panic as i32;
    assert_eq!(seen, [(0, 7, failed), (1, 5, 0), (2, 5, failed), (3, 7, 0)]);
}

#[test]
fn unread_completions_stop_new_operations() {
    let queue = EventQueue::new(16, 1 << 17, ALL).unwrap();
    for op in 0..crate::config::limits::OPS_MAX as u64 {
        queue.check_operations().unwrap();
        queue.operation_begun(Some(OpId(op + 1)), 0).unwrap();
        queue.push(done(op + 1, 0));
    }
    assert_eq!(queue.check_operations().unwrap_err().code, Code::WouldBlock);
    queue.next().unwrap();
    queue.check_operations().unwrap();
}

#[test]
fn the_mask_leaves_kinds_out_but_never_the_end() {
    let queue = EventQueue::new(16, 1 << 17, 1 << kind::WRITABLE).unwrap();
    queue.push(connection(1));
    queue.push(message(1, 1));
    queue.push(Event::Writable { peer: PeerId(1) });
    queue.push(closed());
    assert_eq!(kinds(&queue), [kind::WRITABLE, kind::CLOSED]);
    assert_eq!(queue.lost(), 0);
}

#[test]
fn nothing_follows_the_end() {
    let queue = EventQueue::new(16, 1 << 17, ALL).unwrap();
    queue.push(closed());
    queue.push(closed());
    queue.push(connection(1));
    assert!(queue.closed());
    assert_eq!(queue.wait(None), Ok(true));
    assert_eq!(kinds(&queue), [kind::CLOSED]);
    assert_eq!(queue.wait(None).unwrap_err().code, Code::Closed);
}

#[test]
fn the_descriptor_is_readable_exactly_while_something_waits() {
    let queue = EventQueue::new(16, 1 << 17, ALL).unwrap();
    queue.push(connection(1));
    let descriptor = queue.descriptor().unwrap();
    assert!(readable(descriptor));
    queue.push(connection(2));
    queue.next().unwrap();
    assert!(readable(descriptor));
    queue.next().unwrap();
    assert!(!readable(descriptor));
    queue.push(message(1, 100));
    queue.push(message(1, 100));
    assert!(readable(descriptor));
    assert_eq!(queue.drain(200, &mut |_| {}).unwrap(), Drained { records: 1, bytes: 144, needed: 144 });
    assert!(readable(descriptor));
    assert_eq!(queue.drain(200, &mut |_| {}).unwrap(), Drained { records: 1, bytes: 144, needed: 0 });
    assert!(!readable(descriptor));
}

#[test]
fn a_raise_that_comes_after_its_event_was_read_is_taken_back_by_the_next_look() {
    let mut buffer = EventBuffer::new(16, 1 << 17, ALL);
    let descriptor = buffer.signal().unwrap().descriptor();
    let push = |buffer: &mut EventBuffer| {
        buffer.push(message(1, 100));
        buffer.take_signal()
    };
    let late = push(&mut buffer).unwrap();
    assert!(push(&mut buffer).is_none(), "it is not empty");
    while buffer.pop().is_some() {}
    late.raise();
    assert!(readable(descriptor));
    assert!(buffer.pop().is_none());
    assert!(!readable(descriptor));
    // Two that are late, and one in time.
    let first = push(&mut buffer).unwrap();
    buffer.pop().unwrap();
    let second = push(&mut buffer).unwrap();
    first.raise();
    buffer.pop().unwrap();
    assert!(!readable(descriptor));
    push(&mut buffer).unwrap().raise();
    assert!(readable(descriptor));
    second.raise();
    buffer.pop().unwrap();
    assert!(!readable(descriptor));
}

#[test]
fn a_drain_tells_the_size_it_needs() {
    let queue = EventQueue::new(16, 1 << 17, ALL).unwrap();
    queue.push(message(1, 100));
    assert_eq!(queue.drain(143, &mut |_| {}).unwrap(), Drained { records: 0, bytes: 0, needed: 144 });
    let mut bytes = Vec::new();
    queue.drain(144, &mut |piece| bytes.extend_from_slice(piece)).unwrap();
    assert_eq!(bytes.len(), 144);
    assert_eq!(bytes[40..140], [7; 100]);
}

#[test]
fn a_wake_ends_one_wait() {
    let queue = EventQueue::new(16, 1 << 17, ALL).unwrap();
    queue.wake();
    assert_eq!(queue.wait(None), Ok(false));
    assert_eq!(queue.wait(Some(Duration::ZERO)), Ok(false));
    let waiter = std::thread::spawn({
        let queue = queue.clone();
        move || queue.wait(None)
    });
    queue.wake();
    assert_eq!(waiter.join().unwrap(), Ok(false));
}

#[test]
fn the_first_consumer_decides() {
    let queue = EventQueue::new(16, 1 << 17, ALL).unwrap();
    queue.set_callback(ALL, None).unwrap();
    queue.next().unwrap();
    let refused = queue.set_callback(ALL, Some(Box::new(|_| {}))).unwrap_err();
    assert_eq!(refused.code, Code::Invalid);
    let queue = EventQueue::new(16, 1 << 17, ALL).unwrap();
    queue.set_callback(ALL, Some(Box::new(|_| {}))).unwrap();
    assert_eq!(queue.next().unwrap_err().code, Code::Invalid);
    assert_eq!(queue.wait(None).unwrap_err().code, Code::Invalid);
    assert_eq!(queue.descriptor().unwrap_err().code, Code::Invalid);
    queue.finish();
}

#[test]
fn a_callback_gets_its_kinds_and_the_rest_at_the_end() {
    let queue = EventQueue::new(16, 1 << 17, ALL).unwrap();
    let (tx, rx) = mpsc::channel();
    let inner = queue.clone();
    let callback: Callback = Box::new(move |record: Record| {
        let deadlock = inner.wait(None).unwrap_err().code;
        tx.send((record.kind, deadlock)).unwrap();
    });
    queue.set_callback(1 << kind::OP_DONE, Some(callback)).unwrap();
    queue.push(connection(1));
    queue.push(done(1, 0));
    assert_eq!(rx.recv().unwrap(), (kind::OP_DONE, Code::WouldDeadlock));
    queue.push(done(2, 0));
    queue.push(closed());
    queue.finish();
    let seen: Vec<u16> = rx.iter().map(|(kind, _)| kind).collect();
    assert_eq!(seen, [kind::OP_DONE, kind::CLOSED]);
    assert_eq!(queue.set_callback(ALL, Some(Box::new(|_| {}))).unwrap_err().code, Code::Closed);
}

#[test]
fn the_end_keeps_what_is_not_told_again() {
    let mut buffer = EventBuffer::new(16, 1 << 17, ALL);
    let peers = Event::Peers { json: "[]".to_owned() };
    for event in [connection(1), message(1, 10), Event::Writable { peer: PeerId(1) }, peers, done(1, 0), closed()] {
        buffer.push(event);
    }
    buffer.discard_messages();
    let kept: Vec<u16> = std::iter::from_fn(|| buffer.pop()).map(|record| record.kind).collect();
    assert_eq!(kept, [kind::CONNECTION, kind::PEERS, kind::OP_DONE, kind::CLOSED]);
}

#[test]
fn what_a_source_is_asked_has_room_of_its_own_and_no_more() {
    let mut buffer = EventBuffer::new(16, 1 << 17, ALL);
    let cancelled = |query: usize| Event::RoundCancelled { query: query as u64 };
    let most = crate::config::limits::QUEUE_ROUNDS;
    for query in 0..most + 2 {
        buffer.push(cancelled(query));
    }
    assert_eq!((buffer.waiting(), buffer.lost_total()), (most + 1, 2), "one of them tells of the loss");
    assert_eq!(buffer.pop().map(|record| record.kind), Some(kind::ROUND_CANCELLED));
    buffer.push(cancelled(0));
    assert_eq!(buffer.lost_total(), 2, "there is room again");
    buffer.push(Event::Unannounce(Box::new(([1; 32], [2; 32]))));
    assert_eq!(buffer.lost_total(), 3);

    // At the end, what has been announced is still to be taken back.
    let mut buffer = EventBuffer::new(16, 1 << 17, ALL);
    buffer.push(cancelled(1));
    buffer.push(Event::Unannounce(Box::new(([1; 32], [2; 32]))));
    buffer.discard_messages();
    assert_eq!((buffer.pop().map(|record| record.kind), buffer.waiting()), (Some(kind::UNANNOUNCE), 0));
}

#[test]
fn a_callback_may_end_its_own_queue() {
    let queue = EventQueue::new(16, 1 << 17, ALL).unwrap();
    let (tx, rx) = mpsc::channel();
    let inner = queue.clone();
    let callback: Callback = Box::new(move |record: Record| {
        let after = tx.clone();
        inner.finish_later(Box::new(move || after.send(0).unwrap()));
        tx.send(record.kind).unwrap();
    });
    queue.push(connection(1));
    queue.push(closed());
    queue.set_callback(ALL, Some(callback)).unwrap();
    let seen: Vec<u16> = rx.iter().collect();
    assert_eq!(seen, [kind::CONNECTION, 0]);
}
