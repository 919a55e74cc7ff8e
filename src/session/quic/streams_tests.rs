//! Application streams and datagrams between two peers over a simulated network.

use super::budget::Budget;
use super::datagrams::{DatagramError, Datagrams};
use super::inbox::Inbox;
use super::incoming::{Incoming, Kind};
use super::outbox::Outbox;
use super::streams::{End, Happened, Number, Read, Streams};
use super::testing::{Network, Pair};
use crate::config::limits::{
    MAX_MESSAGE_BYTES, QUIC_DATAGRAM_BYTES, QUIC_STREAM_IN_FLIGHT, QUIC_STREAM_WAITING, QUIC_STREAM_WINDOW,
    QUIC_STREAMS_IN_FLIGHT, QUIC_STREAMS_MAX, QUIC_WINDOWS_TOTAL_BYTES, REASSEMBLY_TOTAL_BYTES, SEND_BUFFER_BYTES,
};
use crate::error::Code;
use bytes::Bytes;
use quinn_proto::{Connection, Dir, Event, StreamEvent, VarInt};
use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

const MINUTE: Duration = Duration::from_secs(60);

/// What a link does for one side.
struct Side {
    incoming: Incoming,
    streams: Streams,
    windows: Budget,
    outbox: Outbox,
    inbox: Option<Inbox>,
    budget: Budget,
    messages: Vec<(Instant, Bytes)>,
    datagrams: Datagrams,
    happened: VecDeque<Happened>,
    next: Number,
}

impl Side {
    fn new() -> Side {
        Side {
            incoming: Incoming::default(),
            streams: Streams::default(),
            windows: Budget::new(QUIC_WINDOWS_TOTAL_BYTES),
            outbox: Outbox::new(SEND_BUFFER_BYTES, MAX_MESSAGE_BYTES),
            inbox: None,
            budget: Budget::new(REASSEMBLY_TOTAL_BYTES),
            messages: Vec::new(),
            datagrams: Datagrams::default(),
            happened: VecDeque::new(),
            next: 100,
        }
    }

    fn open(&mut self, connection: &mut Connection) -> Number {
        self.next += 1;
        self.streams.open(connection, self.next).expect("a stream");
        self.next
    }

    fn work(&mut self, now: Instant, connection: &mut Connection, events: Vec<Event>) {
        for event in events {
            match event {
                Event::Stream(StreamEvent::Readable { id }) => self.streams.readable(connection, id),
                Event::Stream(StreamEvent::Finished { id }) => self.streams.finished(id),
                Event::Stream(StreamEvent::Stopped { id, error_code }) => {
                    self.streams.stopped(connection, id, error_code)
                }
                Event::Stream(StreamEvent::Available { dir: Dir::Bi }) => self.streams.available(),
                Event::DatagramsUnblocked => self.datagrams.unblocked(),
                Event::ConnectionLost { reason } => panic!("lost: {reason}"),
                _ => {}
            }
        }
        for (id, kind) in self.incoming.accept(connection).expect("nothing wrong") {
            match kind {
                Kind::Application => {
                    self.next += 1;
                    self.streams.accept(connection, id, self.next);
                }
                Kind::Messages => self.inbox = Some(Inbox::new(id, MAX_MESSAGE_BYTES)),
                Kind::Mesh => panic!("nobody opens one"),
            }
        }
        if let Some(inbox) = &mut self.inbox {
            let messages = &mut self.messages;
            let read = inbox.read(now, connection, &mut self.budget, |message| {
                messages.push((now, message));
                ControlFlow::Continue(())
            });
            read.expect("nothing wrong");
        }
        self.streams.drive(connection, &mut self.windows);
        self.outbox.write(connection).expect("the stream lives");
        self.happened.extend(std::iter::from_fn(|| self.streams.take_happened()));
    }

