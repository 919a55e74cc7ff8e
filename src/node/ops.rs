//! Operations in progress: connects, and the name look-ups they may begin with.
//!
//! Each ends exactly once: by the first connection, when its last dial failed, by time,
//! by the caller, or with the swarm.

use crate::config::limits::OPS_MAX;
use crate::node::api::{OpId, Source};
use std::collections::BTreeMap;
use std::time::Instant;

/// One connect.
pub struct Op {
    pub tag: u64,
    pub target: String,
    /// The key that must answer.
    pub key: Option<[u8; 32]>,
    deadline: Option<Instant>,
    /// Dials that may still succeed, and why the last one that failed did.
    pub dials: usize,
}

/// A name being looked up.
pub struct Query {
    pub host: String,
    pub source: Source,
    pub op: Option<OpId>,
}

/// All operations.
#[derive(Default)]
pub struct Ops {
    ops: BTreeMap<OpId, Op>,
    queries: BTreeMap<u64, Query>,
    last_query: u64,
}

impl Ops {
    pub fn is_full(&self) -> bool {
        self.ops.len() >= OPS_MAX || self.queries.len() >= OPS_MAX
    }

    pub fn begin(&mut self, id: OpId, tag: u64, target: &str, key: Option<[u8; 32]>, deadline: Option<Instant>) {
        self.ops.insert(id, Op { tag, target: target.to_owned(), key, deadline, dials: 0 });
    }

    pub fn get(&mut self, id: OpId) -> Option<&mut Op> {
        self.ops.get_mut(&id)
    }

    pub fn take(&mut self, id: OpId) -> Option<Op> {
        self.queries.retain(|_, query| query.op != Some(id));
        self.ops.remove(&id)
    }

    /// Takes everything: the swarm ends.
    pub fn take_all(&mut self) -> Vec<OpId> {
        self.queries.clear();
        self.ops.keys().copied().collect()
    }

    pub fn query(&mut self, host: &str, source: Source, op: Option<OpId>) -> u64 {
        self.last_query += 1;
        self.queries.insert(self.last_query, Query { host: host.to_owned(), source, op });
        self.last_query
    }

    pub fn take_query(&mut self, query: u64) -> Option<Query> {
        self.queries.remove(&query)
    }

    pub fn len(&self) -> usize {
        self.ops.len()
    }

    pub fn poll_deadline(&self) -> Option<Instant> {
        self.ops.values().filter_map(|op| op.deadline).min()
    }

    /// Operations whose time ran out, with what to say of them.
    pub fn take_expired(&mut self, now: Instant) -> Vec<(OpId, String)> {
        let expired = self.ops.iter().filter(|(_, op)| op.deadline.is_some_and(|at| at <= now));
        expired.map(|(id, op)| (*id, format!("{}: no answer in the time given", op.target))).collect()
    }
}
