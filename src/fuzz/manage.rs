//! Calls of the swarm layer, and answers of a source outside of the node, in a script of `node`.

use super::node::Script;
use crate::node::{Modes, Node, Now, PeerId, TopicId, Whom};
use std::net::SocketAddr;
use std::time::Duration;

/// One call. Refusals are answers: no such topic, peer, question or operation.
pub(super) fn call(
    node: &mut Node,
    now: Now,
    script: &mut Script<'_>,
    whom: impl Fn(u8) -> Whom,
    address: impl Fn(u8) -> SocketAddr,
) {
    let topic = |n: u8| TopicId(u64::from(n % 16));
    match script.u8() % 24 {
        0 => drop(node.join(now, [script.u8() % 8; 32], secret(script.u8()), modes(script.u8()))),
        1 => drop(node.refresh(now, topic(script.u8()), modes(script.u8()), 7)),
        2 => drop(node.flushed(now, topic(script.u8()), 7)),
        3 => drop(node.flush(now, 7)),
        4 => {
            let (whom, at) = (whom(script.u8()), script.u8());
            drop(node.join_peer(now, whom, (at & 1 == 1).then(|| address(at))));
        }
        5 => drop(node.leave_peer(now, &whom(script.u8()))),
        6 => {
            let (whom, how) = (whom(script.u8()), script.u8());
            let life = (how & 2 == 2).then(|| Duration::from_millis(how.into()));
            drop(node.ban(now, whom, life, how & 1 == 1));
        }
        7 => drop(node.unban(now, &whom(script.u8()))),
        8 => drop(node.set_reconnect(&whom(script.u8()), script.u8() & 1 == 1)),
        9 => drop(node.backoff(&whom(script.u8()))),
        10 => {
            let peer = node.peers().get(usize::from(script.u8())).copied().unwrap_or(PeerId(1));
            drop(node.deduplicate(now, peer, &[script.u8(); 4], &[script.u8(); 4]));
        }
        11 => node.set_firewall(script.u8() & 1 == 1),
        12 => drop(node.answer(now, script.u16().into(), script.u8() & 1 == 1)),
        13 => drop(node.suspend(now)),
        14 => drop(node.resume(now)),
        15 => drop(node.listen(now)),
        16 => drop(node.look_up(now, [script.u8() % 8; 32], secret(script.u8()), script.u8() & 1 == 1, 7)),
        17 => drop(node.unannounce(now, [script.u8() % 8; 32], secret(script.u8()))),
        18 => match whom(script.u8()) {
            Whom::Key(key) => drop(node.connect_peer(now, key, Some(Duration::from_millis(script.u16().into())), 7)),
            Whom::Legacy(_) => {}
        },
        19 => node.set_outside(script.u8() & 1 == 1),
        20 => {
            let (query, key, addr) = (query(script), [script.u8(); 32], address(script.u8()));
            node.handle_found(now, query, key, addr);
        }
        21 => node.handle_round_done(now, query(script), script.u8() & 1 == 1),
        22 => node.network_changed(now),
        _ => drop(node.close_topic(now, topic(script.u8()))),
    }
}

fn modes(bits: u8) -> Modes {
    let bit = |n: u8| (bits >> n & 1 == 1).then_some(bits >> (n + 1) & 1 == 1);
    Modes { client: bit(0), server: bit(2), limit: (bits & 0x80 != 0).then_some(usize::from(bits & 3)) }
}

fn secret(n: u8) -> Option<[u8; 32]> {
    (n & 1 == 1).then_some([n; 32])
}

/// Rounds of the roster are numbered from 1, those of calls have the highest bit.
fn query(script: &mut Script<'_>) -> u64 {
    let n = script.u8();
    u64::from(n >> 1) | u64::from(n & 1) << 63
}
