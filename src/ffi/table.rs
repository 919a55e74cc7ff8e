//! Names for objects that any thread may use while any other frees them.
//!
//! In: objects. Out: a name for each, never used twice, and the object for a name. What was
//! taken out lives on until the last call that uses it returns.
//! Names are multiples of 16, like addresses, and smaller than any; 0 is none.

use std::collections::BTreeMap;
use std::sync::Arc;

const STEP: usize = 16;

pub struct Table<T> {
    entries: BTreeMap<usize, Arc<T>>,
    last: usize,
}

/// Why there is nothing under a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// It was taken out.
    Removed,
    /// It was never given.
    Unknown,
}

impl<T> Default for Table<T> {
    fn default() -> Table<T> {
        Table { entries: BTreeMap::new(), last: 0 }
    }
}

impl<T> Table<T> {
    /// Puts an object in; it may know its own name.
    pub fn insert(&mut self, object: impl FnOnce(usize) -> T) -> usize {
        self.last = self.last.saturating_add(STEP);
        self.entries.insert(self.last, Arc::new(object(self.last)));
        self.last
    }

    /// Takes an object out.
    pub fn remove(&mut self, name: usize) -> Option<Arc<T>> {
        self.entries.remove(&name)
    }

    pub fn get(&self, name: usize) -> Result<Arc<T>, Missing> {
        match self.entries.get(&name) {
            Some(object) => Ok(object.clone()),
            None if name != 0 && name <= self.last && name.is_multiple_of(STEP) => Err(Missing::Removed),
            None => Err(Missing::Unknown),
        }
    }
}
