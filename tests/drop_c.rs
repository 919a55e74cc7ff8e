//! The file drop in C, over loopback: a file arrives whole and both ends say so; when
//! the other end, played by this test, gives up or says nothing of use, the program
//! fails and leaves no file.
#![cfg(target_os = "linux")]

#[allow(dead_code)]
#[path = "common/c.rs"]
mod c;

use setowire::error::Code;
use setowire::event::{Record, kind};
use setowire::node::{Modes, PeerId, StreamId};
use setowire::{Config, Swarm};
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

struct Place {
    program: PathBuf,
    folder: PathBuf,
    words: String,
}

impl Place {
    fn new(name: &str) -> Place {
        let folder = c::folder(&format!("drop-{name}"));
        let sources = ["drop.c", "sha256.c"].map(|name| c::root().join("examples/c").join(name));
        let program = c::program(&folder, &sources.each_ref().map(|path| path.as_path()));
        Place { program, folder, words: format!("{name} {}", std::process::id()) }
    }

    fn start(&self, what: &str, file: &Path) -> Child {
        let mut command = Command::new(&self.program);
        command.args([what, &self.words]).arg(file).args(["--interfaces", "lo"]);
        command.stderr(Stdio::piped()).spawn().expect("it starts")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A member that this test plays.
    fn join(&self) -> Swarm {
        let hash = |text: &str| -> [u8; 32] { Sha256::digest(format!("{text}:{}", self.words)).into() };
        let mut config = Config::default();
        config.set("lan_interfaces", "lo").expect("it is an option");
        let swarm = Swarm::new(config).expect("loopback is there");
        swarm.join(hash("drop"), Some(hash("drop secret")), Modes::default()).expect("a topic is free");
        swarm
    }
}

/// The exit status and what was said.
fn end(child: Child) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = child.wait_with_output().expect("it ends");
    (status.code(), String::from_utf8(stderr).expect("it speaks UTF-8"))
}

/// The next event of a kind.
fn next(swarm: &Swarm, wanted: u16) -> Record {
    loop {
        assert_eq!(swarm.events().wait(Some(Duration::from_secs(60))), Ok(true), "an event comes within a minute");
        if let Some(record) = swarm.events().next().expect("nobody else reads").filter(|record| record.kind == wanted) {
            return record;
        }
    }
}

/// A stream of this test to the program, which waits for a file.
fn opened(swarm: &Swarm) -> StreamId {
    let peer = PeerId(next(swarm, kind::CONNECTION).peer);
    swarm.open_stream(peer).expect("it is connected")
}

/// Writes more than waits for a program that does not read.
fn write_until_it_reads(swarm: &Swarm, stream: StreamId) {
    let mut total = 0;
    while total < 4 << 20 {
        match swarm.write_stream(stream, &[7; 65_536]) {
            Ok(taken) => total += taken,
            Err(error) => {
                assert_eq!(error.code, Code::WouldBlock, "{error}");
                next(swarm, kind::STREAM_WRITABLE);
            }
        }
    }
}

