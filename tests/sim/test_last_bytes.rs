//! What a peer had sent on a stream when its connection ended: nothing of it is lost unsaid.
//!
//! The sender's side of that: a graceful end waits until what was written, and the end of it, has arrived. The
//! receiver's: what has arrived is read as if the peer were there still, then the end of the stream
//! if that came, and only then it is closed.

use crate::link::Profile;
use crate::network::Place;
use crate::pair::{S, connected, two_of_ours};
use crate::world::World;
use setowire::config::limits::CLOSE_DEADLINE;
use setowire::node::{Event, PeerId, StreamChange, StreamId, StreamRead};
use setowire::{Code, Config};

const LENGTH: usize = 300_000;
/// As many as one write takes at once, whatever the path can carry.
const AT_ONCE: usize = 20_000;

/// A stream of place 0 to place 1, as both know it.
struct Pair {
    world: World,
    /// The peers and the stream, by place: of the sender, of the receiver.
    peers: [PeerId; 2],
    streams: [StreamId; 2],
}

fn text(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at % 251) as u8).collect()
}

impl Pair {
    fn new(seed: u64, profile: Profile) -> Pair {
        let mut world = World::new(seed, profile);
        for n in 0..2 {
            world.add_ours(Place::new(n).v4_only(), &Config { legacy: false, ..Config::default() });
        }
        Pair::in_world(world)
    }

    fn in_world(mut world: World) -> Pair {
        connected(&mut world, S * 30);
        let peers = [0, 1].map(|node| *world.ours(node).peers.keys().next().expect("connected"));
        let ours = world.call(0, |node, _| node.open_stream(peers[0])).expect("a stream");
        world.expect("a stream", S * 10, |w| theirs(w).is_some());
        let theirs = theirs(&world).expect("it came");
        Pair { world, peers, streams: [ours, theirs] }
    }

    /// Writes so many bytes in the course of time.
    fn write(&mut self, length: usize) {
        let (data, stream, mut at) = (text(length), self.streams[0], 0);
        while at < length {
            match self.world.call(0, |node, _| node.write_stream(stream, &data[at..])) {
                Ok(taken) => at += taken,
                Err(error) => assert_eq!(error.code, Code::WouldBlock),
            }
            self.world.run_for(S / 10);
        }
    }

    /// The receiver reads everything there is.
    fn read_all(&mut self) -> (Vec<u8>, setowire::Result<StreamRead>) {
        let (stream, mut got) = (self.streams[1], Vec::new());
        loop {
            let take = |bytes: bytes::Bytes| got.extend_from_slice(&bytes);
            let read = self.world.call(1, |node, _| node.read_stream(stream, 10_000, take));
            match read {
                Ok(StreamRead { finished: false, reset: None, .. }) => {}
                last => return (got, last),
            }
        }
    }

    /// The receiver hears that the sender is gone.
    fn ended(&mut self) {
        let peer = self.peers[1];
        self.world.expect("the end", S * 100, |w| !w.ours(1).peers.contains_key(&peer));
    }

    /// What the receiver was told of the stream and of the end, in order.
    fn told(&self) -> Vec<&'static str> {
        let told = self.world.ours(1).events.iter().filter_map(|(_, event)| match event {
            Event::Disconnection { .. } => Some("disconnection"),
            Event::Stream { stream, change, .. } if *stream == self.streams[1] => match change {
                StreamChange::Closed { lost: true, .. } => Some("lost"),
                StreamChange::Closed { .. } => Some("closed"),
                StreamChange::Readable => Some("readable"),
                StreamChange::Writable => Some("writable"),
                StreamChange::Opened => None,
            },
            _ => None,
        });
        told.collect()
    }

    /// Nothing of it is kept any more.
    fn is_forgotten(&self) {
        for (what, count) in self.world.ours(1).node.held() {
            assert!(!what.contains("stream") || count == 0, "{what}: {count}");
        }
    }
}

fn theirs(world: &World) -> Option<StreamId> {
    world.ours(1).events.iter().find_map(|(_, event)| match event {
        Event::Stream { stream, change: StreamChange::Opened, .. } => Some(*stream),
        _ => None,
    })
}

/// The ways in which a sender may go, each with what it is called.
type Leave = fn(&mut World, PeerId);
const WAYS: [(&str, Leave); 4] = [
    ("it closes the connection", |world, peer| {
        world.call(0, |node, now| node.close_peer(now, peer)).expect("it is there")
    }),
    ("it closes its swarm", |world, _| world.call(0, |node, now| node.close(now, false))),
    ("it closes its swarm by force", |world, _| world.call(0, |node, now| node.close(now, true))),
    ("it dies", |world, _| world.kill(0)),
];

