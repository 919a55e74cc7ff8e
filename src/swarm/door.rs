//! Who is let in, and whom we dial: bans, the firewall of the application, places for those who dial us.
//!
//! The firewall is a question that the application answers, late or never: until then the dial, or the connection
//! of who dials us, waits. "No" bans; no answer in time turns away without a ban. Sessions ask at `enter` before
//! they tell a stranger anything, the roster before it dials. Everything kept here is bounded.

use crate::config::limits::{BANNED_ADDRS, BANS_MAX, QUESTIONS_MAX, QUESTIONS_OF_A_KIND, VERDICTS_KEPT};
use crate::config::swarm::{Preset, SwarmOptions};
use crate::node::api::Whom;
use crate::timers::earlier;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// What a session is told about who is at the door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    Open,
    /// Turned away, with this reason.
    Shut(&'static str),
    /// The application has to be asked.
    Ask,
}

/// What the application is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// A peer dials us.
    Incoming,
    /// We are about to dial a peer.
    Dial,
    /// A source found a peer.
    Candidate,
}

impl Purpose {
    pub const fn name(self) -> &'static str {
        match self {
            Purpose::Incoming => "incoming",
            Purpose::Dial => "dial",
            Purpose::Candidate => "candidate",
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Ban {
    until: Option<Instant>,
    /// By the firewall: anybody can make himself banned that way, so these go first.
    by_firewall: bool,
    order: u64,
}

#[derive(Clone, Copy, Debug)]
struct Question {
    whom: Whom,
    purpose: Purpose,
    deadline: Instant,
}

/// What became of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub whom: Whom,
    pub purpose: Purpose,
    /// None: nobody answered in time.
    pub allowed: Option<bool>,
}

pub const BANNED: &str = "banned";
pub const FIREWALLED: &str = "Peer is firewalled";
pub const SERVER_LIMIT: &str = "server limit: no more peers that dial us are taken";
const FULL: &str = "no place: connections and dials in progress have reached the limit of peers";
const UNANSWERED: &str = "the firewall gave no answer in time";
const SUSPENDED: &str = "suspended";

pub struct Door {
    firewall: bool,
    deadline: Duration,
    clear_wait: Duration,
    bans: BTreeMap<Whom, Ban>,
    /// When bans end, of those that do.
    ends: BTreeSet<(Instant, Whom)>,
    /// Where banned peers of our own kind were met, by key, and in which order.
    haunts: BTreeMap<SocketAddr, ([u8; 32], u64)>,
    last_haunt: u64,
    /// Answers that were given, for as long as a handshake may take: none means that nobody answered.
    verdicts: BTreeMap<Whom, (Option<bool>, Instant)>,
    questions: BTreeMap<u64, Question>,
    /// Of these, about peers that dial us.
    incoming: usize,
    last_question: u64,
    last_ban: u64,
    /// Those who dialled us, and how many may be.
    pub servers: usize,
    max_servers: usize,
    /// Of the preset v2: dials in progress take places from those who dial us.
    places: Option<usize>,
    /// Connections.
    pub connections: usize,
    pub dialling: BTreeSet<Whom>,
    pub suspended: bool,
}

impl Door {
    pub fn new(options: &SwarmOptions) -> Door {
        Door {
            firewall: options.firewall,
            deadline: options.firewall_deadline,
            clear_wait: options.handshake_clear_wait,
            bans: BTreeMap::new(),
            ends: BTreeSet::new(),
            haunts: BTreeMap::new(),
            last_haunt: 0,
            verdicts: BTreeMap::new(),
            questions: BTreeMap::new(),
            incoming: 0,
            last_question: 0,
            last_ban: 0,
            servers: 0,
            max_servers: options.max_server_connections,
            places: (options.preset == Preset::V2).then_some(options.max_peers),
            connections: 0,
            dialling: BTreeSet::new(),
            suspended: false,
        }
    }

    pub fn set_firewall(&mut self, on: bool) {
        self.firewall = on;
    }

    /// Whether this peer may connect. `incoming`: it dials us.
    pub fn enter(&self, whom: &Whom, incoming: bool, now: Instant) -> Entry {
        if let Some(why) = self.bars(whom, now) {
            return Entry::Shut(why);
        }
        if incoming && !self.takes_server(0) {
            return Entry::Shut(SERVER_LIMIT);
        }
        if incoming && self.is_full(whom) {
            return Entry::Shut(FULL);
        }
        if !self.firewall {
            return Entry::Open;
        }
        match self.verdicts.get(whom).filter(|(_, until)| *until > now) {
            Some((Some(true), _)) => Entry::Open,
            Some((Some(false), _)) => Entry::Shut(FIREWALLED),
            Some((None, _)) => Entry::Shut(UNANSWERED),
            None => Entry::Ask,
        }
    }

    /// Why nobody may have a connection with this peer now, whoever dials.
    pub fn bars(&self, whom: &Whom, now: Instant) -> Option<&'static str> {
        match (self.suspended, self.is_banned(whom, now)) {
            (true, _) => Some(SUSPENDED),
            (_, true) => Some(BANNED),
            _ => None,
        }
    }

