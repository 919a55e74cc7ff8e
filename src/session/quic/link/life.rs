//! What is noticed of a connection's life: what was heard, what was asked for, when to ask again.
//!
//! In: QUIC's own counters, datagrams that leave. Out: news for the choice of the path, keep-alives, whether a
//! probe for larger packets is to leave yet.

use super::{Link, Stage};
use crate::config::limits::{KEEP_ALIVE_SECONDS, QUIC_SEARCH_DELAY};
use crate::crypto::topic::Role;
use quinn_proto::ConnectionStats;
use std::time::{Duration, Instant};

/// What is noticed of a connection's life, from QUIC's own counters.
pub(super) struct Heard {
    /// Frames in authentic packets, those that acknowledge, and those of either side that carry data.
    received: u64,
    acks: u64,
    data: u64,
    /// Frames of ours that the peer has to acknowledge.
    asked: u64,
    at: Instant,
    keep_alives: usize,
}

impl Heard {
    pub(super) const fn new(now: Instant) -> Heard {
        Heard { received: 0, acks: 0, data: 0, asked: 0, at: now, keep_alives: 0 }
    }
}

impl Link {
    /// Another connection with this peer was refused for this one: it has to show life by then.
    pub fn prove_life(&mut self, until: Instant) {
        self.life_by.get_or_insert(until);
        self.conn.ping();
    }

    /// Notices what was heard and asked since the last time, for the choice of the path and the keep-alive.
    pub(super) fn listen(&mut self, now: Instant) {
        let (stats, rtt) = (self.conn.stats(), self.conn.rtt());
        let rx = &stats.frame_rx;
        let received = rx.acks + rx.stream + rx.datagram + rx.ping + rx.crypto + rx.max_data;
        let data = rx.stream + rx.datagram + stats.frame_tx.stream + stats.frame_tx.datagram;
        if std::mem::replace(&mut self.heard.received, received) != received {
            self.heard.at = now;
            self.life_by = None;
            let acknowledged = std::mem::replace(&mut self.heard.acks, rx.acks) != rx.acks;
            if let Some(paths) = &mut self.paths {
                paths.progress(rtt, acknowledged, now);
            }
        }
        if std::mem::replace(&mut self.heard.data, data) != data {
            self.heard.keep_alives = 0;
        }
        if self.stage == Stage::Open && self.keep_alive_at() <= now {
            self.conn.ping();
            self.heard.at = now;
            self.heard.keep_alives += 1;
        }
    }

    /// These datagrams leave. Those that the peer has to acknowledge give its silence a meaning.
    pub fn sent(&mut self, now: Instant, bytes: &[u8], segment: Option<usize>) {
        self.bytes_sent = self.bytes_sent.saturating_add(bytes.len() as u64);
        let asked = asked(&self.conn.stats());
        if std::mem::replace(&mut self.heard.asked, asked) != asked
            && let Some(paths) = &mut self.paths
            && let Some(last) = bytes.chunks(segment.unwrap_or(bytes.len()).max(1)).next_back()
        {
            paths.sending(last, now);
        }
    }

    /// Whether what QUIC just gave is a probe for larger packets that should not leave. QUIC begins to look for them the moment
    /// the handshake is done, and cannot be told to wait: to it the first probe is lost, so it tries again later.
    pub fn spares_probe(&mut self, now: Instant) -> bool {
        let young = match self.stage {
            Stage::Setup(_) | Stage::Waiting(_) => true,
            Stage::Open => self.opened.is_some_and(|opened| now < opened + QUIC_SEARCH_DELAY),
            Stage::Closing(_) | Stage::Ended => false,
        };
        if self.spared || !young {
            return false;
        }
        let stats = self.conn.stats();
        self.spared = stats.path.sent_plpmtud_probes > 0;
        if self.spared {
            // Nobody is asked for anything.
            self.heard.asked = asked(&stats);
        }
        self.spared
    }

    /// The dialler asks first; the acceptor only if it does not.
    pub(super) fn keep_alive_at(&self) -> Instant {
        let last = KEEP_ALIVE_SECONDS.len() - 1;
        let seconds = KEEP_ALIVE_SECONDS.get(self.heard.keep_alives.min(last)).copied().unwrap_or(25);
        let patience = match self.role {
            Role::Dialler => Duration::ZERO,
            Role::Acceptor => Duration::from_secs(3),
        };
        self.heard.at + Duration::from_secs(seconds) + patience
    }
}

/// Frames of ours that the peer has to acknowledge.
fn asked(stats: &ConnectionStats) -> u64 {
    let tx = &stats.frame_tx;
    tx.stream + tx.datagram + tx.ping + tx.crypto
}
