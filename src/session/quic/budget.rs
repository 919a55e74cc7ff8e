//! A number of bytes that several connections share.
//!
//! The owner lends it for a call; who takes bytes keeps count of them and gives
//! them back, at the latest when its connection ends. It is no memory, only the
//! permission to use some: taken before the memory is needed, so that
//! what was begun can be ended.

/// Bytes that may still be taken.
#[derive(Debug)]
pub struct Budget {
    free: usize,
}

impl Budget {
    pub const fn new(total: usize) -> Budget {
        Budget { free: total }
    }

    /// Takes all of `bytes` or nothing.
    pub fn take(&mut self, bytes: usize) -> bool {
        match self.free.checked_sub(bytes) {
            Some(free) => {
                self.free = free;
                true
            }
            None => false,
        }
    }

    pub fn give(&mut self, bytes: usize) {
        self.free = self.free.saturating_add(bytes);
    }

    pub const fn free(&self) -> usize {
        self.free
    }
}
