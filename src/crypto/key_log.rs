//! What a decryptor needs to open a recorded session: for tests of the library alone.
//!
//! Only there with the feature `key-log`, which is off by default and refused in a release
//! build. In: what TLS would write to a key log. Out: the same, to the test that runs the
//! swarms in its own process. Nothing is written to a file, and no environment variable is read.

use parking_lot::Mutex;
use std::collections::BTreeMap;

#[cfg(not(debug_assertions))]
compile_error!("the feature `key-log` shows the keys of sessions: it is for tests, and not for a release build");

/// The secrets of one session by the names that key logs use.
pub type Secrets = BTreeMap<String, Vec<u8>>;

static LOG: Mutex<BTreeMap<Vec<u8>, Secrets>> = Mutex::new(BTreeMap::new());

/// The secrets of the session that began with this client random.
pub fn secrets(client_random: &[u8]) -> Option<Secrets> {
    LOG.lock().get(client_random).cloned()
}

/// Takes what TLS logs.
#[derive(Debug)]
pub(super) struct Log;

impl rustls::KeyLog for Log {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        LOG.lock().entry(client_random.to_vec()).or_default().insert(label.to_owned(), secret.to_vec());
    }
}
