//! Scripts for the fuzzing of a whole node, made from what a node of ours gets here.
//!
//! A node with the fuzzed node's identity lives in a world at addresses that scripts can
//! name; every datagram it gets becomes a step. `SETOWIRE_SIM_CORPUS=directory`
//! writes the scripts; a normal run replays them and sees to it that they still lead
//! to connections and messages.

use crate::link::Profile;
use crate::models::{CPP, JS, PY_010, Quirks, RUST};
use crate::network::{NodeId, Place, is_modern};
use crate::rng::Rng;
use crate::world::World;
use setowire::Config;
use setowire::fuzz::node::{NODE_SEED, address, replay, step};
use setowire::node::Via;
use std::net::IpAddr;
use std::time::Duration;

const S: Duration = Duration::from_secs(1);
const US: NodeId = 0;

/// The number by which scripts name the address of a place.
fn number(ip: IpAddr) -> u8 {
    let IpAddr::V4(ip) = ip else { panic!("scripts are made over IPv4") };
    ip.octets()[3] << 2
}

fn place(n: u32) -> Place {
    let mut place = Place::new(n).v4_only();
    place.set_port(5_000);
    assert_eq!(address(number(place.v4().ip())), place.v4());
    place
}

/// A world whose traffic becomes a script.
struct Recorder {
    world: World,
    script: Vec<u8>,
    at: Duration,
}

