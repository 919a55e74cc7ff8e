//! Random worlds of modern sessions, one after another from a seed.
//!
//! `SETOWIRE_SIM_SEEDS=n` runs n worlds, the first 50 of 2 to 12 nodes, the others of 2 to 50, and tells with `--nocapture`
//! how far it is; `SETOWIRE_SIM_SEED=s` runs one with its trace.

use crate::modern::chaos::Chaos;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const WORLDS: u64 = 50;
/// Tests that share the worlds, so that they use several cores.
const SHARES: u64 = 4;
/// A line tells how far it is after so many worlds.
const TOLD: u64 = 50;

/// Worlds of all shares that ended, their nodes and their datagrams.
static DONE: [AtomicU64; 3] = [const { AtomicU64::new(0) }; 3];

/// One world, start to end; what its applications got.
fn run(seed: u64) -> [u64; 7] {
    let mut chaos = Chaos::new(seed, if seed < WORLDS { 12 } else { 50 });
    let time = Duration::from_secs(if chaos.nodes().len() > 8 { 12 } else { 40 });
    let until = chaos.world.now + time;
    while chaos.world.now < until {
        let pause = chaos.world.rng.below(250);
        chaos.run(Duration::from_millis(pause));
        chaos.act();
    }
    chaos.heal();
    chaos.baseline();
    DONE[1].fetch_add(chaos.nodes().len() as u64, Ordering::Relaxed);
    DONE[2].fetch_add(chaos.world.datagrams, Ordering::Relaxed);
    chaos.counts()
}

fn share(part: u64) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    if let Some(seed) = number("SETOWIRE_SIM_SEED") {
        if seed % SHARES == part {
            run(seed);
        }
        return;
    }
    let worlds = number("SETOWIRE_SIM_SEEDS").unwrap_or(WORLDS);
    let (mut failed, mut sum) = (Vec::new(), [0; 7]);
    for seed in (0..worlds).filter(|seed| seed % SHARES == part) {
        match std::panic::catch_unwind(|| run(seed)) {
            Ok(counts) => sum.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count),
            Err(_) => {
                println!("replay: SETOWIRE_SIM_SEED={seed} cargo test --test sim modern_{part} -- --nocapture");
                failed.push(seed);
            }
        }
        let done = DONE[0].fetch_add(1, Ordering::Relaxed) + 1;
        if done.is_multiple_of(TOLD) || done == worlds {
            let [_, nodes, datagrams] = DONE.each_ref().map(|count| count.load(Ordering::Relaxed));
            println!("{done} of {worlds} worlds, {nodes} nodes, {datagrams} datagrams");
        }
    }
    println!("share {part}: messages, bytes, unsent tags, datagrams, streams finished, reset, stopped: {sum:?}");
    assert!(failed.is_empty(), "worlds that failed: {failed:?}");
    assert!(worlds < WORLDS || sum.iter().all(|count| *count > 0), "something never happened: {sum:?}");
}

#[test]
fn modern_0() {
    share(0);
}

#[test]
fn modern_1() {
    share(1);
}

#[test]
fn modern_2() {
    share(2);
}

#[test]
fn modern_3() {
    share(3);
}
