//! The control stream of one session: who we are, which topics we share, what else we tell.
//!
//! Sans-IO and without QUIC: bytes of the stream in, bytes for the stream and `Told`s out. The
//! dialler shows its proofs first; the acceptor answers for those that match and shows
//! nothing else. A session is ready when a topic is shared, or when the dial was explicit and the
//! acceptor takes such. Whatever breaks the rules ends the session with a `Reason`.
//! Invariants: at most one TOPICS is on its way at a time; what a peer makes us buffer, compute or
//! send is bounded by limits in config; a proof is believed only for the role that must give it.
//! The frames are in docs/protocol.md.

use super::close::{Close, Reason};
use crate::bucket::Bucket;
use crate::config::limits::{
    ADDRS_TOLD, CONTROL_BURST_BYTES, CONTROL_BYTES_PER_SECOND, CONTROL_SEND_BYTES, CONTROL_TOPICS_COST,
    LEGACY_PROOF_DELAY,
};
use crate::crypto::identity::{LegacyId, V12Keys, legacy_id};
use crate::crypto::legacy::LegacySecret;
use crate::crypto::topic::{Role, Shown, TopicKey};
use crate::wire::v13::control::{self, Control, Hello, Tag, VERSION};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::Rng;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// Fewest tags in a TOPICS, so that few topics look like none.
const FEWEST_TAGS: usize = 4;
/// A joined topic inside the library: never reused, stays while anything of the application has the topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicNo(pub u64);

/// A topic as sessions know it.
pub struct Joined {
    pub key: TopicKey,
    pub private: bool,
}

pub type Topics = BTreeMap<TopicNo, Joined>;

/// What both sides need to know of this swarm.
#[derive(Clone, Copy, Debug)]
pub struct Own {
    /// Microseconds since 1970 when this swarm was made.
    pub instance: u64,
    pub max_message: u64,
    pub accept_explicit: bool,
    /// Old peers are spoken to, so the link to our legacy id is proven.
    pub legacy: bool,
}

/// Keying material of this session that both sides have and nobody else.
pub struct Bindings {
    pub topic: Zeroizing<[u8; 32]>,
    pub legacy: Zeroizing<[u8; 32]>,
}

/// What a call may use.
pub struct Lent<'a> {
    pub topics: &'a Topics,
    pub own: &'a Own,
    pub v12: &'a V12Keys,
    pub rng: &'a mut ChaCha20Rng,
    pub now: Instant,
}

/// What the exchange found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// Topics are shared, or the dial was accepted without: data may flow.
    Ready,
    /// When the peer's swarm was made, to a dialler that has not shown its topics; it does so after `topics_changed`.
    Instance(u64),
    /// The set of shared topics changed.
    Shared,
    /// Where else the peer can be reached, so it says.
    Addrs(Vec<SocketAddr>),
    /// The peer holds the key of this legacy id.
    Legacy(LegacyId),
}

/// One session's control stream.
pub struct Exchange {
    role: Role,
    bindings: Bindings,
    explicit: bool,
    continues: bool,
    received: Vec<u8>,
    send: Vec<u8>,
    budget: Bucket,
    behind: bool,
    theirs: Option<Hello>,
    shared: BTreeSet<TopicNo>,
    /// What the other side says when it leaves one of these.
    leaving: BTreeMap<Tag, TopicNo>,
    /// Topics of the TOPICS on its way: the tag shown, and the one that would confirm it.
    showing: Option<Vec<(TopicNo, Tag, Tag)>>,
    /// Joined topics changed: show them again, or ask for theirs.
    stale: bool,
    /// Acceptor: an ASK is on its way, and whatever TOPICS comes next is compared with all that is joined then.
    asked: bool,
    answered: bool,
    ready: bool,
    begun: bool,
    /// Topics are not shown before the other side's HELLO was looked at.
    held: bool,
    legacy_sent: bool,
    /// The v12 key that the peer named, and what ours shares with it until it proved to hold it.
    legacy_theirs: Option<[u8; 32]>,
    legacy_secret: Option<LegacySecret>,
    /// When that is made, which costs more than the whole rest of the exchange.
    legacy_due: Option<Instant>,
    legacy_proven: Option<LegacyId>,
}