    /// Whether one more who dials us has a place, beside so many of whom is not known here yet.
    pub fn takes_server(&self, new: usize) -> bool {
        self.servers.saturating_add(new) < self.max_servers
    }

    /// Dials in progress count, but not that of the peer itself.
    fn is_full(&self, whom: &Whom) -> bool {
        let dialling = self.dialling.len().saturating_sub(usize::from(self.dialling.contains(whom)));
        self.places.is_some_and(|places| self.connections.saturating_add(dialling) >= places)
    }

    pub fn is_banned(&self, whom: &Whom, now: Instant) -> bool {
        self.bans.get(whom).is_some_and(|ban| ban.until.is_none_or(|until| until > now))
    }

    /// Somebody of our own kind is banned.
    pub fn bans_keys(&self) -> bool {
        // They are behind the others.
        matches!(self.bans.last_key_value(), Some((Whom::Key(_), _)))
    }

    /// The holder of this key was at this address just now. True: it is banned, and comes from there under no other name.
    pub fn was_at(&mut self, addr: SocketAddr, key: [u8; 32], now: Instant) -> bool {
        self.haunts.remove(&addr);
        if !self.is_banned(&Whom::Key(key), now) {
            return false;
        }
        if self.haunts.len() >= BANNED_ADDRS {
            let oldest = self.haunts.iter().min_by_key(|(_, (_, order))| *order).map(|(addr, _)| *addr);
            oldest.and_then(|addr| self.haunts.remove(&addr));
        }
        self.last_haunt = self.last_haunt.saturating_add(1);
        self.haunts.insert(addr, (key, self.last_haunt));
        true
    }

    /// Whoever speaks the old wire from this address may be a peer of our own kind that is banned.
    pub fn is_haunted(&self, addr: &SocketAddr, now: Instant) -> bool {
        self.haunts.get(addr).is_some_and(|(key, _)| self.is_banned(&Whom::Key(*key), now))
    }

    /// False: as many are banned as may be, and by the application itself.
    pub fn ban(&mut self, whom: Whom, until: Option<Instant>, by_firewall: bool) -> bool {
        if !self.bans.contains_key(&whom) && self.bans.len() >= BANS_MAX {
            let weakest = self.bans.iter().filter(|(_, ban)| ban.by_firewall).min_by_key(|(_, ban)| ban.order);
            match weakest.map(|(whom, _)| *whom) {
                Some(weakest) => self.unlist(&weakest),
                None => return false,
            };
        }
        self.unlist(&whom);
        self.ends.extend(until.map(|until| (until, whom)));
        self.last_ban = self.last_ban.saturating_add(1);
        self.bans.insert(whom, Ban { until, by_firewall, order: self.last_ban });
        true
    }

    pub fn unban(&mut self, whom: &Whom) -> bool {
        self.verdicts.remove(whom);
        let was = self.unlist(whom);
        self.forget_haunts();
        was
    }

    /// Where those were met whose ban is over.
    fn forget_haunts(&mut self) {
        let bans = &self.bans;
        self.haunts.retain(|_, (key, _)| bans.contains_key(&Whom::Key(*key)));
    }

    fn unlist(&mut self, whom: &Whom) -> bool {
        let Some(ban) = self.bans.remove(whom) else { return false };
        if let Some(until) = ban.until {
            self.ends.remove(&(until, *whom));
        }
        true
    }

    /// Whose ban ended.
    pub fn take_freed(&mut self, now: Instant) -> Vec<Whom> {
        let due: Vec<Whom> = self.ends.iter().take_while(|(at, _)| *at <= now).map(|(_, whom)| *whom).collect();
        due.iter().for_each(|whom| {
            self.unlist(whom);
        });
        if !due.is_empty() {
            self.forget_haunts();
        }
        due
    }

    pub fn banned(&self) -> impl Iterator<Item = &Whom> {
        self.bans.keys()
    }

    /// There is room for one more question about a dial, if one has to be asked.
    pub fn may_ask(&self) -> bool {
        !self.firewall || self.has_room(Purpose::Dial)
    }

    fn has_room(&self, purpose: Purpose) -> bool {
        let of_a_kind = match purpose {
            Purpose::Incoming => self.incoming,
            Purpose::Dial | Purpose::Candidate => self.questions.len().saturating_sub(self.incoming),
        };
        self.questions.len() < QUESTIONS_MAX && of_a_kind < QUESTIONS_OF_A_KIND
    }

    fn take_question(&mut self, id: u64) -> Option<Question> {
        let question = self.questions.remove(&id)?;
        self.incoming = self.incoming.saturating_sub(usize::from(question.purpose == Purpose::Incoming));
        Some(question)
    }

    /// Opens a question; none: too many are open. A peer that is asked about already is not asked about twice.
    pub fn ask(&mut self, whom: Whom, purpose: Purpose, now: Instant) -> Option<(u64, bool)> {
        let open = self.questions.iter().find(|(_, asked)| asked.whom == whom && asked.purpose == purpose);
        if let Some((id, _)) = open {
            return Some((*id, false));
        }
        if !self.has_room(purpose) {
            return None;
        }
        self.last_question = self.last_question.saturating_add(1);
        self.incoming = self.incoming.saturating_add(usize::from(purpose == Purpose::Incoming));
        self.questions.insert(self.last_question, Question { whom, purpose, deadline: now + self.deadline });
        Some((self.last_question, true))
    }