    /// Reads one stream to where it blocks.
    fn read_all(&mut self, connection: &mut Connection, number: Number) -> (Vec<u8>, Option<End>) {
        let mut got = Vec::new();
        loop {
            match self.streams.read(connection, number, 10_000, |bytes| got.extend_from_slice(&bytes)) {
                Ok(Read { end: Some(end), .. }) => return (got, Some(end)),
                Ok(_) => {}
                Err(error) if error.code == Code::WouldBlock => return (got, None),
                Err(error) => panic!("{error}"),
            }
        }
    }
}

struct World {
    pair: Pair,
    sides: [Side; 2],
}

impl World {
    fn new(network: Network) -> World {
        World { pair: Pair::new(1, network), sides: [Side::new(), Side::new()] }
    }

    /// Goes on until `act` says that it is done.
    fn run(&mut self, time: Duration, mut act: impl FnMut(&mut World) -> bool) -> bool {
        let end = self.pair.now + time;
        loop {
            self.work();
            let done = act(self);
            self.work();
            if done || self.pair.now >= end {
                return done;
            }
            let (mut first, left) = (true, end - self.pair.now);
            self.pair.run(left, |_| !std::mem::take(&mut first));
        }
    }

    fn work(&mut self) {
        for (peer, side) in self.pair.peers.iter_mut().zip(&mut self.sides) {
            let events = std::mem::take(&mut peer.events);
            side.work(self.pair.now, &mut peer.connection, events);
        }
    }

    fn connection(&mut self, side: usize) -> &mut Connection {
        &mut self.pair.peers[side].connection
    }

    fn write(&mut self, side: usize, number: Number, data: &[u8]) -> usize {
        match self.sides[side].streams.write(&mut self.pair.peers[side].connection, number, data) {
            Ok(taken) => taken,
            Err(error) if error.code == Code::WouldBlock => 0,
            Err(error) => panic!("{error}"),
        }
    }

    fn read_all(&mut self, side: usize, number: Number) -> (Vec<u8>, Option<End>) {
        self.sides[side].read_all(&mut self.pair.peers[side].connection, number)
    }

    /// A stream that both know, opened by the first.
    fn stream(&mut self) -> (Number, Number) {
        let ours = self.sides[0].open(&mut self.pair.peers[0].connection);
        let mut theirs = None;
        self.run(MINUTE, |world| {
            theirs = theirs.or(world.sides[1].happened.pop_front());
            theirs.is_some()
        });
        let Some(Happened::Opened(theirs)) = theirs else { panic!("{theirs:?}") };
        (ours, theirs)
    }

    fn settle(&mut self) {
        self.run(Duration::from_secs(2), |_| false);
    }

    fn happened(&mut self, side: usize) -> Vec<Happened> {
        self.sides[side].happened.drain(..).collect()
    }
}

fn pattern(from: usize, len: usize) -> Vec<u8> {
    (from..from + len).map(|n| (n % 251) as u8).collect()
}

#[test]
fn bytes_arrive_in_order_whatever_is_lost_and_both_halves_close() {
    for loss in [0, 50, 200] {
        let mut world = World::new(Network::lossy(loss));
        let (ours, theirs) = world.stream();
        let (total, mut written, mut got) = (400_000, 0, Vec::new());
        let done = world.run(10 * MINUTE, |world| {
            if written < total {
                written += world.write(0, ours, &pattern(written, (total - written).min(9_999)));
                if written == total {
                    world.sides[0].streams.finish(ours).unwrap();
                }
            }
            let (bytes, end) = world.read_all(1, theirs);
            got.extend(bytes);
            assert_ne!(end, Some(End::Reset(0)));
            end.is_some()
        });
        assert!(done, "loss {loss}: {} arrived", got.len());
        assert!(got == pattern(0, total));
        // Ours is finished, theirs still open: half-closed, and they can answer.
        assert_eq!(world.write(1, theirs, b"thanks"), 6);
        world.sides[1].streams.finish(theirs).unwrap();
        let mut answer = Vec::new();
        assert!(world.run(MINUTE, |world| {
            let (bytes, end) = world.read_all(0, ours);
            answer.extend(bytes);
            end.is_some()
        }));
        assert_eq!(answer, b"thanks");
        world.settle();
        assert!(world.happened(0).ends_with(&[Happened::Closed(ours, None)]));
        assert!(world.happened(1).ends_with(&[Happened::Closed(theirs, None)]));
        for side in &world.sides {
            assert!(side.streams.is_empty());
            assert_eq!(side.windows.free(), QUIC_WINDOWS_TOTAL_BYTES);
        }
    }
}