impl Exchange {
    /// `explicit`, of a dialler: ask to be accepted without a topic. `continues`: there is a v12 session that this one replaces.
    pub fn new(role: Role, bindings: Bindings, explicit: bool, continues: bool, now: Instant) -> Exchange {
        Exchange {
            role,
            bindings,
            explicit,
            continues,
            received: Vec::new(),
            send: Vec::new(),
            budget: Bucket::new(CONTROL_BURST_BYTES, CONTROL_BYTES_PER_SECOND, now),
            behind: false,
            theirs: None,
            shared: BTreeSet::new(),
            leaving: BTreeMap::new(),
            showing: None,
            stale: false,
            asked: false,
            answered: false,
            ready: false,
            begun: false,
            held: false,
            legacy_sent: false,
            legacy_theirs: None,
            legacy_secret: None,
            legacy_due: None,
            legacy_proven: None,
        }
    }

    /// Says HELLO; a dialler shows its topics, unless it first has to know who answers.
    pub fn begin(&mut self, lent: &mut Lent<'_>, show: bool) {
        let explicit = match self.role {
            Role::Dialler => self.explicit,
            Role::Acceptor => lent.own.accept_explicit,
        };
        let Own { instance, max_message, .. } = *lent.own;
        let hello = Hello { version: VERSION, instance, max_message, explicit, continues: self.continues };
        // Every value of a HELLO fits a varint: they were checked when they were set.
        let _ = hello.encode(&mut self.send);
        self.begun = true;
        self.held = !show;
        if self.role == Role::Dialler && show {
            self.show(lent);
        }
    }

    /// Bytes of the control stream, in order, no more at a time than `allowance` said; none when it `is_behind`.
    pub fn receive(&mut self, bytes: &[u8], lent: &mut Lent<'_>, told: &mut Vec<Told>) -> Result<(), Reason> {
        self.budget.take(u32::try_from(bytes.len()).unwrap_or(u32::MAX), lent.now);
        self.received.extend_from_slice(bytes);
        let mut received = std::mem::take(&mut self.received);
        let mut taken = 0;
        self.behind = false;
        while let Some(rest) = received.get(taken..) {
            let next = control::next(rest).map_err(|e| Reason::protocol(format!("control stream: {e}")))?;
            let Some((frame, used)) = next else { break };
            // Two bytes are enough to make us compute codes for all topics.
            let costly = matches!(frame, Control::Topics(_) | Control::Ask);
            if costly && !self.budget.take(CONTROL_TOPICS_COST, lent.now) {
                self.behind = true;
                break;
            }
            taken += used;
            self.frame(frame, lent, told)?;
        }
        received.drain(..taken);
        self.received = received;
        Ok(())
    }

    /// How many bytes of the stream may be taken now; none: not before the time that is returned.
    pub fn allowance(&mut self, now: Instant) -> Result<usize, Instant> {
        const STEP: u32 = 4_096;
        const { assert!(CONTROL_TOPICS_COST <= STEP, "a frame that waits can be paid for when more may be taken") };
        let at = self.budget.ready_at(STEP, now);
        if at <= now { Ok(STEP as usize) } else { Err(at) }
    }

    /// Frames that came wait until what they cost may be spent.
    pub fn is_behind(&self) -> bool {
        self.behind
    }

    /// What is to be written to the stream.
    pub fn output(&mut self) -> &mut Vec<u8> {
        &mut self.send
    }

    /// The joined topics changed; `refresh` follows.
    pub fn topics_changed(&mut self) {
        self.stale = true;
    }

    /// A topic was left: the other side is told, if it was shared.
    pub fn left(&mut self, no: TopicNo, key: &TopicKey) -> bool {
        let was = self.shared.remove(&no);
        if was {
            self.leaving.remove(&key.proof(self.role.other(), &self.bindings.topic));
            let tag = key.proof(self.role, &self.bindings.topic);
            let _ = control::encode_left(&[tag], &mut self.send);
        }
        was
    }

