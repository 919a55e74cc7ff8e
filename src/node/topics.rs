//! Joined topics: the sessions the application has of each, and the number the library knows it by.
//!
//! A topic is 32 bytes, or 32 bytes with a secret: these are two topics. The application may join one
//! several times; it is left with the last of these sessions. Inside, a topic has one
//! `TopicNo` from the first join to the last leave.

use super::api::{Topic, TopicId};
use crate::crypto::topic::TopicKey;
use crate::session::quic::{Joined, TopicNo};
use std::collections::{BTreeMap, BTreeSet};
use zeroize::Zeroize;

/// A topic and its secret, if it is private.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name {
    pub topic: Topic,
    secret: Option<Secret>,
}

/// Wiped when dropped.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Secret([u8; 32]);

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl Name {
    pub fn new(topic: Topic, secret: Option<[u8; 32]>) -> Name {
        Name { topic, secret: secret.map(Secret) }
    }

    pub fn is_private(&self) -> bool {
        self.secret.is_some()
    }

    /// What all announcements and proofs of it are made with.
    pub fn key(&self) -> TopicKey {
        match &self.secret {
            None => TopicKey::public(&self.topic),
            Some(secret) => TopicKey::private(&self.topic, &secret.0),
        }
    }

    /// As sessions know it.
    pub fn joined(&self) -> Joined {
        Joined { key: self.key(), private: self.is_private() }
    }
}

/// All joined topics.
#[derive(Default)]
pub struct Table {
    sessions: BTreeMap<TopicId, Name>,
    numbers: BTreeMap<Name, TopicNo>,
    /// The name of each topic, and its sessions.
    names: BTreeMap<TopicNo, (Name, BTreeSet<TopicId>)>,
    /// By what the topics are called outside.
    outside: BTreeMap<[u8; 32], TopicNo>,
}

impl Table {
    /// Adds a session; the topic's number if it is joined by that.
    pub fn add(&mut self, id: TopicId, name: &Name) -> Option<TopicNo> {
        self.sessions.insert(id, name.clone());
        let joined = self.numbers.get(name).copied();
        let no = joined.unwrap_or(TopicNo(id.0));
        if joined.is_none() {
            self.numbers.insert(name.clone(), no);
            self.outside.insert(name.key().mesh(), no);
        }
        self.names.entry(no).or_insert_with(|| (name.clone(), BTreeSet::new())).1.insert(id);
        joined.is_none().then_some(no)
    }

    /// Ends a session; the topic's name and number if it is left by that.
    pub fn remove(&mut self, id: TopicId) -> Option<Option<(Name, TopicNo)>> {
        let name = self.sessions.remove(&id)?;
        let no = self.numbers.get(&name).copied()?;
        let (_, sessions) = self.names.get_mut(&no)?;
        sessions.remove(&id);
        if !sessions.is_empty() {
            return Some(None);
        }
        self.numbers.remove(&name);
        self.names.remove(&no);
        self.outside.remove(&name.key().mesh());
        Some(Some((name, no)))
    }

    /// Sessions of a topic, with or without a secret.
    pub fn sessions_of(&self, topic: &Topic) -> Vec<TopicId> {
        self.sessions.iter().filter(|(_, name)| name.topic == *topic).map(|(id, _)| *id).collect()
    }

    /// Sessions of exactly this topic.
    pub fn sessions_with(&self, name: &Name) -> Vec<TopicId> {
        let sessions = self.find(name).and_then(|no| self.names.get(&no)).map(|(_, sessions)| sessions);
        sessions.into_iter().flatten().copied().collect()
    }

    /// The topic with this name, if it is joined.
    pub fn find(&self, name: &Name) -> Option<TopicNo> {
        self.numbers.get(name).copied()
    }

    /// The topic that is called this outside.
    pub fn no_of(&self, outside: &[u8; 32]) -> Option<TopicNo> {
        self.outside.get(outside).copied()
    }

    pub fn is_private(&self, no: TopicNo) -> bool {
        self.name(no).is_some_and(Name::is_private)
    }

    pub fn ids(&self) -> Vec<TopicId> {
        self.sessions.keys().copied().collect()
    }

    /// The oldest session of each of these topics.
    pub fn ids_of(&self, numbers: &BTreeSet<TopicNo>) -> Vec<TopicId> {
        numbers.iter().filter_map(|no| self.id_of(*no)).collect()
    }

    /// The oldest session of a topic.
    pub fn id_of(&self, no: TopicNo) -> Option<TopicId> {
        self.names.get(&no)?.1.first().copied()
    }

    /// The number of the topic that a session is of.
    pub fn number_of(&self, id: TopicId) -> Option<TopicNo> {
        self.numbers.get(self.sessions.get(&id)?).copied()
    }

    pub fn name(&self, no: TopicNo) -> Option<&Name> {
        self.names.get(&no).map(|(name, _)| name)
    }

    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    pub fn clear(&mut self) {
        *self = Table::default();
    }
}