#[test]
fn readable_and_writable_are_told_once_for_each_change() {
    let mut world = World::new(Network::clean(5));
    let (ours, theirs) = world.stream();
    world.settle();
    assert_eq!((world.happened(0), world.happened(1)), (vec![], vec![]), "nothing was written yet");
    for _ in 0..3 {
        world.write(0, ours, b"some");
        world.settle();
        world.write(0, ours, b" more");
        world.settle();
        assert_eq!(world.happened(1), [Happened::Readable(theirs)], "once, until it was read");
        assert_eq!(world.read_all(1, theirs), (b"some more".to_vec(), None));
    }
    // Nobody reads: the writer is taken as much from as fits, and hears once when there is room.
    let mut written = 0;
    while let taken @ 1.. = world.write(0, ours, &pattern(written, 100_000)) {
        written += taken;
        world.settle();
        world.happened(0);
    }
    let most = QUIC_STREAM_WINDOW as usize + QUIC_STREAM_WAITING;
    assert!((QUIC_STREAM_WINDOW as usize - 100..=most).contains(&written), "{written}");
    world.settle();
    assert_eq!(world.happened(0), []);
    assert_eq!(world.happened(1), [Happened::Readable(theirs)]);
    assert_eq!(world.read_all(1, theirs), (pattern(0, QUIC_STREAM_WINDOW as usize - 28), None));
    world.settle();
    assert_eq!(world.happened(0), [Happened::Writable(ours)]);
}

#[test]
fn large_writes_are_taken_without_a_copy_as_far_as_there_is_room() {
    let mut world = World::new(Network::clean(5));
    let (ours, theirs) = world.stream();
    let write = |world: &mut World, data: Vec<u8>, wanted| {
        let connection = &mut world.pair.peers[0].connection;
        world.sides[0].streams.write_bytes(connection, ours, data.into(), wanted)
    };
    world.write(0, ours, &pattern(0, 10));
    let room = world.sides[0].streams.writable(ours);
    assert_eq!(room, QUIC_STREAM_WAITING - 10);
    assert_eq!(write(&mut world, pattern(10, room), room), Ok(room));
    world.settle();
    assert_eq!(world.read_all(1, theirs), (pattern(0, 10 + room), None), "behind what was written before");
    assert_eq!(world.happened(0), [], "it was taken in full");
    // Nobody reads: less than was wanted is taken, then none, and the writer hears once.
    let mut written = 10 + room;
    while let Ok(taken) = write(&mut world, pattern(written, QUIC_STREAM_WAITING), 2 * QUIC_STREAM_WAITING) {
        assert!((1..=QUIC_STREAM_WAITING).contains(&taken));
        written += taken;
        world.settle();
        world.happened(0);
    }
    assert_eq!(world.sides[0].streams.writable(ours), 0);
    assert_eq!(write(&mut world, Vec::new(), 1).unwrap_err().code, Code::WouldBlock);
    let (read, _) = world.read_all(1, theirs);
    world.settle();
    assert_eq!(world.happened(0), [Happened::Writable(ours)]);
    let (rest, _) = world.read_all(1, theirs);
    assert_eq!([read, rest].concat(), pattern(10 + room, written - 10 - room));
    world.sides[0].streams.finish(ours).unwrap();
    assert_eq!(write(&mut world, pattern(0, 10), 10).unwrap_err().code, Code::Closed);
    assert_eq!(write(&mut world, pattern(0, 0), 0).unwrap_err().code, Code::Closed);
}