    /// The application answered. None: it was too late, or nothing was asked.
    pub fn answer(&mut self, id: u64, allowed: bool, now: Instant) -> Option<Verdict> {
        let Question { whom, purpose, .. } = self.take_question(id)?;
        self.remember(whom, purpose, Some(allowed), now);
        Some(Verdict { whom, purpose, allowed: Some(allowed) })
    }

    fn remember(&mut self, whom: Whom, purpose: Purpose, allowed: Option<bool>, now: Instant) {
        // What is a good candidate is not yet let in.
        if purpose == Purpose::Candidate {
            return;
        }
        if self.verdicts.len() >= VERDICTS_KEPT {
            self.verdicts.retain(|_, (_, until)| *until > now);
        }
        if self.verdicts.len() >= VERDICTS_KEPT {
            let first = self.verdicts.iter().min_by_key(|(_, (_, until))| *until).map(|(whom, _)| *whom);
            first.map(|whom| self.verdicts.remove(&whom));
        }
        self.verdicts.insert(whom, (allowed, now + self.clear_wait));
    }

    /// The connection that the last answer was for is there, or failed: the next one is asked about again.
    pub fn forget_verdict(&mut self, whom: &Whom) {
        if self.verdicts.get(whom).is_some_and(|(allowed, _)| *allowed == Some(true)) {
            self.verdicts.remove(whom);
        }
    }

    pub fn poll_deadline(&self) -> Option<Instant> {
        let questions = self.questions.values().map(|question| question.deadline).min();
        earlier(questions, self.ends.first().map(|(at, _)| *at))
    }

    /// Questions that nobody answered.
    pub fn handle_timeout(&mut self, now: Instant) -> Vec<Verdict> {
        let due = self.questions.iter().filter(|(_, question)| question.deadline <= now);
        let due: Vec<(u64, Question)> = due.map(|(id, question)| (*id, *question)).collect();
        let verdicts = due.into_iter().map(|(id, Question { whom, purpose, .. })| {
            self.take_question(id);
            self.remember(whom, purpose, None, now);
            Verdict { whom, purpose, allowed: None }
        });
        verdicts.collect()
    }

    /// Nobody waits for an answer any more. Those who dialled us and did.
    pub fn clear_questions(&mut self) -> Vec<Whom> {
        self.incoming = 0;
        let questions = std::mem::take(&mut self.questions).into_values();
        questions.filter(|question| question.purpose == Purpose::Incoming).map(|question| question.whom).collect()
    }

    pub fn questions(&self) -> usize {
        self.questions.len()
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a base for virtual time")]
mod tests {
    use super::*;

    fn addr(n: u32) -> SocketAddr {
        SocketAddr::new(n.to_be_bytes().into(), 5)
    }

    #[test]
    fn where_a_banned_peer_was_nobody_speaks_the_old_wire_while_the_ban_lasts() {
        let (mut door, now) = (Door::new(&SwarmOptions::default()), Instant::now());
        let (bad, good) = ([1; 32], [2; 32]);
        assert!(!door.was_at(addr(1), bad, now) && !door.is_haunted(&addr(1), now));
        assert!(!door.bans_keys());
        let until = now + Duration::from_secs(5);
        door.ban(Whom::Key(bad), Some(until), false);
        door.ban(Whom::Legacy([9; 8]), None, false);
        assert!(door.bans_keys());
        assert!(door.was_at(addr(1), bad, now) && door.was_at(addr(2), bad, now));
        assert!(door.is_haunted(&addr(1), now) && !door.is_haunted(&addr(3), now));
        assert!(!door.was_at(addr(1), good, now), "another program is there now");
        assert!(!door.is_haunted(&addr(1), now) && door.is_haunted(&addr(2), now));
        assert!(!door.is_haunted(&addr(2), until));
        assert_eq!(door.haunts.len(), 1);
        assert_eq!(door.take_freed(until), [Whom::Key(bad)]);
        assert!(door.haunts.is_empty() && !door.bans_keys(), "nothing is kept of a ban that is over");
        door.ban(Whom::Key(bad), None, false);
        assert!(door.was_at(addr(2), bad, now) && door.unban(&Whom::Key(bad)));
        assert!(door.haunts.is_empty() && !door.is_haunted(&addr(2), now));
    }

    #[test]
    fn the_place_that_was_seen_first_makes_room() {
        let (mut door, now) = (Door::new(&SwarmOptions::default()), Instant::now());
        door.ban(Whom::Key([1; 32]), None, false);
        for n in 0..=BANNED_ADDRS as u32 {
            door.was_at(addr(n), [1; 32], now);
        }
        assert_eq!(door.haunts.len(), BANNED_ADDRS);
        assert!(!door.is_haunted(&addr(0), now) && door.is_haunted(&addr(1), now));
    }
}