#[test]
fn a_file_arrives_whole() {
    let place = Place::new("whole");
    for (name, len) in [("empty", 0), ("small", 1), ("large", 5_000_001)] {
        let (from, to) = (place.file(name), place.file(&format!("{name}.kept")));
        let bytes: Vec<u8> = (0..len).map(|n: u32| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        fs::write(&from, &bytes).expect("the folder is writable");
        let (receiver, sender) = (place.start("receive", &to), place.start("send", &from));
        assert_eq!(end(sender), (Some(0), format!("{len} bytes\n")));
        assert_eq!(end(receiver), (Some(0), format!("{len} bytes\n")));
        assert!(fs::read(&to).expect("it was kept") == bytes);
        assert!(!place.file(&format!("{name}.kept.part")).exists());
    }
}

#[test]
fn a_sender_that_gives_up_leaves_no_file() {
    let place = Place::new("reset");
    let (sender, to) = (place.join(), place.file("kept"));
    let receiver = place.start("receive", &to);
    let stream = opened(&sender);
    write_until_it_reads(&sender, stream);
    sender.reset_stream(stream, 7).expect("it is open");
    let (status, said) = end(receiver);
    assert_eq!(status, Some(1));
    assert!(said.starts_with("the other side gave up after "), "{said}");
    assert!(!to.exists() && !place.file("kept.part").exists());
}

#[test]
fn a_sender_that_leaves_is_no_end_of_the_file() {
    let place = Place::new("left");
    let (sender, to) = (place.join(), place.file("kept"));
    let receiver = place.start("receive", &to);
    let stream = opened(&sender);
    write_until_it_reads(&sender, stream);
    sender.shutdown();
    let (status, said) = end(receiver);
    assert_eq!(status, Some(1));
    assert!(said.starts_with("the other side left after "), "{said}");
    assert!(!to.exists() && !place.file("kept.part").exists());
}

#[test]
fn a_second_file_is_told_to_wait() {
    let place = Place::new("busy");
    let (sender, to) = (place.join(), place.file("kept"));
    let receiver = place.start("receive", &to);
    let peer = PeerId(next(&sender, kind::CONNECTION).peer);
    let (first, second) = (sender.open_stream(peer).expect("one"), sender.open_stream(peer).expect("two"));
    let record = next(&sender, kind::STREAM_READABLE);
    assert_eq!(record.subject, second.0);
    let read = sender.read_stream(second, 10, |_| {}).expect("it was reset");
    assert_eq!(read.reset, Some(2));
    sender.finish_stream(first).expect("it is open");
    while next(&sender, kind::STREAM_READABLE).subject != first.0 {}
    let mut answer = Vec::new();
    sender.read_stream(first, 10, |piece| answer.extend_from_slice(&piece)).expect("it was kept");
    assert_eq!(answer, b"k");
    sender.shutdown();
    assert_eq!(end(receiver), (Some(0), "0 bytes\n".to_owned()));
    assert_eq!(fs::read(&to).expect("it was kept"), b"");
}

#[test]
fn a_receiver_that_does_not_want_it() {
    let place = Place::new("stop");
    let (receiver, from) = (place.join(), place.file("sent"));
    fs::write(&from, vec![7; 3_000_000]).expect("the folder is writable");
    let sender = place.start("send", &from);
    let stream = StreamId(next(&receiver, kind::STREAM).subject);
    receiver.stop_stream(stream, 1).expect("it is open");
    receiver.reset_stream(stream, 1).expect("it is open");
    let (status, said) = end(sender);
    assert_eq!(status, Some(1));
    assert!(said.starts_with("not taken: ") || said.starts_with("the other side gave up"), "{said}");
}

#[test]
fn a_receiver_that_does_not_say_that_it_kept_it() {
    let place = Place::new("silent");
    let (receiver, from) = (place.join(), place.file("sent"));
    fs::write(&from, b"something").expect("the folder is writable");
    let sender = place.start("send", &from);
    let stream = StreamId(next(&receiver, kind::STREAM).subject);
    next(&receiver, kind::STREAM_READABLE);
    receiver.finish_stream(stream).expect("it is open");
    let mut got = Vec::new();
    while got.len() < 9 {
        if receiver.read_stream(stream, 100, |piece| got.extend_from_slice(&piece)).is_err() {
            next(&receiver, kind::STREAM_READABLE);
        }
    }
    assert_eq!(got, b"something");
    receiver.shutdown();
    assert_eq!(end(sender), (Some(1), "the other side left after 9 bytes\n".to_owned()));
}

#[test]
fn wrong_calls() {
    let place = Place::new("wrong");
    fs::write(place.file("there"), b"mine").expect("the folder is writable");
    assert_eq!(end(place.start("receive", &place.file("there"))).0, Some(1));
    assert_eq!(fs::read(place.file("there")).expect("it is there"), b"mine");
    assert_eq!(end(place.start("send", &place.file("missing"))).0, Some(1));
    assert_eq!(end(place.start("move", &place.file("there"))).0, Some(2));
}
