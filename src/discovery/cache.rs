//! Peers of earlier runs, kept by the application.
//!
//! The application is handed a JSON array of `{"id","key","ip","port","lastSeen","proven"}` (id, key: hex;
//! lastSeen, proven: milliseconds since 1970; key and proven only of modern peers) when it changed, and gives it
//! back at the next start. `proven` says since when the id is known to belong to the key. The newest are dialled when the first topic is joined. The text is input like
//! any other: bounded, and entries that make no sense are an error that names them.

use crate::config::limits::{CACHE_DIALS, CACHE_MAX, CACHE_PERIOD};
use crate::crypto::identity::{LegacyId, WireId};
use crate::error::{Error, Result};
use crate::path::{is_dialable, proven};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

/// One remembered peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Hex digits as they were given or learned: 40, or 16 from old peers.
    pub id: Option<String>,
    /// The key of a modern peer.
    pub key: Option<[u8; 32]>,
    pub addr: SocketAddr,
    /// Milliseconds since 1970.
    pub last_seen: u64,
    /// When the key was proven to own the id, in milliseconds since 1970.
    pub proven: Option<u64>,
}

impl Entry {
    /// The id as it stands on the wire.
    pub fn wire_id(&self) -> Option<WireId> {
        crate::wire::hex::decode(self.id.as_ref()?.get(..16)?.as_bytes())
    }

    /// That the id belongs to the key, if that was proven.
    pub fn link(&self) -> Option<proven::Link> {
        let id = crate::wire::hex::decode(self.id.as_ref()?.as_bytes())?;
        Some(proven::Link { id, key: self.key?, unix_us: self.proven?.saturating_mul(1_000) })
    }
}

/// Reads what was handed out in an earlier run.
pub fn parse(json: &str) -> Result<Vec<Entry>> {
    let value: Value = serde_json::from_str(json).map_err(|e| {
        Error::invalid(format!("peer_cache: not JSON ({e}); give back what the peers event handed out"))
    })?;
    let list = value.as_array().ok_or_else(|| Error::invalid("peer_cache: not an array of peers"))?;
    let mut entries = Vec::new();
    for (n, item) in list.iter().enumerate() {
        entries.push(entry(item).ok_or_else(|| {
            Error::invalid(format!("peer_cache: entry {n} is not {{\"id\",\"ip\",\"port\",\"lastSeen\"}}"))
        })?);
    }
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.last_seen));
    entries.truncate(CACHE_MAX);
    Ok(entries)
}

fn entry(item: &Value) -> Option<Entry> {
    let ip: IpAddr = item.get("ip")?.as_str()?.parse().ok()?;
    let addr = SocketAddr::new(ip, u16::try_from(item.get("port")?.as_u64()?).ok()?);
    let id = match item.get("id") {
        None | Some(Value::Null) => None,
        Some(id) => Some(id.as_str().filter(|id| id.len() <= 64 && id.bytes().all(|c| c.is_ascii_hexdigit()))?),
    };
    // The old packages differ in the name and the clock of this field.
    let seen = item.get("lastSeen").or_else(|| item.get("last_seen"));
    let last_seen = seen.and_then(Value::as_f64).map_or(0, |ms| ms as u64);
    let key = match item.get("key") {
        None | Some(Value::Null) => None,
        Some(key) => Some(crate::wire::hex::decode(key.as_str()?.as_bytes())?),
    };
    let proven = item.get("proven").and_then(Value::as_u64);
    is_dialable(&addr).then(|| Entry { id: id.map(str::to_owned), key, addr, last_seen, proven })
}

/// As it is handed out.
fn written(entry: &Entry) -> Value {
    let mut item = json!({"ip": entry.addr.ip(), "port": entry.addr.port(), "lastSeen": entry.last_seen});
    if let Some(id) = &entry.id {
        item["id"] = json!(id);
    }
    if let Some(key) = &entry.key {
        item["key"] = json!(crate::wire::hex::encode(key));
    }
    if let Some(proven) = entry.proven {
        item["proven"] = json!(proven);
    }
    item
}

/// The cache of a running swarm.
#[derive(Default)]
pub struct Cache {
    entries: BTreeMap<SocketAddr, Entry>,
    changed: bool,
    due: Option<Instant>,
}

