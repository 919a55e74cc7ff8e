//! A source of discovery outside of the nodes, as a DHT would be: it keeps records by topic and streams them.
//!
//! An announcement stores where its swarm is, a look-up answers one record after the other and then ends. The source can
//! be slow, fail, or never answer.

use crate::bed::{Bed, Happening, Time};
use setowire::node::RoundKind;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

/// What the source does with questions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    Answers,
    /// It says that it failed.
    Fails,
    /// It says nothing, and keeps nothing.
    Silent,
}

/// What a node asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    Round { query: u64, name: [u8; 32], kind: RoundKind, clear: bool },
    Cancel { query: u64 },
    Unannounce { name: [u8; 32] },
}

/// The next thing that happens to a question.
#[derive(Debug)]
pub enum Step {
    Arrive { name: [u8; 32], kind: RoundKind, clear: bool },
    Record { key: [u8; 32], addr: SocketAddr },
    Done { name: [u8; 32], kind: RoundKind, ok: bool },
    Unannounce { name: [u8; 32] },
}

pub struct Hub {
    pub mood: Mood,
    /// Until a question has arrived, and its end is told.
    pub delay: Duration,
    /// Between two records.
    pub gap: Duration,
    /// Announcements are stored at the end of their round, as in a DHT, and not at its beginning: two that begin at once do
    /// not find each other.
    pub commits_late: bool,
    /// Where the swarms are, by topic and key.
    pub records: BTreeMap<[u8; 32], BTreeMap<[u8; 32], SocketAddr>>,
    /// All that was asked, by whom and when.
    pub log: Vec<(Time, usize, Asked)>,
    running: BTreeSet<(usize, u32, u64)>,
}

impl Default for Hub {
    fn default() -> Hub {
        Hub {
            mood: Mood::Answers,
            delay: Duration::from_millis(20),
            gap: Duration::from_millis(1),
            commits_late: false,
            records: BTreeMap::new(),
            log: Vec::new(),
            running: BTreeSet::new(),
        }
    }
}

impl Hub {
    /// Rounds of a node so far.
    pub fn rounds_of(&self, who: usize) -> Vec<(Time, RoundKind)> {
        let round = |(at, seat, asked): &(Time, usize, Asked)| match asked {
            Asked::Round { kind, .. } if *seat == who => Some((*at, *kind)),
            _ => None,
        };
        self.log.iter().filter_map(round).collect()
    }

    /// What a node asked for, in order.
    pub fn asked_by(&self, who: usize) -> Vec<(Time, Asked)> {
        self.log.iter().filter(|(_, seat, _)| *seat == who).map(|(at, _, asked)| (*at, *asked)).collect()
    }

    /// Under how many topics this key is announced.
    pub fn announced(&self, key: &[u8; 32]) -> usize {
        self.records.values().filter(|records| records.contains_key(key)).count()
    }
}

impl Bed {
    /// A node asks.
    pub(crate) fn ask_hub(&mut self, who: usize, asked: Asked) {
        self.hub.log.push((self.now, who, asked));
        let life = self.seats[who].life;
        match asked {
            Asked::Round { query, name, kind, clear } => {
                self.hub.running.insert((who, life, query));
                self.hub_step(self.hub.delay, who, query, Step::Arrive { name, kind, clear });
            }
            Asked::Cancel { query } => {
                self.hub.running.remove(&(who, life, query));
            }
            Asked::Unannounce { name } => self.hub_step(self.hub.delay, who, 0, Step::Unannounce { name }),
        }
    }

    fn hub_step(&mut self, after: Duration, who: usize, query: u64, step: Step) {
        let life = self.seats[who].life;
        self.push(self.now + after, Happening::Hub { who, life, query, step });
    }

    pub(crate) fn hub_happens(&mut self, who: usize, life: u32, query: u64, step: Step) {
        let (key, addr) = (self.seats[who].key, self.seats[who].addr);
        let same_life = self.seats[who].life == life;
        let running = same_life && self.hub.running.contains(&(who, life, query));
        match step {
            Step::Arrive { name, kind, clear } => match self.hub.mood {
                Mood::Silent => {}
                Mood::Fails if running => {
                    self.hub_step(self.hub.delay, who, query, Step::Done { name, kind, ok: false });
                }
                Mood::Fails => {}
                Mood::Answers => {
                    let records = self.hub.records.entry(name).or_default();
                    if clear || kind == RoundKind::LookupAndUnannounce {
                        records.remove(&key);
                    }
                    // What has left arrives, whether its sender still waits or not.
                    if kind == RoundKind::Announce && !self.hub.commits_late {
                        records.insert(key, addr);
                    }
                    if !running {
                        return;
                    }
                    let mut found: Vec<_> = records.iter().map(|(key, addr)| (*key, *addr)).collect();
                    self.shuffle(&mut found);
                    let mut after = Duration::ZERO;
                    for (key, addr) in found {
                        self.hub_step(after, who, query, Step::Record { key, addr });
                        after += self.hub.gap;
                    }
                    self.hub_step(after + self.hub.delay, who, query, Step::Done { name, kind, ok: true });
                }
            },
            Step::Record { key, addr } if running => {
                self.call_if_there(who, |node, now| node.handle_found(now, query, key, addr));
            }
            Step::Done { name, kind, ok } if running => {
                self.hub.running.remove(&(who, life, query));
                if kind == RoundKind::Announce && self.hub.commits_late && ok {
                    self.hub.records.entry(name).or_default().insert(key, addr);
                }
                self.call_if_there(who, |node, now| node.handle_round_done(now, query, ok));
            }
            Step::Record { .. } | Step::Done { .. } => {}
            Step::Unannounce { name } => {
                if self.hub.mood == Mood::Answers
                    && let Some(records) = self.hub.records.get_mut(&name)
                {
                    records.remove(&key);
                }
                if same_life && self.hub.mood != Mood::Silent {
                    self.call_if_there(who, |node, now| node.handle_unannounced(now, name));
                }
            }
        }
    }
}