    /// Tells where else we can be reached.
    pub fn tell_addrs(&mut self, addrs: &[SocketAddr]) {
        let addrs: Vec<SocketAddr> = addrs.iter().copied().take(ADDRS_TOLD).collect();
        if !self.is_clogged() {
            let _ = control::encode_addrs(&addrs, &mut self.send);
        }
    }

    /// Topics both sides joined.
    pub fn shared(&self) -> &BTreeSet<TopicNo> {
        &self.shared
    }

    /// When the other swarm was made, once it said so.
    pub fn instance(&self) -> Option<u64> {
        self.theirs.as_ref().map(|hello| hello.instance)
    }

    /// Largest message the other side takes.
    pub fn max_message(&self) -> u64 {
        self.theirs.as_ref().map_or(0, |hello| hello.max_message)
    }

    /// The legacy id that the peer proved to hold.
    pub fn legacy_id(&self) -> Option<LegacyId> {
        self.legacy_proven
    }

    /// Our v12 key was named, so the peer may be about to prove that it holds its own.
    pub fn expects_legacy(&self) -> bool {
        self.legacy_sent && self.legacy_proven.is_none()
    }

    /// HELLO was said.
    pub fn has_begun(&self) -> bool {
        self.begun
    }

    /// The session was accepted without a topic.
    pub fn is_explicit(&self) -> bool {
        self.ready && self.explicit
    }

    /// One side continues a v12 session: the legacy proofs come before the session is used.
    pub fn continues(&self) -> bool {
        self.continues || self.theirs.as_ref().is_some_and(|hello| hello.continues)
    }

    fn frame(&mut self, frame: Control<'_>, lent: &mut Lent<'_>, told: &mut Vec<Told>) -> Result<(), Reason> {
        match (frame, &self.theirs) {
            (Control::Hello(hello), None) => {
                self.hello(hello, lent);
                if std::mem::take(&mut self.held) {
                    told.push(Told::Instance(hello.instance));
                }
                Ok(())
            }
            (Control::Hello(_), Some(_)) => Err(Reason::protocol("a second HELLO")),
            (_, None) => Err(Reason::protocol("the first control frame is not HELLO")),
            (Control::Topics(tags), _) if self.role == Role::Acceptor => self.topics(tags, lent, told),
            (Control::Shared(tags), _) if self.role == Role::Dialler => self.confirmed(tags, lent, told),
            (Control::Ask, _) if self.role == Role::Dialler => {
                self.stale = true;
                Ok(())
            }
            (Control::Topics(_) | Control::Shared(_) | Control::Ask, _) => {
                Err(Reason::protocol("a control frame of the other role"))
            }
            (Control::Left(tags), _) => {
                self.theirs_left(tags, told);
                Ok(())
            }
            (Control::Addrs(addrs), _) => {
                told.push(Told::Addrs(addrs.iter().take(ADDRS_TOLD).collect()));
                Ok(())
            }
            (Control::Legacy(key), _) => self.legacy(&key, lent),
            (Control::LegacyProof(mac), _) => self.legacy_proof(&mac, lent, told),
            (Control::Unknown { .. }, _) => Ok(()),
        }
    }

    fn hello(&mut self, hello: Hello, lent: &mut Lent<'_>) {
        self.explicit = match self.role {
            Role::Dialler => self.explicit && hello.explicit,
            Role::Acceptor => lent.own.accept_explicit && hello.explicit,
        };
        self.theirs = Some(hello);
        if self.role == Role::Acceptor {
            self.begin(lent, true);
        }
    }

    /// Acceptor: answers for the topics that match, and for nothing else.
    fn topics(&mut self, tags: &[[u8; 32]], lent: &mut Lent<'_>, told: &mut Vec<Told>) -> Result<(), Reason> {
        let mut blind = [0; 32];
        lent.rng.fill_bytes(&mut blind);
        let shown = Shown::new(blind, tags);
        self.asked = false;
        let (mut answer, before) = (Vec::new(), self.shared.len());
        for (no, joined) in lent.topics {
            let own = joined.key.proof(Role::Acceptor, &self.bindings.topic);
            if shown.holds(&own) {
                return Err(Reason::new(Close::BadProof, "a topic proof of our own role came back"));
            }
            let theirs = joined.key.proof(Role::Dialler, &self.bindings.topic);
            if shown.holds(&theirs) {
                self.shared.insert(*no);
                self.leaving.insert(theirs, *no);
                answer.push(own);
            }
        }
        self.check_clog()?;
        let _ = control::encode_shared(&answer, &mut self.send);
        self.answered = true;
        self.settle(before, !answer.is_empty(), lent, told)
    }

