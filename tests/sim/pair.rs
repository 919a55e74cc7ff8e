//! Two programs, one of them ours: what the scenarios of pairs share.

use crate::link::Profile;
use crate::models::{CPP, JS, PY_010, PY_MAIN, Quirks, RUST};
use crate::network::Place;
use crate::world::World;
use setowire::Config;
use setowire::node::Family;
use std::collections::BTreeSet;
use std::time::Duration;

pub const S: Duration = Duration::from_secs(1);
pub const MS: Duration = Duration::from_millis(1);
pub const OLD: [&Quirks; 5] = [&JS, &PY_010, &PY_MAIN, &CPP, &RUST];
/// Those that meet us by beacon.
pub const ON_LAN: [&Quirks; 4] = [&JS, &PY_010, &PY_MAIN, &CPP];

pub fn two_of_ours(seed: u64, change: fn(Place) -> Place) -> World {
    let mut world = World::new(seed, Profile::WIRE);
    for n in 0..2 {
        world.add_ours(change(Place::new(n)), &Config::default());
    }
    world
}

/// Ours at place 0 and an old peer at place 1, connected both ways.
pub fn with_old(seed: u64, quirks: &'static Quirks, profile: Profile) -> World {
    let mut world = World::new(seed, profile);
    world.add_ours(Place::new(0), &Config::default());
    world.add_model(Place::new(1), quirks);
    if quirks.rust {
        world.dial(0, 1);
    }
    connected(&mut world, S * 30);
    // Long enough for a PONG, so that the family is known.
    world.run_for(S * 3);
    world
}

pub fn family_of(quirks: &Quirks) -> Family {
    match quirks {
        q if q.cpp => Family::Cpp,
        q if q.rust => Family::Rust,
        _ => Family::JsOrPython,
    }
}

pub fn connected(world: &mut World, within: Duration) {
    world.expect("connected both ways", within, |w| w.sees(0, 1) && w.sees(1, 0));
}

/// Both sides get a new message of the other.
pub fn talk(world: &mut World, within: Duration, word: &str) {
    let texts = [0, 1].map(|n| format!("{word} from {n} at {:?}", world.now).into_bytes());
    let until = world.now + within;
    let got = |w: &World, texts: &[Vec<u8>; 2]| [0, 1].map(|n| w.received(n, 1 - n).contains(&texts[1 - n]));
    let mut sent = [false; 2];
    while got(world, &texts) != [true; 2] {
        assert!(world.now < until, "seed {}: not within {within:?}: {word}: {:?}", world.seed, got(world, &texts));
        for n in 0..2 {
            if !sent[n] && world.sees(n, 1 - n) {
                sent[n] = world.write(n, 1 - n, &texts[n]).is_ok();
            }
        }
        world.run_for(MS * 100);
    }
}

/// Both sides hear something new of the other: what is said while a path is dead may be lost.
pub fn heals(world: &mut World, within: Duration) {
    let until = world.now + within;
    let before = [0, 1].map(|n| world.received(n, 1 - n).len());
    let mut round = 0;
    while [0, 1].iter().any(|n| world.received(*n, 1 - n).len() == before[*n]) {
        assert!(world.now < until, "seed {}: it did not heal within {within:?}", world.seed);
        for n in 0..2 {
            if world.sees(n, 1 - n) {
                world.write(n, 1 - n, format!("round {round} of {n} at {:?}", world.now).as_bytes()).expect("room");
            }
        }
        round += 1;
        world.run_for(MS * 300);
    }
}

pub fn unique(list: Vec<Vec<u8>>) -> usize {
    list.into_iter().collect::<BTreeSet<_>>().len()
}