#[test]
fn what_had_arrived_is_read_after_the_sender_went() {
    for (seed, (way, leave)) in WAYS.into_iter().enumerate() {
        let mut pair = Pair::new(700 + seed as u64, Profile::WIRE);
        pair.write(LENGTH);
        let stream = pair.streams[0];
        pair.world.call(0, |node, _| node.finish_stream(stream)).expect("it is open");
        pair.world.run_for(S);
        leave(&mut pair.world, pair.peers[0]);
        pair.ended();
        // However long the application takes.
        pair.world.run_for(S * 60);
        assert_eq!(pair.told(), ["readable", "disconnection"], "{way}");
        let (stream, peer) = (pair.streams[1], pair.peers[1]);
        assert_eq!(pair.world.ours(1).node.stream_peer(stream), Ok(peer));
        let written = pair.world.call(1, |node, _| node.write_stream(stream, b"thanks"));
        assert_eq!(written.unwrap_err().code, Code::NotFound, "{way}: nobody would get it");
        let (got, last) = pair.read_all();
        assert!(got == text(LENGTH), "{way}: {} bytes came", got.len());
        assert!(last.as_ref().is_ok_and(|read| read.finished), "{way}: {last:?}");
        assert_eq!(pair.told(), ["readable", "disconnection", "lost"], "{way}: our direction was open");
        assert_eq!(pair.read_all().1.unwrap_err().code, Code::NotFound);
        pair.is_forgotten();
    }
}

#[test]
fn a_graceful_end_waits_until_all_that_was_written_and_the_end_arrived() {
    for (seed, (way, leave)) in (710..).zip(WAYS.into_iter().take(2)) {
        for loss in [0.0, 0.05] {
            let mut pair = Pair::new(seed, Profile::lossy(loss));
            let stream = pair.streams[0];
            let taken = pair.world.call(0, |node, _| node.write_stream(stream, &text(AT_ONCE)));
            assert_eq!(taken, Ok(AT_ONCE));
            pair.world.call(0, |node, _| node.finish_stream(stream)).expect("it is open");
            leave(&mut pair.world, pair.peers[0]);
            pair.ended();
            let (got, last) = pair.read_all();
            assert!(got == text(AT_ONCE), "{way}, loss {loss}: {} bytes came", got.len());
            assert!(last.as_ref().is_ok_and(|read| read.finished), "{way}, loss {loss}: {last:?}");
        }
    }
}

#[test]
fn a_graceful_end_waits_for_the_end_of_a_stream_of_which_all_else_arrived() {
    for (seed, (way, leave)) in (720..).zip(WAYS.into_iter().take(2)) {
        let mut pair = Pair::new(seed, Profile::WIRE);
        pair.write(10);
        pair.world.run_for(S);
        let (stream, begin) = (pair.streams[0], pair.world.now);
        pair.world.call(0, |node, _| node.finish_stream(stream)).expect("it is open");
        leave(&mut pair.world, pair.peers[0]);
        pair.ended();
        assert!(pair.world.now - begin < CLOSE_DEADLINE, "{way}: it waits for nothing else");
        let (got, last) = pair.read_all();
        assert_eq!(got, text(10), "{way}");
        assert!(last.as_ref().is_ok_and(|read| read.finished), "{way}: {last:?}");
    }
}

#[test]
fn without_its_end_a_stream_is_lost_behind_its_last_byte() {
    let mut pair = Pair::new(730, Profile::WIRE);
    pair.write(LENGTH);
    pair.world.run_for(S);
    pair.world.kill(0);
    pair.ended();
    let (got, last) = pair.read_all();
    assert!(got == text(LENGTH), "{} bytes came", got.len());
    assert_eq!(last.unwrap_err().code, Code::NotFound, "it is no end");
    assert_eq!(pair.told(), ["readable", "disconnection", "lost"]);
    pair.is_forgotten();
}

#[test]
fn who_had_read_everything_hears_at_once_that_the_rest_is_lost() {
    let mut pair = Pair::new(731, Profile::WIRE);
    pair.write(10);
    pair.world.run_for(S);
    assert_eq!(pair.read_all().0, text(10));
    pair.world.kill(0);
    pair.ended();
    assert_eq!(pair.told(), ["readable", "lost", "disconnection"]);
    pair.is_forgotten();
}

