//! Chaos: connections are torn down by chance, and everyone finds whom it shares a topic with again.

use crate::bed::*;
use setowire::config::swarm::Preset;
use setowire::node::Event;
use std::collections::BTreeSet;
use std::time::Duration;

const SWARMS: usize = 10;
const TOPICS: u8 = 15;
const DESTROYS: usize = 30;
const PEERS_PER_TOPIC: usize = 3;

/// What one run came to.
#[derive(Default)]
struct Outcome {
    wrong_before: usize,
    wrong_after: usize,
    /// From the last tearing down until all were connected again.
    healed: Option<Duration>,
    messages: u64,
    held: Vec<String>,
}

fn run(seed: u64, preset: Preset) -> Outcome {
    let mut bed = Bed::new(seed);
    let mut options = config(preset);
    options.swarm.backoffs = Some([ms(100), ms(1_000), ms(10_000), ms(10_000)]);
    let all = bed.add_many(SWARMS, &options);
    let mut topics = vec![BTreeSet::new(); SWARMS];
    for n in 0..TOPICS {
        for _ in 0..PEERS_PER_TOPIC {
            let who = bed.below(SWARMS);
            if topics[who].insert(n) {
                bed.join_flushed(all[who], topic(n), BOTH);
            }
        }
    }
    let expected: Vec<BTreeSet<[u8; 32]>> = all
        .iter()
        .map(|who| {
            let others = all.iter().filter(|other| *other != who && !topics[*who].is_disjoint(&topics[**other]));
            others.map(|other| bed.key(*other)).collect()
        })
        .collect();
    let wrong = |bed: &Bed| all.iter().filter(|who| bed.connected(**who) != expected[**who]).count();
    for who in &all {
        bed.flush(*who);
    }
    bed.run(ms(1_000));
    let mut outcome = Outcome { wrong_before: wrong(&bed), ..Outcome::default() };
    // One is torn down each third of a second, while everyone writes.
    let (start, mut torn) = (bed.now, 0);
    let mut last = start;
    while bed.now < start + ms(55_000) {
        // Unoptimised, what is written while nothing happens would take most of the time.
        let writes = !cfg!(debug_assertions) || torn < DESTROYS || bed.now > start + ms(50_000);
        for who in all.iter().filter(|_| writes) {
            for peer in bed.seats[*who].open.keys().copied().collect::<Vec<_>>() {
                // It may be about to end.
                let _ = bed.call(*who, |node, now| node.send(now, peer, [7; 10].as_slice(), 0));
            }
        }
        bed.run(ms(100));
        if torn < DESTROYS && bed.now >= start + ms(333) * torn as u32 {
            torn += 1;
            let who = all[bed.below(SWARMS)];
            let open: Vec<_> = bed.seats[who].open.keys().copied().collect();
            if !open.is_empty() {
                let peer = open[bed.below(open.len())];
                bed.call(who, |node, now| node.close_peer(now, peer)).expect("it is connected");
                last = bed.now;
            }
        }
        if torn == DESTROYS && wrong(&bed) > 0 {
            outcome.healed = Some(bed.now - last);
        }
    }
    outcome.wrong_after = wrong(&bed);
    outcome.messages = bed.seats.iter().flat_map(|seat| seat.received.values()).sum();
    for who in &all {
        for (name, held) in bed.node(*who).held() {
            let baseline = ["attempts", "dials of the swarm", "queued", "flushes", "operations", "rounds", "questions"];
            if baseline.contains(&name) && held > 0 {
                outcome.held.push(format!("{who}: {name} {held}"));
            }
        }
    }
    outcome
}

/// The seeds of a test: so many, or those that the environment names.
pub fn seeds(usual: u64) -> Vec<u64> {
    let number = |name| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    match (number("SETOWIRE_SWARM_SEED"), number("SETOWIRE_SWARM_SEEDS")) {
        (Some(one), _) => vec![one],
        (None, count) => (0..count.unwrap_or(usual)).collect(),
    }
}

#[test]
fn chaos() {
    let (mut healed, mut messages, mut runs) = (Vec::new(), 0, 0);
    let mut failed = Vec::new();
    for seed in seeds(4) {
        let preset = if seed % 2 == 0 { Preset::V4 } else { Preset::Setowire };
        let outcome = run(seed, preset);
        runs += 1;
        messages += outcome.messages;
        healed.push(outcome.healed.unwrap_or_default());
        if outcome.wrong_before + outcome.wrong_after + outcome.held.len() > 0 {
            let Outcome { wrong_before, wrong_after, held, .. } = outcome;
            let line =
                format!("seed {seed} {}: wrong {wrong_before} before, {wrong_after} after, {held:?}", preset.name());
            println!("{line}");
            failed.push(line);
        }
    }
    healed.sort_unstable();
    let at = |permille: usize| healed[(healed.len() - 1) * permille / 1_000];
    println!(
        "{runs} runs, {messages} messages; whole again after {:?} in the middle, {:?} of 99 %, {:?} at most",
        at(500),
        at(990),
        at(1_000)
    );
    assert!(failed.is_empty(), "{} of {runs} failed", failed.len());
}

/// Whole swarms end and begin again, gracefully or not.
#[test]
fn swarms_that_come_and_go() {
    for seed in seeds(2) {
        let mut bed = Bed::new(seed);
        let options = config(Preset::Setowire);
        let all = bed.add_many(6, &options);
        for who in &all {
            bed.join_flushed(*who, topic(1), BOTH);
        }
        bed.run(ms(2_000));
        for _ in 0..8 {
            let who = all[bed.below(all.len())];
            match bed.below(2) {
                0 => bed.destroy(who),
                _ => bed.kill(who),
            }
            let pause = ms(bed.below(3_000) as u64);
            bed.run(pause);
            bed.restart(who);
            bed.join(who, topic(1), BOTH);
            bed.run(ms(500));
        }
        assert!(
            bed.wait(ms(90_000), |bed| all.iter().all(|who| bed.connected(*who).len() == 5)),
            "seed {seed}: {:?}",
            all.iter().map(|who| bed.connected(*who).len()).collect::<Vec<_>>()
        );
        for who in &all {
            let doubled = bed.told(*who, |event| matches!(event, Event::Connection(_)).then_some(()));
            assert!(doubled.len() < 60, "seed {seed}: {} connections", doubled.len());
        }
    }
}