impl Recorder {
    fn new(others: &[Option<&'static Quirks>]) -> Recorder {
        let mut world = World::new(400, Profile::WIRE);
        world.tap = Some(Vec::new());
        // What TLS draws is not of the seed: a script cannot hold a modern session.
        world.net.drops = Some(is_modern);
        world.add_ours_seeded(place(0), &Config::default(), NODE_SEED);
        for (n, quirks) in (1..).zip(others) {
            match quirks {
                Some(quirks) => world.add_model(place(n), quirks),
                None => world.add_ours(place(n), &Config::default()),
            };
        }
        Recorder { world, script: Vec::new(), at: Duration::ZERO }
    }

    fn run(&mut self, time: Duration) {
        self.world.run_for(time);
        let packets = self.world.tap.replace(Vec::new()).expect("a tap");
        for packet in packets.iter().filter(|packet| packet.to == US && packet.origin != US) {
            self.wait(packet.at);
            let kind = if packet.via == Via::Main { step::DATAGRAM } else { step::BEACON };
            self.script.extend([kind, number(packet.from.ip())]);
            self.script.extend((packet.bytes.len() as u16).to_be_bytes());
            self.script.extend_from_slice(&packet.bytes);
        }
        self.wait(self.world.now);
    }

    fn wait(&mut self, until: Duration) {
        let ms = until.saturating_sub(self.at).as_millis() as u16;
        if ms > 0 {
            self.at += Duration::from_millis(ms.into());
            self.script.push(step::TIME);
            self.script.extend(ms.to_be_bytes());
        }
    }

    fn ours(&mut self, steps: &[u8], len: u16) {
        self.script.extend_from_slice(steps);
        self.script.extend(len.to_be_bytes());
    }

    fn broadcast(&mut self, len: u16) {
        self.ours(&[step::BROADCAST], len);
        self.world.broadcast(US, &vec![1; len.into()]);
    }
}

fn meeting(quirks: Option<&'static Quirks>) -> Vec<u8> {
    let mut recorder = Recorder::new(&[quirks]);
    if quirks.is_some_and(|quirks| quirks.rust) {
        recorder.ours(&[step::CONNECT, number(recorder.world.net.places[1].v4().ip())], 9_000);
        recorder.script.push(1);
        recorder.world.dial(US, 1);
    }
    recorder.run(S * 6);
    recorder.world.write(1, US, b"hello").expect("sent");
    recorder.broadcast(700);
    recorder.run(S);
    recorder.world.write(1, US, &[8; 1_500]).expect("sent");
    recorder.run(S);
    recorder.script
}

fn flood_and_leave() -> Vec<u8> {
    let mut recorder = Recorder::new(&[Some(&JS), Some(&PY_010)]);
    recorder.run(S * 6);
    for n in 0..6u8 {
        recorder.world.broadcast(1, &[n; 40]);
    }
    recorder.run(S);
    recorder.world.close(1);
    recorder.run(S * 4);
    recorder.script
}

fn restart() -> Vec<u8> {
    let mut recorder = Recorder::new(&[Some(&JS)]);
    recorder.run(S * 6);
    for n in 0..5u8 {
        recorder.world.broadcast(1, &[n; 10]);
        recorder.run(S / 2);
    }
    let seed = recorder.world.identity_seed(1);
    recorder.world.kill(1);
    recorder.world.start_model(1, &JS, seed);
    recorder.run(S * 6);
    recorder.world.broadcast(1, b"after");
    recorder.run(S);
    recorder.script
}

/// Every kind of step, with handshakes and frames that scripts seal by themselves.
fn all_steps() -> Vec<u8> {
    let mut script =
        vec![step::JOIN, 1, step::INTERFACES, 7, step::CONNECT, 40, 0x10, 0, 1, step::CONNECT, 255, 1, 0, 2];
    script.extend([step::RESOLVED, 3, 1, step::TIME, 0, 10]);
    for peer in 0..7u8 {
        let from = 60 + 4 * peer;
        script.extend([step::HELLO, peer, from, 0, step::TIME, 0, 20, step::HELLO, peer, from, 0]);
        script.extend([step::PONG, peer, from, step::TIME, 0, 20]);
        for sequence in [0, 1, 3, 2, 0] {
            script.extend([step::SEALED, peer, from, 0, sequence, 1, 0, 4, b't', b'e', b'x', sequence]);
        }
        script.extend([step::SEND, peer, 0x20, 0, peer, step::BROADCAST, 0, 50, step::TIME, 1, 0]);
    }
    script.extend([step::ACCEPTING, 0, step::CLOCK, 0, 0, 0, 9, step::CLOSE_PEER, 0, step::LEAVE, 1]);
    script.extend([step::TIME, 255, 255, step::CLOSE, step::TIME, 4, 0]);
    script
}

/// Scripts broken at random: a little of what the fuzzers do, in every run of the tests.
#[test]
fn broken_scripts_break_no_promise() {
    let mut rng = Rng::new(401);
    let seeds = [meeting(Some(&JS)), flood_and_leave(), all_steps()];
    for _ in 0..150 {
        let mut script = rng.pick(&seeds).clone();
        for _ in 0..rng.range(1, 30) {
            let at = rng.below(script.len() as u64) as usize;
            match rng.below(4) {
                0 => script[at] = rng.u64() as u8,
                1 => script[at] ^= 1 << rng.below(8),
                2 => drop(script.drain(at..(at + rng.below(40) as usize).min(script.len() - 1))),
                _ => {
                    let other = rng.pick(&seeds);
                    let from = rng.below(other.len() as u64) as usize;
                    let piece = other[from..].iter().take(200).copied().collect::<Vec<u8>>();
                    script.splice(at..at, piece);
                }
            }
            if script.len() < 50 {
                break;
            }
        }
        replay(&script);
    }
}

#[test]
fn scripts_of_the_simulator_lead_a_node_through_its_life() {
    let scripts = [
        ("sim-javascript", meeting(Some(&JS))),
        ("sim-python", meeting(Some(&PY_010))),
        ("sim-cpp", meeting(Some(&CPP))),
        ("sim-rust", meeting(Some(&RUST))),
        ("sim-ours", meeting(None)),
        ("sim-flood", flood_and_leave()),
        ("sim-restart", restart()),
        ("all-steps", all_steps()),
    ];
    let directory = std::env::var_os("SETOWIRE_SIM_CORPUS");
    for (name, script) in &scripts {
        let stats = replay(script);
        assert!(stats.connections > 0 && stats.messages_received > 0, "{name}: {stats:?}");
        if let Some(directory) = &directory {
            std::fs::create_dir_all(directory).expect("the directory of the corpus");
            std::fs::write(std::path::Path::new(directory).join(name), script).expect("a script is written");
        }
        println!("{name}: {} bytes, {stats:?}", script.len());
    }
}