#[test]
fn a_reset_is_read_after_the_sender_went() {
    let mut pair = Pair::new(732, Profile::WIRE);
    pair.write(10);
    let stream = pair.streams[0];
    pair.world.call(0, |node, _| node.reset_stream(stream, 77)).expect("it is open");
    pair.world.run_for(S);
    pair.world.call(0, |node, now| node.close(now, false));
    pair.ended();
    assert_eq!(pair.read_all().1.map(|read| read.reset), Ok(Some(77)));
    let peer = pair.peers[1];
    let closed = StreamChange::Closed { reset: Some(77), lost: true };
    let told = Event::Stream { peer, stream: pair.streams[1], change: closed };
    assert_eq!(pair.world.ours(1).events.last().map(|(_, event)| event), Some(&told));
}

#[test]
fn a_stream_that_is_done_in_our_direction_is_closed_and_not_lost() {
    let mut pair = Pair::new(733, Profile::WIRE);
    let [ours, theirs] = pair.streams;
    pair.write(10);
    pair.world.call(0, |node, _| node.finish_stream(ours)).expect("it is open");
    pair.world.call(1, |node, _| node.finish_stream(theirs)).expect("it is open");
    pair.world.run_for(S);
    pair.world.call(0, |node, now| node.close(now, false));
    pair.ended();
    assert_eq!(pair.read_all().0, text(10));
    assert_eq!(pair.told(), ["readable", "disconnection", "closed"]);
}

#[test]
fn who_wants_nothing_more_of_it_frees_it() {
    let mut pair = Pair::new(734, Profile::WIRE);
    pair.write(LENGTH);
    pair.world.kill(0);
    pair.ended();
    let stream = pair.streams[1];
    assert_eq!(pair.world.call(1, |node, _| node.reset_stream(stream, 1)), Ok(()), "our direction is over in any case");
    assert_eq!(pair.world.call(1, |node, _| node.stop_stream(stream, 1)), Ok(()));
    assert_eq!(pair.told(), ["readable", "disconnection", "lost"]);
    assert_eq!(pair.read_all().1.unwrap_err().code, Code::NotFound);
    pair.is_forgotten();
}

#[test]
fn who_waits_to_write_hears_that_nobody_will_read() {
    let mut pair = Pair::new(735, Profile::WIRE);
    pair.write(10);
    let stream = pair.streams[1];
    while pair.world.call(1, |node, _| node.write_stream(stream, &text(AT_ONCE))).is_ok() {}
    pair.world.kill(0);
    pair.ended();
    assert_eq!(pair.told(), ["readable", "writable", "disconnection"]);
    assert_eq!(pair.read_all().0, text(10));
}

#[test]
fn what_is_left_unread_ends_with_the_swarm() {
    let mut pair = Pair::new(736, Profile::WIRE);
    pair.write(LENGTH);
    pair.world.kill(0);
    pair.ended();
    pair.world.call(1, |node, now| node.close(now, false));
    assert_eq!(pair.told(), ["readable", "disconnection", "lost"]);
    assert!(matches!(pair.world.ours(1).events.last(), Some((_, Event::Closed { .. }))));
    pair.is_forgotten();
}

#[test]
fn who_ends_the_connection_himself_gives_up_what_he_has_not_read() {
    let mut pair = Pair::new(737, Profile::WIRE);
    pair.write(LENGTH);
    let peer = pair.peers[1];
    pair.world.call(1, |node, now| node.close_peer(now, peer)).expect("it is there");
    pair.ended();
    assert_eq!(pair.told(), ["readable", "lost", "disconnection"]);
    assert_eq!(pair.read_all().1.unwrap_err().code, Code::NotFound);
    pair.is_forgotten();
}

#[test]
fn the_end_of_a_stream_is_told_behind_what_waits_for_room() {
    let mut pair = Pair::in_world(two_of_ours(738, Place::v4_only));
    // The application of the receiver reads no events.
    pair.world.call(1, |node, _| node.set_room(0));
    let peer = pair.peers[0];
    pair.world.call(0, |node, now| node.send(now, peer, &b"hello"[..], 0)).expect("room");
    pair.write(10);
    let stream = pair.streams[0];
    pair.world.call(0, |node, _| node.finish_stream(stream)).expect("it is open");
    pair.world.run_for(S);
    pair.world.call(0, |node, now| node.close(now, false));
    pair.world.run_for(S);
    assert_eq!(pair.told(), ["readable"], "the message comes first");
    let (got, last) = pair.read_all();
    assert!(got == text(10) && last.as_ref().is_ok_and(|read| read.finished), "{last:?}");
    assert_eq!(pair.told(), ["readable"]);
    pair.world.call(1, |node, _| node.set_room(1 << 20));
    pair.world.run_for(S);
    assert_eq!(pair.told(), ["readable", "disconnection", "lost"]);
}
