//! The node carries out what the roster decides: dials (`attempts`), rounds of the sources (`rounds`), ends, events.

use super::Node;
use crate::error::Code;
use crate::node::api::*;
use crate::swarm::{Action, Lent};

macro_rules! roster {
    ($node:ident, $now:ident, |$roster:ident, $lent:ident| $call:expr) => {{
        let $roster = &mut $node.roster;
        let $lent = &mut Lent { now: $now.mono, rng: &mut $node.rng };
        $call
    }};
}
pub(super) use roster;

impl Node {
    /// A source outside of the node answers `Output::Round`. Off: only the sources inside are asked.
    pub fn set_outside(&mut self, on: bool) {
        self.outside = on;
    }

    pub(super) fn act(&mut self, now: Now, action: Action) {
        match action {
            Action::Dial { whom, addrs, source, explicit } => self.attempt(now, whom, addrs, source, explicit),
            Action::DialMore { whom, addr } => self.attempt_more(now, whom, addr),
            Action::Round { no, query, kind, clear } => self.round(now, no, query, kind, clear),
            Action::Cancel { query } => self.cancel_round(query),
            Action::Unannounce { name } => match self.outside {
                true => self.out.push_back(Output::Unannounce { name }),
                false => roster!(self, now, |roster, lent| roster.unannounced(lent, &name)),
            },
            Action::Done { op, ok: true } => self.finish_op(op, Ok(None)),
            Action::Done { op, ok: false } => {
                let (code, why) = match self.roster.is_closed() {
                    true => (Code::Closed, "the swarm was closed"),
                    false => (Code::Unreachable, "no source worked, or the topic was left, or the swarm is suspended"),
                };
                self.finish_op(op, Err((code, why.to_owned())));
            }
            Action::Close { peer, reason } => self.end_peer(now, peer, reason),
            Action::Admit { whom: Whom::Key(key), allowed } => {
                self.with_quic(now, |quic, env| quic.admit(env, &key, allowed));
            }
            // An old peer asks again by itself.
            Action::Admit { whom: Whom::Legacy(_), .. } => {}
            Action::Event(event) => self.event(event),
        }
    }

    /// Ends a connection for a reason of the swarm's.
    fn end_peer(&mut self, now: Now, peer: PeerId, reason: &'static str) {
        if self.quic.holds(peer) {
            self.with_quic(now, |quic, env| quic.end(env, peer, reason));
        } else {
            // It may have gone just now.
            let _ = self.with_v12(now, |v12, env| v12.close(env, peer));
        }
    }
}