    /// Dialler: the acceptor's answer.
    fn confirmed(&mut self, tags: &[[u8; 32]], lent: &mut Lent<'_>, told: &mut Vec<Told>) -> Result<(), Reason> {
        let Some(showing) = self.showing.take() else {
            return Err(Reason::protocol("SHARED without TOPICS"));
        };
        let before = self.shared.len();
        for tag in tags {
            let Some((no, shown, _)) = showing.iter().find(|(.., expected)| expected == tag) else {
                return Err(Reason::new(Close::BadProof, "a topic proof that fits no topic we showed"));
            };
            match lent.topics.get(no) {
                Some(_) => {
                    self.shared.insert(*no);
                    self.leaving.insert(*tag, *no);
                }
                // Left meanwhile: the session has begun at the other side, and goes on as if we left it now.
                None => {
                    let _ = control::encode_left(&[*shown], &mut self.send);
                }
            }
        }
        self.answered = true;
        self.settle(before, !tags.is_empty(), lent, told)
    }

    /// What follows when the set of shared topics may have grown, and the first time. `matched`: TOPICS had some of ours.
    fn settle(
        &mut self,
        before: usize,
        matched: bool,
        lent: &mut Lent<'_>,
        told: &mut Vec<Told>,
    ) -> Result<(), Reason> {
        let grown = self.shared.len() > before;
        if self.ready {
            if grown {
                told.push(Told::Shared);
            }
        } else if matched || self.explicit {
            self.ready = true;
            told.push(Told::Ready);
        } else if self.role == Role::Acceptor {
            let asked = self.theirs.as_ref().is_some_and(|hello| hello.explicit);
            return Err(match asked {
                true => Reason::new(Close::Refused, "no topic is shared, and dials by address are not accepted"),
                false => {
                    Reason::new(Close::NoTopic, "no topic is shared, and the connection was not asked for by address")
                }
            });
        }
        self.tell_legacy(lent);
        Ok(())
    }

    fn theirs_left(&mut self, tags: &[Tag], told: &mut Vec<Told>) {
        let before = self.shared.len();
        for tag in tags {
            if let Some(no) = self.leaving.remove(tag) {
                self.shared.remove(&no);
            }
        }
        // Many topics that are left one by one are one piece of news.
        if self.shared.len() < before && told.last() != Some(&Told::Shared) {
            told.push(Told::Shared);
        }
    }

    /// Proves the legacy id when that is due. Shows the topics again, or asks for theirs, if something changed and nothing is on its way.
    pub fn refresh(&mut self, lent: &mut Lent<'_>) -> Result<(), Reason> {
        self.agree_legacy(lent)?;
        if !self.stale || self.theirs.is_none() || self.showing.is_some() || self.held {
            return Ok(());
        }
        self.check_clog()?;
        self.stale = false;
        match self.role {
            Role::Dialler => self.show(lent),
            Role::Acceptor if self.answered && !self.asked => {
                self.asked = true;
                control::encode_ask(&mut self.send);
            }
            // A TOPICS is still to come, the first or the one we asked for, and will be compared with what is joined then.
            Role::Acceptor => {}
        }
        Ok(())
    }

