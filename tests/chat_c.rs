//! The chat in C: two of them and a member that this test plays itself meet in
//! a room, over loopback, and what each says is what the protocol of the chat asks for.
#![cfg(target_os = "linux")]

#[allow(dead_code)]
#[path = "common/c.rs"]
mod c;

use serde_json::{Value, json};
use setowire::event::{Record, kind};
use setowire::node::PeerId;
use setowire::{Config, Swarm};
use sha2::{Digest, Sha256};
use std::process::Command;
use std::time::Duration;

/// The next event of a kind.
fn next(swarm: &Swarm, wanted: u16) -> Record {
    loop {
        assert_eq!(swarm.events().wait(Some(Duration::from_secs(60))), Ok(true), "an event comes within a minute");
        if let Some(record) = swarm.events().next().expect("nobody else reads").filter(|record| record.kind == wanted) {
            return record;
        }
    }
}

/// The next message and who sent it.
fn heard(swarm: &Swarm) -> (u64, Value) {
    let record = next(swarm, kind::MESSAGE);
    (record.peer, serde_json::from_slice(&record.data).expect("chat messages are JSON"))
}

#[test]
fn a_room_of_three() {
    let folder = c::folder("chat");
    let sources = ["chat.c", "json.c", "sha256.c"].map(|name| c::root().join("examples/c").join(name));
    let program = c::program(&folder, &sources.each_ref().map(|path| path.as_path()));
    let room = format!("test {}", std::process::id());

    let mut config = Config::default();
    config.set("lan_interfaces", "lo").expect("it is an option");
    let third = Swarm::new(config).expect("loopback is there");
    third
        .join(Sha256::digest(format!("chat:{room}")).into(), None, setowire::node::Modes::default())
        .expect("a topic is free");

    let start = |nick: &str| c::Running::start(Command::new(&program).args([nick, &room, "--interfaces", "lo"]));
    let mut alice = start("al \"ice\"");
    let (peer, join) = heard(&third);
    assert_eq!(join, json!({ "type": "JOIN", "nick": "al \"ice\"" }));

    let say = |text: &str| third.send(PeerId(peer), text.as_bytes().to_vec(), 0).expect("she is connected");
    say("not JSON");
    say(r#"{"type":"JOIN"}"#);
    say(r#"{"_gossip":true,"peers":[{"nick":"x"}]}"#);
    say(r#"{ "type" : "JOIN", "n":-1.5e3, "nick" : "thi\u0072d\ud83d\ude00\u0007" }"#);
    assert!(alice.line_with("joined").ends_with("* third😀? joined"));
    say("{\"nick\":\"third\",\"text\":\"a \\\"quote\\\", \\n and \x1b[31m\u{9b}\",\"type\":\"MSG\"}");
    assert!(alice.line_with("third:").ends_with("third: a \"quote\",   and ?[31m?"));

    let mut bob = start("bob");
    assert!(alice.line_with("bob").ends_with("* bob joined"));
    assert!(bob.line_with("joined").ends_with("* al \"ice\" joined"));
    bob.say("hé \\ \"o\"");
    assert!(alice.line_with("bob:").ends_with("bob: hé \\ \"o\""));
    let expected = json!({ "type": "MSG", "nick": "bob", "text": "hé \\ \"o\"" });
    while heard(&third).1 != expected {}

    alice.say("/peers");
    assert!(alice.line_with("connected").ends_with("* 2 connected"));
    alice.say("/nat");
    assert!(alice.line_with("nat=").contains("port "));
    alice.say("/help");
    assert!(alice.line_with("commands").ends_with("/peers /nat /quit"));
    bob.say("/quit");
    bob.end();
    let line = alice.line_with("* bob ");
    assert!(line.ends_with("* bob left") || line.ends_with("* bob disconnected"), "{line}");
    alice.end();
    third.shutdown();
}