#[test]
fn the_end_alone_makes_a_stream_readable() {
    let mut world = World::new(Network::clean(5));
    let (ours, theirs) = world.stream();
    world.sides[0].streams.finish(ours).unwrap();
    assert_eq!(world.sides[0].streams.finish(ours), Ok(()), "finishing twice is no error");
    world.settle();
    assert_eq!(world.happened(1), [Happened::Readable(theirs)]);
    assert_eq!(world.read_all(1, theirs), (vec![], Some(End::Finished)));
    let closed = world.sides[1].streams.read(&mut world.pair.peers[1].connection, theirs, 10, |_| {});
    assert_eq!(closed.unwrap_err().code, Code::Closed);
    assert_eq!(world.sides[0].streams.finish(ours + 50).unwrap_err().code, Code::NotFound);
}

#[test]
fn a_reset_carries_its_code_and_what_was_not_read_is_gone() {
    let mut world = World::new(Network::clean(5));
    let (ours, theirs) = world.stream();
    world.write(0, ours, &pattern(0, 50_000));
    world.settle();
    let World { pair, sides } = &mut world;
    sides[0].streams.reset(&mut pair.peers[0].connection, ours, 77).unwrap();
    assert_eq!(sides[0].streams.write(&mut pair.peers[0].connection, ours, b"x").unwrap_err().code, Code::Closed);
    world.settle();
    world.happened(1);
    let (bytes, end) = world.read_all(1, theirs);
    assert!(bytes.len() < 50_000 && end == Some(End::Reset(77)), "{} bytes, {end:?}", bytes.len());
    world.sides[1].streams.finish(theirs).unwrap();
    world.settle();
    assert_eq!(world.happened(1), [Happened::Closed(theirs, Some(77))]);
    assert_eq!(world.read_all(0, ours), (vec![], Some(End::Finished)));
    world.settle();
    assert!(world.happened(0).ends_with(&[Happened::Closed(ours, None)]));
}

#[test]
fn who_is_stopped_hears_it_and_writes_no_more() {
    let mut world = World::new(Network::clean(5));
    let (ours, theirs) = world.stream();
    world.write(0, ours, &pattern(0, 50_000));
    world.settle();
    let World { pair, sides } = &mut world;
    sides[1].streams.stop(&mut pair.peers[1].connection, theirs, 9).unwrap();
    world.settle();
    assert_eq!(world.happened(0), [Happened::Writable(ours)]);
    let World { pair, sides } = &mut world;
    let error = sides[0].streams.write(&mut pair.peers[0].connection, ours, b"x").unwrap_err();
    assert!(error.code == Code::Closed && error.detail.contains("code 9"), "{error}");
    assert!(sides[0].streams.is_idle(), "what it held is free");
    // The other direction lives on.
    assert_eq!(world.write(1, theirs, b"still here"), 10);
    world.sides[1].streams.finish(theirs).unwrap();
    world.settle();
    assert_eq!(world.read_all(0, ours), (b"still here".to_vec(), Some(End::Finished)));
    world.settle();
    assert!(world.sides.iter().all(|side| side.streams.is_empty()));
    assert_eq!(world.happened(1).last(), Some(&Happened::Closed(theirs, None)));
}

