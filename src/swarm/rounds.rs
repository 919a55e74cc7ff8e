//! Joining and leaving topics, and the rounds of their discoveries.

use super::topics::{Discovery, Step, Wants};
use super::{Action, Lent, Roster};
use crate::config::limits::UNANNOUNCE_PATIENCE;
use crate::node::api::{Event, OpId, TopicId};
use crate::session::quic::TopicNo;

impl Roster {
    /// A session of a topic begins, the first or a further one. `name`: the same for every join of this topic.
    pub fn join(&mut self, lent: &mut Lent<'_>, no: TopicNo, id: TopicId, name: [u8; 32], wants: Wants) {
        let blocked = self.leaving.contains_key(&name);
        self.topics.entry(no).or_insert_with(|| Discovery::new(name, blocked)).set(id, wants);
        if self.suspended {
            // A joined topic of a suspended swarm begins with the others.
            self.suspend_topic(lent, no);
        }
        self.advance(lent, no);
    }

    /// A session of a topic ends; with the last one the topic does.
    pub fn leave(&mut self, lent: &mut Lent<'_>, no: TopicNo, id: TopicId) {
        let Some(discovery) = self.topics.get_mut(&no) else { return };
        if !discovery.remove(id) {
            return self.advance(lent, no);
        }
        self.drop_topic(lent, no);
        if let Some(mut discovery) = self.topics.remove(&no) {
            // Its session is gone: nothing of it can run.
            discovery.suspend(&mut Vec::new());
        }
        self.flushes.topic_done(no);
        let mut alone = Vec::new();
        for (whom, known) in self.peers.iter_mut() {
            // Who waits for this topic alone is not dialled any more.
            if known.topics.remove(&no) && known.topics.is_empty() && !known.explicit {
                alone.push(*whom);
            }
        }
        for whom in alone {
            self.queue.remove(&whom);
            if let Some(known) = self.peers.get_mut(&whom) {
                // Who was dialled by address was wanted beside the topic.
                known.waiting &= known.lost && known.source.is_chosen();
                known.asked = false;
            }
            self.flushes.peer_done(&whom);
            self.collect(&whom, lent);
        }
        self.dial_on(lent);
    }

    /// Stops a discovery: takes back what it announced, and fails what waits for it.
    fn drop_topic(&mut self, lent: &Lent<'_>, no: TopicNo) {
        let Some(discovery) = self.topics.get_mut(&no) else { return };
        let mut steps = Vec::new();
        let name = discovery.name;
        let (announced, ops) = discovery.suspend(&mut steps);
        self.rounds.set(no, None);
        self.out.extend(ops.into_iter().map(|op| Action::Done { op, ok: false }));
        self.steps(no, steps);
        if announced {
            let times = self.leaving.entry(name).or_insert(0);
            *times = times.saturating_add(1);
            self.patience.set(name, Some(lent.now + UNANNOUNCE_PATIENCE));
            self.out.push_back(Action::Unannounce { name });
        }
    }

    pub(super) fn suspend_topic(&mut self, lent: &Lent<'_>, no: TopicNo) {
        self.drop_topic(lent, no);
        self.flushes.topic_done(no);
    }

    /// What was announced under this name was taken back.
    pub fn unannounced(&mut self, lent: &mut Lent<'_>, name: &[u8; 32]) {
        match self.leaving.get_mut(name) {
            Some(times) if *times > 1 => *times -= 1,
            Some(_) => self.left(lent, name),
            None => {}
        }
    }

    /// The topic may be announced again.
    fn left(&mut self, lent: &mut Lent<'_>, name: &[u8; 32]) {
        self.leaving.remove(name);
        self.patience.set(*name, None);
        let waiting: Vec<TopicNo> =
            self.topics.iter().filter(|(_, other)| other.name == *name).map(|(no, _)| *no).collect();
        for no in waiting {
            if let Some(discovery) = self.topics.get_mut(&no) {
                discovery.unblock();
            }
            self.advance(lent, no);
        }
    }

    /// Nobody said that these were taken back.
    pub(super) fn leaving_due(&mut self, lent: &mut Lent<'_>) {
        for name in self.patience.take_due(lent.now) {
            self.left(lent, &name);
        }
    }