impl Cache {
    pub fn new(entries: Vec<Entry>) -> Cache {
        Cache { entries: entries.into_iter().map(|e| (e.addr, e)).collect(), changed: false, due: None }
    }

    /// A peer is reachable at this address, by its id, its key, or both, which was proven then.
    pub fn seen(&mut self, id: Option<&LegacyId>, key: Option<[u8; 32]>, addr: SocketAddr, now: Instant, unix_ms: u64) {
        let proven = (id.is_some() && key.is_some()).then_some(unix_ms);
        let id = id.map(|id| crate::wire::hex::encode(id));
        if !self.entries.contains_key(&addr) && self.entries.len() >= CACHE_MAX {
            let oldest = self.entries.values().min_by_key(|e| e.last_seen).map(|e| e.addr);
            oldest.map(|addr| self.entries.remove(&addr));
        }
        self.entries.insert(addr, Entry { id, key, addr, last_seen: unix_ms, proven });
        self.changed = true;
        self.due.get_or_insert(now + CACHE_PERIOD);
    }

    /// The newest, for dialling.
    pub fn newest(&self) -> Vec<Entry> {
        let mut entries = self.sorted();
        entries.truncate(CACHE_DIALS);
        entries
    }

    pub fn poll_deadline(&self) -> Option<Instant> {
        self.due
    }

    /// The text to hand out, when it is time and something changed.
    pub fn handle_timeout(&mut self, now: Instant) -> Option<String> {
        self.due.is_some_and(|due| due <= now).then(|| self.hand_out())?
    }

    /// The text to hand out now, if something changed since the last time.
    pub fn hand_out(&mut self) -> Option<String> {
        self.due = None;
        std::mem::take(&mut self.changed).then(|| Value::Array(self.sorted().iter().map(written).collect()).to_string())
    }

    fn sorted(&self) -> Vec<Entry> {
        let mut entries: Vec<Entry> = self.entries.values().cloned().collect();
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.last_seen));
        entries
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a base for virtual time")]
mod tests {
    use super::*;

    #[test]
    fn what_is_handed_out_can_be_given_back() {
        let (mut cache, now) = (Cache::default(), Instant::now());
        cache.seen(Some(&[0xAB; 20]), None, "10.0.0.1:7".parse().expect("address"), now, 1_000);
        cache.seen(Some(&[0xCD; 20]), Some([0xEF; 32]), "[fd00::1]:8".parse().expect("address"), now, 2_000);
        assert_eq!(cache.handle_timeout(now), None);
        let json = cache.handle_timeout(now + CACHE_PERIOD).expect("changed");
        assert_eq!(cache.poll_deadline(), None);
        let back = parse(&json).expect("own text");
        assert_eq!(back, Cache::new(back.clone()).newest());
        assert_eq!(back[0].wire_id(), Some([0xCD; 8]));
        let link = proven::Link { id: [0xCD; 20], key: [0xEF; 32], unix_us: 2_000_000 };
        assert_eq!((back[0].link(), back[1].link()), (Some(link), None));
        assert_eq!(back[1].addr, "10.0.0.1:7".parse().expect("address"));
    }

    #[test]
    fn nonsense_is_named() {
        for (text, part) in [
            ("[", "not JSON"),
            ("{}", "not an array"),
            (r#"[{"ip":"10.0.0.1","port":70000}]"#, "entry 0"),
            (r#"[{"ip":"10.0.0.1","port":7},{"ip":"x","port":7}]"#, "entry 1"),
            (r#"[{"ip":"239.0.0.1","port":7}]"#, "entry 0"),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.detail.contains(part), "{text}: {error}");
        }
        assert_eq!(parse(r#"[{"ip":"10.0.0.1","port":7,"last_seen":12.5}]"#).expect("python's form")[0].last_seen, 12);
    }

    #[test]
    fn it_holds_a_bounded_number_and_drops_the_oldest() {
        let (mut cache, now) = (Cache::default(), Instant::now());
        for n in 1..=(CACHE_MAX as u16 + 5) {
            cache.seen(Some(&[1; 20]), None, SocketAddr::from(([10, 0, 0, 1], n)), now, n.into());
        }
        assert_eq!(cache.entries.len(), CACHE_MAX);
        assert!(!cache.entries.contains_key(&SocketAddr::from(([10, 0, 0, 1], 5))));
    }
}