    /// Dialler: a TOPICS with a proof for each joined topic, hidden among random ones.
    fn show(&mut self, lent: &mut Lent<'_>) {
        let mut tags = Vec::with_capacity(lent.topics.len().next_power_of_two().max(FEWEST_TAGS));
        let mut showing = Vec::with_capacity(lent.topics.len());
        for (no, joined) in lent.topics {
            let own = joined.key.proof(Role::Dialler, &self.bindings.topic);
            tags.push(own);
            showing.push((*no, own, joined.key.proof(Role::Acceptor, &self.bindings.topic)));
        }
        let padded = tags.len().next_power_of_two().max(FEWEST_TAGS);
        while tags.len() < padded {
            let mut tag = [0; 32];
            lent.rng.fill_bytes(&mut tag);
            tags.push(tag);
        }
        // Their order tells nothing.
        tags.sort_unstable();
        let _ = control::encode_topics(&tags, &mut self.send);
        self.showing = Some(showing);
    }

    /// Names our v12 key, once, to a peer that shares a public topic or was dialled by address.
    fn tell_legacy(&mut self, lent: &Lent<'_>) {
        let public = self.shared.iter().any(|no| lent.topics.get(no).is_some_and(|joined| !joined.private));
        let tells = lent.own.legacy && (public || self.explicit);
        if self.ready && !tells {
            // Nobody can know what it goes on with: it begins by itself.
            self.continues = false;
            self.theirs.iter_mut().for_each(|theirs| theirs.continues = false);
        }
        if !self.legacy_sent && self.ready && tells {
            self.legacy_sent = true;
            control::encode_legacy(lent.v12.public(), &mut self.send);
            self.prove_legacy();
        }
    }

    fn legacy(&mut self, key: &[u8; 32], lent: &Lent<'_>) -> Result<(), Reason> {
        if self.legacy_theirs.replace(*key).is_some() {
            return Err(Reason::protocol("a second LEGACY"));
        }
        let wait = if self.continues() { Duration::ZERO } else { LEGACY_PROOF_DELAY };
        self.legacy_due = Some(lent.now + wait);
        self.agree_legacy(lent)
    }

    /// Makes what the two v12 keys share when it is due, and what follows from it.
    fn agree_legacy(&mut self, lent: &Lent<'_>) -> Result<(), Reason> {
        let Some(theirs) = self.legacy_theirs.filter(|_| self.legacy_due.is_some_and(|due| due <= lent.now)) else {
            return Ok(());
        };
        self.legacy_due = None;
        let secret = LegacySecret::new(lent.v12, &theirs)
            .ok_or_else(|| Reason::new(Close::BadProof, "LEGACY names a key of low order"))?;
        self.legacy_secret = Some(secret);
        self.prove_legacy();
        Ok(())
    }

    /// When `refresh` is to be called, if nothing else happens before.
    pub fn poll_deadline(&self) -> Option<Instant> {
        self.legacy_due
    }

    /// Proves that we hold our v12 key, when both sides have named theirs.
    fn prove_legacy(&mut self) {
        let Some(secret) = self.legacy_secret.as_ref().filter(|_| self.legacy_sent) else { return };
        control::encode_legacy_proof(&secret.proof(self.role, &self.bindings.legacy), &mut self.send);
    }

    fn legacy_proof(&mut self, mac: &[u8; 32], lent: &Lent<'_>, told: &mut Vec<Told>) -> Result<(), Reason> {
        // Theirs does not wait.
        self.legacy_due = self.legacy_due.map(|due| due.min(lent.now));
        self.agree_legacy(lent)?;
        let (Some(theirs), Some(secret), true) = (self.legacy_theirs, &self.legacy_secret, self.legacy_sent) else {
            return Err(Reason::protocol("LEGACY_PROOF without LEGACY"));
        };
        if !secret.fits(self.role.other(), &self.bindings.legacy, mac) {
            return Err(Reason::new(Close::BadProof, "the proof of the v12 key is wrong"));
        }
        // Ours is on its way already; a second one of theirs is against the rules.
        self.legacy_secret = None;
        let id = legacy_id(&theirs);
        self.legacy_proven = Some(id);
        told.push(Told::Legacy(id));
        Ok(())
    }

    fn is_clogged(&self) -> bool {
        self.send.len() > CONTROL_SEND_BYTES
    }

    fn check_clog(&self) -> Result<(), Reason> {
        match self.is_clogged() {
            true => Err(Reason::new(Close::TimedOut, "its control stream is not read")),
            false => Ok(()),
        }
    }
}
