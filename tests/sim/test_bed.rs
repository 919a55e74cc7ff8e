//! The bed itself: same seed, same run; links do what they say.

use crate::link::{Bursts, Link, Profile};
use crate::models::{CPP, JS, PY_010, PY_MAIN};
use crate::network::Place;
use crate::rng::Rng;
use crate::world::World;
use setowire::Config;
use std::time::Duration;

const S: Duration = Duration::from_secs(1);

fn rough() -> Profile {
    Profile { duplicate: 0.05, reorder: 0.1, ..Profile::lossy(0.1) }
}

/// What TLS draws is not of the seed, but nobody outside sees it.
#[test]
fn same_seed_same_trace_with_modern_sessions() {
    let run = |seed| {
        let mut world = World::new(seed, rough());
        for n in 0..5 {
            world.add_ours(Place::new(n), &Config::default());
        }
        for round in 0..20u32 {
            world.run_for(S);
            let node = world.rng.below(5) as usize;
            let len = world.rng.below(20_000) as usize;
            world.broadcast(node, &vec![round as u8; len]);
        }
        assert!((0..5).all(|node| world.ours(node).peers.len() == 4));
        (world.trace, world.datagrams)
    };
    let (trace, datagrams) = run(13);
    assert!(datagrams > 2_000, "{datagrams} datagrams");
    assert_eq!((trace, datagrams), run(13));
    assert_ne!(trace, run(14).0);
}

fn busy_run(seed: u64) -> (u64, u64) {
    let mut world = World::new(seed, rough());
    for (n, quirks) in [&JS, &PY_010, &PY_MAIN, &CPP].into_iter().enumerate() {
        world.add_model(Place::new(n as u32), quirks);
    }
    for n in 4..7 {
        world.add_model(Place::new(n), &JS);
    }
    for round in 0..20u32 {
        world.run_for(S);
        let node = world.rng.below(7) as usize;
        world.broadcast(node, format!("round {round}").as_bytes());
    }
    (world.trace, world.datagrams)
}

#[test]
fn same_seed_same_trace() {
    let (trace, datagrams) = busy_run(11);
    assert!(datagrams > 500, "{datagrams} datagrams");
    assert_eq!((trace, datagrams), busy_run(11));
    assert_ne!(trace, busy_run(12).0);
}

/// Share of `n` datagrams of this length that arrive.
fn arriving(profile: Profile, len: usize, n: usize) -> f64 {
    let mut rng = Rng::new(1);
    let mut link = Link::default();
    let arrived = (0..n).filter(|_| !link.arrivals(&profile, &mut rng, Duration::ZERO, len).is_empty()).count();
    arrived as f64 / n as f64
}

#[test]
fn links_lose_copy_and_disorder() {
    let near = |value: f64, target: f64| (value - target).abs() < 0.02;
    assert_eq!(arriving(Profile::WIRE, 60_000, 100), 1.0);
    assert!(near(arriving(Profile::lossy(0.1), 100, 20_000), 0.9));
    // Ten fragments: each must arrive.
    assert!(near(arriving(Profile::lossy(0.05), 14_720, 20_000), 0.95f64.powi(10)));
    let bursts = Bursts { enter: 0.01, leave: 0.09, loss: 0.8 };
    assert!(near(arriving(Profile { bursts: Some(bursts), ..Profile::WIRE }, 100, 50_000), 1.0 - 0.08));

    let mut rng = Rng::new(2);
    let mut link = Link::default();
    let profile = Profile { duplicate: 1.0, ..Profile::WIRE };
    assert_eq!(link.arrivals(&profile, &mut rng, Duration::ZERO, 9).len(), 2);
    let sent = |profile: Profile, rng: &mut Rng| -> Vec<Duration> {
        let mut link = Link::default();
        (0..1_000).flat_map(|i| link.arrivals(&profile, rng, Duration::from_millis(i), 9)).collect()
    };
    assert!(sent(Profile::lossy(0.0), &mut rng).is_sorted(), "jitter alone keeps the order");
    assert!(!sent(Profile { reorder: 0.1, ..Profile::lossy(0.0) }, &mut rng).is_sorted());
}

#[test]
fn partitions_machines_and_dead_addresses() {
    let mut world = World::new(3, Profile::WIRE);
    let a = world.add_raw(Place::new(0));
    let b = world.add_raw(Place::new(1).on(&[0, 1]));
    let c = world.add_raw(Place::beside(&world.net.places[a].clone(), 777));
    let to_b = world.net.places[b].v4();
    let main = setowire::node::Via::Main;

    let exchange = |world: &mut World, from, to: std::net::SocketAddr, at| {
        world.send(from, main, to, vec![1, 2]);
        world.run_for(S);
        world.take_raw(at).into_iter().map(|(_, from, _)| from).collect::<Vec<_>>()
    };
    assert_eq!(exchange(&mut world, a, to_b, b), [world.net.places[a].v4()]);
    let v6 = world.net.places[b].v6();
    assert_eq!(exchange(&mut world, a, v6, b), [world.net.places[a].v6()]);
    let loopback = |port| std::net::SocketAddr::from(([127, 0, 0, 1], port));
    assert_eq!(exchange(&mut world, a, loopback(777), c), [loopback(20_000)]);
    assert!(exchange(&mut world, b, loopback(777), c).is_empty(), "127.0.0.1 is another machine there");

    world.net.side[b] = 1;
    assert!(exchange(&mut world, a, to_b, b).is_empty());
    world.net.side[b] = 0;
    world.net.unreachable.insert(to_b);
    assert!(exchange(&mut world, a, to_b, b).is_empty());

    // Multicast reaches the places of that network, the sender too, from its address there.
    let interface = world.net.places[b].interfaces[0].index;
    let group = std::net::SocketAddr::from((crate::network::LAN_GROUP, crate::network::LAN_PORT));
    world.send(b, setowire::node::Via::Lan { interface }, group, vec![9]);
    world.run_for(S);
    let heard: Vec<usize> = [a, b, c].into_iter().map(|at| world.take_raw(at).len()).collect();
    assert_eq!(heard, [1, 1, 1]);
}