#[test]
fn a_large_transfer_does_not_delay_messages() {
    // 4 MB/s with a queue of 50 ms, 40 ms there and back: 64 MiB take 16 s.
    let mut world = World::new(Network { rate: 4_000_000, ..Network::clean(20) });
    let (ours, theirs) = world.stream();
    let (total, mut written, mut got) = (64 << 20, 0, 0);
    let block = pattern(0, 200_000);
    let (mut pushed, mut next_push) = (Vec::new(), world.pair.now + Duration::from_secs(1));
    let done = world.run(2 * MINUTE, |world| {
        while written < total {
            match world.write(0, ours, &block[..block.len().min(total - written)]) {
                0 => break,
                taken => written += taken,
            }
        }
        if world.pair.now >= next_push {
            next_push = world.pair.now + Duration::from_millis(100);
            pushed.push(world.pair.now);
            world.sides[0].outbox.push_copy(b"small", 0).unwrap();
        }
        got += world.read_all(1, theirs).0.len();
        got == total
    });
    assert!(done, "{got} of {total}");
    world.settle();
    let messages = &world.sides[1].messages;
    assert!(messages.len() == pushed.len() && pushed.len() > 100);
    let mut delays: Vec<Duration> = messages.iter().zip(&pushed).map(|((at, _), pushed)| *at - *pushed).collect();
    delays.sort();
    // One way through a full queue takes 70 ms, a lost one twice as long and a round trip.
    let (median, worst) = (delays[delays.len() / 2], delays[delays.len() - 1]);
    assert!(median <= Duration::from_millis(100) && worst <= Duration::from_millis(400), "{median:?} {worst:?}");
}

#[test]
fn streams_that_nobody_reads_stall_neither_each_other_nor_messages() {
    let mut world = World::new(Network::clean(5));
    let mut stalled = Vec::new();
    for _ in 0..12 {
        stalled.push(world.stream().0);
    }
    let (ours, theirs) = world.stream();
    let block = pattern(0, 100_000);
    for _ in 0..40 {
        for number in &stalled {
            world.write(0, *number, &block);
        }
        world.run(Duration::from_millis(200), |_| false);
    }
    let held: usize = world.sides[0].streams.len() * QUIC_STREAM_WAITING;
    assert!(!world.sides[0].streams.is_idle() && held < QUIC_STREAMS_IN_FLIGHT);
    // Messages, more than one window of them, and a stream that is read.
    let mut got = 0;
    let mut sent = 0;
    let done = world.run(MINUTE, |world| {
        while sent < 60 && world.sides[0].outbox.push_copy(&block, 0).is_ok() {
            sent += 1;
        }
        world.write(0, ours, &block);
        got += world.read_all(1, theirs).0.len();
        got > 5_000_000 && world.sides[1].messages.len() == 60
    });
    assert!(done, "{got} bytes, {} messages", world.sides[1].messages.len());
}

#[test]
fn a_peer_that_acknowledges_nothing_fills_bounded_buffers() {
    let mut world = World::new(Network::clean(5));
    let streams: Vec<Number> = (0..10).map(|_| world.stream().0).collect();
    world.pair.network.mute = Some(1);
    let block = vec![0; 1 << 20];
    let mut written = 0;
    world.run(Duration::from_secs(20), |world| {
        written += streams.iter().map(|number| world.write(0, *number, &block)).sum::<usize>();
        false
    });
    assert!(written <= QUIC_STREAMS_IN_FLIGHT + QUIC_STREAM_IN_FLIGHT, "{written}");
}

#[test]
fn a_peer_that_uses_its_streams_gets_more_up_to_the_limit() {
    let mut world = World::new(Network::clean(2));
    let (mut opened, mut refused, mut waits) = (0u32, None, false);
    world.run(MINUTE, |world| {
        let World { pair, sides } = world;
        // After a refusal only when it was told that there are more.
        waits = waits && !sides[0].streams.take_writable();
        while opened < QUIC_STREAMS_MAX && !waits {
            match sides[0].streams.open(&mut pair.peers[0].connection, 1_000 + u64::from(opened)) {
                Ok(()) => opened += 1,
                Err(error) => (refused, waits) = (Some(error), true),
            }
        }
        opened == QUIC_STREAMS_MAX
    });
    assert_eq!(opened, QUIC_STREAMS_MAX, "{refused:?}");
    assert_eq!(refused.map(|error| error.code), Some(Code::WouldBlock), "at first there were fewer");
    let one_more = world.sides[0].streams.open(&mut world.pair.peers[0].connection, 9_999);
    assert!(one_more.unwrap_err().detail.contains("256"));
    world.settle();
    assert_eq!(world.sides[1].streams.len(), QUIC_STREAMS_MAX as usize);
    let most = QUIC_WINDOWS_TOTAL_BYTES / QUIC_STREAM_WINDOW as usize;
    assert_eq!(world.sides[1].windows.free(), 0, "{most} windows are given out");
    let (Side { streams, windows, .. }, peer) = (&mut world.sides[1], &mut world.pair.peers[1]);
    assert_eq!(streams.give_up(&mut peer.connection, windows).len(), QUIC_STREAMS_MAX as usize);
    assert_eq!(windows.free(), QUIC_WINDOWS_TOTAL_BYTES);
}