    /// Changes what a session wants, and makes a round. `op` ends with it.
    pub fn refresh(&mut self, lent: &mut Lent<'_>, no: TopicNo, id: TopicId, wants: Wants, op: OpId) {
        let Some(discovery) = self.topics.get_mut(&no) else { return };
        discovery.set(id, wants);
        if self.suspended {
            // The next round is that of `resume`.
            return self.out.push_back(Action::Done { op, ok: false });
        }
        discovery.refresh(Some(op));
        self.advance(lent, no);
    }

    /// Ends an operation with the round that runs.
    pub fn flushed(&mut self, no: TopicNo, op: OpId) {
        if let Some(ok) = self.topics.get_mut(&no).and_then(|discovery| discovery.flushed(op)) {
            self.out.push_back(Action::Done { op, ok });
        }
    }

    /// Ends an operation when everything found so far was tried.
    pub fn flush(&mut self, lent: &mut Lent<'_>, op: OpId) {
        let running = self.topics.iter().filter(|(_, discovery)| !discovery.is_flushed()).map(|(no, _)| *no);
        let running = running.collect();
        self.flushes.begin(op, running);
        self.dial_on(lent);
    }

    /// An operation ended for another reason.
    pub fn forget_op(&mut self, op: OpId) {
        self.flushes.forget(op);
        self.topics.values_mut().for_each(|discovery| discovery.forget_op(op));
    }

    /// All sources ended a round. False: none of them worked.
    pub fn round_done(&mut self, lent: &mut Lent<'_>, query: u64, ok: bool) {
        let Some(no) = self.running.remove(&query) else { return };
        let Some(discovery) = self.topics.get_mut(&no) else { return };
        let topic = discovery.sessions().next();
        let ops = discovery.done(query, ok, lent.now, self.options.preset, lent.rng);
        self.out.extend(ops.into_iter().map(|op| Action::Done { op, ok }));
        if let Some(topic) = topic {
            self.tell(Event::TopicUpdated { topic, ok });
        }
        self.flushes.topic_done(no);
        self.advance(lent, no);
        self.dial_on(lent);
    }

    /// A source worked in the last round of a topic.
    pub fn source_works(&self) -> bool {
        self.topics.values().any(Discovery::works)
    }

    /// The topic of a round that runs.
    pub fn topic_of(&self, query: u64) -> Option<TopicNo> {
        self.running.get(&query).copied()
    }

    pub fn wants(&self, no: TopicNo, id: TopicId) -> Option<Wants> {
        self.topics.get(&no)?.wants(id)
    }

    /// Client and server, as all sessions of a topic together want; and whether it is announced.
    pub fn modes(&self, no: TopicNo) -> Option<(bool, bool, bool)> {
        let discovery = self.topics.get(&no)?;
        let (client, server) = discovery.modes();
        Some((client, server, discovery.is_announced()))
    }

    pub(super) fn rounds_due(&mut self, lent: &mut Lent<'_>) {
        for no in self.rounds.take_due(lent.now) {
            if let Some(discovery) = self.topics.get_mut(&no) {
                discovery.handle_timeout(lent.now, lent.rng);
            }
            self.advance(lent, no);
        }
    }

    /// A round of every topic now.
    pub(super) fn refresh_all(&mut self, lent: &mut Lent<'_>) {
        for no in self.topics.keys().copied().collect::<Vec<_>>() {
            if let Some(discovery) = self.topics.get_mut(&no) {
                discovery.refresh(None);
            }
            self.advance(lent, no);
        }
    }

    pub(super) fn advance(&mut self, _lent: &mut Lent<'_>, no: TopicNo) {
        let Some(discovery) = self.topics.get_mut(&no) else { return };
        let mut steps = Vec::new();
        discovery.advance(&mut self.last_query, &mut steps);
        self.rounds.set(no, discovery.poll_deadline());
        self.steps(no, steps);
    }

    fn steps(&mut self, no: TopicNo, steps: Vec<Step>) {
        for step in steps {
            self.out.push_back(match step {
                Step::Begin { query, kind, clear } => {
                    self.running.insert(query, no);
                    self.listening |= kind == crate::node::api::RoundKind::Announce;
                    Action::Round { no, query, kind, clear }
                }
                Step::Cancel { query } => {
                    self.running.remove(&query);
                    Action::Cancel { query }
                }
            });
        }
    }
}
