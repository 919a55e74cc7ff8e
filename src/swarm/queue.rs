//! Who is to be dialled next: the highest priority first, by chance within one.
//!
//! By chance, so that not all members of a swarm dial the same peer in the same order. Each peer is in it at most
//! once; adding, taking and removing cost the same however many there are.

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::Rng;
use std::collections::BTreeMap;

pub struct Queue<K> {
    /// Never holds an empty list.
    by_priority: BTreeMap<u8, Vec<K>>,
    places: BTreeMap<K, (u8, usize)>,
}

impl<K> Default for Queue<K> {
    fn default() -> Queue<K> {
        Queue { by_priority: BTreeMap::new(), places: BTreeMap::new() }
    }
}

impl<K: Copy + Ord> Queue<K> {
    /// False: it is in already.
    pub fn push(&mut self, item: K, priority: u8) -> bool {
        if self.places.contains_key(&item) {
            return false;
        }
        let list = self.by_priority.entry(priority).or_default();
        self.places.insert(item, (priority, list.len()));
        list.push(item);
        true
    }

    pub fn pop(&mut self, rng: &mut ChaCha20Rng) -> Option<K> {
        let (_, list) = self.by_priority.last_key_value()?;
        let at = usize::try_from(rng.next_u64() % (list.len().max(1) as u64)).unwrap_or(0);
        let item = *list.get(at)?;
        self.remove(&item);
        Some(item)
    }

    pub fn remove(&mut self, item: &K) -> bool {
        let Some((priority, at)) = self.places.remove(item) else { return false };
        if let Some(list) = self.by_priority.get_mut(&priority) {
            if at < list.len() {
                list.swap_remove(at);
            }
            if let Some(moved) = list.get(at) {
                self.places.insert(*moved, (priority, at));
            }
            if list.is_empty() {
                self.by_priority.remove(&priority);
            }
        }
        true
    }

    pub fn contains(&self, item: &K) -> bool {
        self.places.contains_key(item)
    }

    pub fn iter(&self) -> impl Iterator<Item = K> + '_ {
        self.places.keys().copied()
    }

    pub fn len(&self) -> usize {
        self.places.len()
    }

    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    pub fn clear(&mut self) {
        *self = Queue::default();
    }
}