#[test]
fn streams_of_unknown_types_are_refused_and_nothing_else_happens() {
    let mut world = World::new(Network::clean(2));
    let connection = world.connection(0);
    let mut ids = Vec::new();
    for (dir, bytes) in [
        (Dir::Bi, &[2u8, 1, 2, 3][..]),
        (Dir::Bi, &[0x40]),
        (Dir::Uni, &[1, 9]),
        (Dir::Uni, &[0xC0, 0, 0, 0, 0, 0, 0, 4]),
    ] {
        let id = connection.streams().open(dir).expect("a stream");
        connection.send_stream(id).write(bytes).expect("room");
        ids.push(id);
    }
    world.run(Duration::from_secs(1), |_| false);
    // The second byte of a type that was half there.
    world.connection(0).send_stream(ids[1]).write(&[0x30]).expect("room");
    let (ours, theirs) = world.stream();
    world.settle();
    for id in ids {
        let stopped = world.connection(0).send_stream(id).stopped();
        assert_eq!(stopped, Ok(Some(VarInt::from_u32(1))), "{id}");
    }
    assert!(world.sides[1].streams.len() == 1 && world.write(0, ours, b"works") == 5);
    world.settle();
    assert_eq!(world.read_all(1, theirs).0, b"works");
}

#[test]
fn datagrams_arrive_or_are_counted() {
    let mut world = World::new(Network::clean(5));
    let World { pair, sides } = &mut world;
    let too_large = sides[0].datagrams.send(&mut pair.peers[0].connection, &vec![0; QUIC_DATAGRAM_BYTES + 1]);
    assert_eq!(too_large, Err(DatagramError::TooLarge { max: QUIC_DATAGRAM_BYTES }));
    // Until it is refused; nothing of that is lost on our side.
    let mut sent = 0u64;
    while sides[0].datagrams.send(&mut pair.peers[0].connection, &[sent as u8; QUIC_DATAGRAM_BYTES]).is_ok() {
        sent += 1;
    }
    assert!(sent > 800 && !sides[0].datagrams.take_writable());
    let mut got = 0u64;
    let mut writable = 0;
    world.run(Duration::from_secs(5), |world| {
        let World { pair, sides } = world;
        while let Some(datagram) = sides[1].datagrams.receive(&mut pair.peers[1].connection) {
            assert_eq!(datagram, [got as u8; QUIC_DATAGRAM_BYTES][..]);
            got += 1;
        }
        writable += u32::from(sides[0].datagrams.take_writable());
        got == sent
    });
    assert_eq!((got, writable, world.sides[1].datagrams.dropped()), (sent, 1, 0));
    // A receiver that does not look: the oldest are dropped, and counted.
    let mut more = 0u64;
    world.run(Duration::from_secs(5), |world| {
        let World { pair, sides } = world;
        while more < 2_000 && sides[0].datagrams.send(&mut pair.peers[0].connection, &[0; 1_000]).is_ok() {
            more += 1;
        }
        false
    });
    let World { pair, sides } = &mut world;
    let late = std::iter::from_fn(|| sides[1].datagrams.receive(&mut pair.peers[1].connection)).count() as u64;
    assert_eq!(late + sides[1].datagrams.dropped(), more);
    assert!(more == 2_000 && late > 900 && late < 1_100, "{late}");
}
