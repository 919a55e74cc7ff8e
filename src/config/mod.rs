//! What an application may choose, with one table of names for setters, text
//! files and bindings.
//!
//! `Config` is plain data, checked when a value is set and never changed after
//! the swarm was made. Every default comes from `limits`.

mod bind;
pub mod limits;
pub mod swarm;

pub use bind::Bind;

use crate::crypto::identity::Identity;
use crate::error::{Error, Result};
use std::time::Duration;
use swarm::{Preset, SwarmOptions};
use zeroize::Zeroizing;

/// Which events the application wants; bit `n` is event kind `n`.
pub type EventMask = u64;

/// The TLS 1.3 suites of modern sessions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cipher {
    /// TLS_CHACHA20_POLY1305_SHA256 alone.
    #[default]
    ChaCha20,
    /// TLS_AES_128_GCM_SHA256 if the peer allows it too, else ChaCha20.
    Fastest,
}

impl Cipher {
    /// As the option `cipher` has it.
    pub const fn name(self) -> &'static str {
        match self {
            Cipher::ChaCha20 => "chacha20",
            Cipher::Fastest => "fastest",
        }
    }
}

/// The settings of one swarm.
#[derive(Clone)]
pub struct Config {
    /// The 32-byte seed of the identity; none: a random identity for this run.
    pub seed: Option<Zeroizing<[u8; 32]>>,
    /// The seed is that of a key pair, which wins over a seed that is set alone.
    pub key_pair: bool,
    /// Where to bind: IPv4 and IPv6 addresses, at most one of each family.
    pub bind: Vec<Bind>,
    /// How peers are looked for, dialled, taken and given up.
    pub swarm: SwarmOptions,
    /// The LAN source: beacons sent and heard.
    pub lan: bool,
    /// Names of the interfaces to use for beacons; empty: every one that can multicast.
    pub lan_interfaces: Vec<String>,
    /// `host:port` dialled at join.
    pub seeds: Vec<String>,
    /// `host:port` dialled when nobody was met for some time.
    pub bootstrap: Vec<String>,
    /// The application answers rounds of discovery: each is an event, and what it finds is dialled. Off: nobody is asked but
    /// the sources of the library.
    pub source: bool,
    /// The port that beacons and announcements name, for both families, where a router or a proxy forwards another one to
    /// ours; none: the one that is bound.
    pub announce_port: Option<u16>,
    /// Peers of earlier runs, JSON as handed out by the `peers` event.
    pub peer_cache: Option<String>,
    /// The suites of modern sessions.
    pub cipher: Cipher,
    /// Speak p2p-v12 with old peers; off: no frame and no beacon of it leaves us.
    pub legacy: bool,
    /// Bytes of one message that we take from a modern peer.
    pub max_message: usize,
    /// Accept modern peers that dial us without a topic in common.
    pub accept_explicit: bool,
    /// Send messages above the size of one datagram to old peers as unencrypted fragments.
    pub clear_fragments: bool,
    /// Bytes that may wait for one peer.
    pub send_buffer: usize,
    /// Events that may wait for the application.
    pub event_queue_items: usize,
    /// Bytes of events that may wait for the application.
    pub event_queue_bytes: usize,
    /// Events the application wants; life-cycle events it left out are dropped at the source.
    pub event_mask: EventMask,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            seed: None,
            key_pair: false,
            bind: Vec::new(),
            swarm: SwarmOptions::default(),
            lan: true,
            lan_interfaces: Vec::new(),
            seeds: Vec::new(),
            bootstrap: Vec::new(),
            source: false,
            announce_port: None,
            peer_cache: None,
            cipher: Cipher::default(),
            legacy: true,
            max_message: limits::MAX_MESSAGE_BYTES,
            accept_explicit: true,
            clear_fragments: false,
            send_buffer: limits::SEND_BUFFER_BYTES,
            event_queue_items: limits::QUEUE_ITEMS,
            event_queue_bytes: limits::QUEUE_BYTES,
            event_mask: EventMask::MAX,
        }
    }
}

type Setter = fn(&mut Config, &str) -> Result<()>;

/// Every option by name. The C setters go through the same functions.
pub const OPTIONS: &[(&str, Setter)] = &[
    ("seed", |c, v| c.set_seed(v.as_bytes())),
    ("key_pair", |c, v| c.set_key_pair(v.as_bytes())),
    ("bind", |c, v| c.add_bind(v)),
    ("preset", |c, v| preset(v).map(|preset| c.swarm = SwarmOptions::of(preset))),
    ("max_peers", |c, v| number("max_peers", v, 1, limits::MAX_PEERS_LIMIT).map(|n| c.swarm.max_peers = n)),
    ("max_client_connections", |c, v| count("max_client_connections", v).map(|n| c.swarm.max_client_connections = n)),
    ("max_server_connections", |c, v| count("max_server_connections", v).map(|n| c.swarm.max_server_connections = n)),
    ("max_parallel", |c, v| number("max_parallel", v, 1, limits::DIALS_MAX).map(|n| c.swarm.max_parallel = n)),
    ("backoffs", |c, v| waits("backoffs", v).map(|waits| c.swarm.backoffs = Some(waits))),
    ("jitter", |c, v| millis("jitter", v, limits::RETRY_WAIT_MAX).map(|time| c.swarm.jitter = time)),
    ("requeue", |c, v| c.set_requeue(v)),
    ("forget_unresponsive", |c, v| {
        millis("forget_unresponsive", v, limits::RETRY_WAIT_MAX).map(|time| c.swarm.forget_unresponsive = time)
    }),
    ("forget_banned", |c, v| match v {
        "never" => {
            c.swarm.forget_banned = None;
            Ok(())
        }
        v => millis("forget_banned", v, limits::RETRY_WAIT_MAX).map(|time| c.swarm.forget_banned = Some(time)),
    }),
    ("firewall", |c, v| boolean("firewall", v).map(|b| c.swarm.firewall = b)),
    ("validate", |c, v| boolean("validate", v).map(|b| c.swarm.validate = b)),
    ("firewall_deadline", |c, v| {
        millis("firewall_deadline", v, limits::FIREWALL_DEADLINE_MAX).map(|time| c.swarm.firewall_deadline = time)
    }),
    ("handshake_clear_wait", |c, v| {
        millis("handshake_clear_wait", v, limits::RETRY_WAIT_MAX).map(|time| c.swarm.handshake_clear_wait = time)
    }),
    ("lan", |c, v| boolean("lan", v).map(|b| c.lan = b)),
    ("lan_interfaces", |c, v| c.set_lan_interfaces(v)),
    ("seeds", |c, v| list(v).try_for_each(|s| c.add_seed(s))),
    ("bootstrap", |c, v| list(v).try_for_each(|s| c.add_bootstrap(s))),
    ("source", |c, v| boolean("source", v).map(|b| c.source = b)),
    ("announce_port", |c, v| {
        number("announce_port", v, 1, u16::MAX.into()).map(|n| c.announce_port = u16::try_from(n).ok())
    }),
    ("peer_cache", |c, v| c.set_peer_cache(v)),
    ("cipher", |c, v| cipher(v).map(|cipher| c.cipher = cipher)),
    ("legacy", |c, v| boolean("legacy", v).map(|b| c.legacy = b)),
    ("max_message", |c, v| {
        let (low, high) = (limits::MAX_MESSAGE_LOW, limits::MAX_MESSAGE_HIGH);
        number("max_message", v, low, high).map(|n| c.max_message = n)
    }),
    ("accept_explicit", |c, v| boolean("accept_explicit", v).map(|b| c.accept_explicit = b)),
    ("clear_fragments", |c, v| boolean("clear_fragments", v).map(|b| c.clear_fragments = b)),
    ("send_buffer", |c, v| number("send_buffer", v, 1 << 16, 1 << 30).map(|n| c.send_buffer = n)),
    ("event_queue_items", |c, v| number("event_queue_items", v, 16, 1 << 24).map(|n| c.event_queue_items = n)),
    ("event_queue_bytes", |c, v| number("event_queue_bytes", v, 1 << 17, 1 << 32).map(|n| c.event_queue_bytes = n)),
    ("event_mask", |c, v| number("event_mask", v, 0, usize::MAX).map(|n| c.event_mask = n as EventMask)),
];

impl Config {
    /// Sets an option from text, as a configuration file would have it.
    pub fn set(&mut self, name: &str, value: &str) -> Result<()> {
        match OPTIONS.iter().find(|(known, _)| *known == name) {
            Some((_, setter)) => setter(self, value),
            None => {
                let known: Vec<&str> = OPTIONS.iter().map(|(name, _)| *name).collect();
                Err(Error::invalid(format!("name: no option {name:?}; there are {}", known.join(", "))))
            }
        }
    }

    /// Takes the identity seed: 32 bytes, or 64 hexadecimal digits.
    pub fn set_seed(&mut self, seed: &[u8]) -> Result<()> {
        let seed = secret::<32>("seed", seed)?;
        if !self.key_pair {
            self.seed = Some(seed);
        }
        Ok(())
    }

    /// Takes the seed and the Ed25519 public key that belongs to it: 64 bytes, or 128 hexadecimal digits.
    pub fn set_key_pair(&mut self, pair: &[u8]) -> Result<()> {
        let pair = secret::<64>("key_pair", pair)?;
        let mut seed = Zeroizing::new([0; 32]);
        let (first, public) = pair.split_at(32);
        seed.copy_from_slice(first);
        if Identity::from_seed(&seed).key() != *public {
            return Err(Error::invalid("key_pair: the last 32 bytes are not the public key of the first 32, the seed"));
        }
        (self.seed, self.key_pair) = (Some(seed), true);
        Ok(())
    }

    /// Adds an address to bind to; a second one must be of the other family. With a range of ports the first that is
    /// free is taken.
    pub fn add_bind(&mut self, text: &str) -> Result<()> {
        let bind: Bind = text.parse()?;
        if self.bind.iter().any(|known| known.addr.is_ipv4() == bind.addr.is_ipv4()) {
            return Err(Error::invalid(format!("bind: {text:?} is a second address of the same family")));
        }
        self.bind.push(bind);
        Ok(())
    }

    /// Names the interfaces for beacons, separated by commas; empty text: all that can multicast.
    pub fn set_lan_interfaces(&mut self, text: &str) -> Result<()> {
        let names: Vec<String> = list(text).map(str::to_owned).collect();
        if names.len() > limits::LAN_INTERFACES {
            return Err(Error::invalid(format!(
                "lan_interfaces: {} names were given; at most {} are used",
                names.len(),
                limits::LAN_INTERFACES
            )));
        }
        self.lan_interfaces = names;
        Ok(())
    }

    /// Adds a `host:port` to dial at join.
    pub fn add_seed(&mut self, text: &str) -> Result<()> {
        if self.seeds.len() >= limits::SEEDS_MAX {
            return Err(Error::invalid(format!("seeds: more than {} were given", limits::SEEDS_MAX)));
        }
        split_host_port(text).map_err(|e| Error::invalid(format!("seeds: {}", e.detail)))?;
        self.seeds.push(text.to_owned());
        Ok(())
    }

    /// Adds a `host:port`, or a `host` with the usual port, to dial when nobody is met.
    pub fn add_bootstrap(&mut self, text: &str) -> Result<()> {
        if self.bootstrap.len() >= limits::SEEDS_MAX {
            return Err(Error::invalid(format!("bootstrap: more than {} were given", limits::SEEDS_MAX)));
        }
        let whole = format!("{text}:{}", limits::BOOTSTRAP_PORT);
        let node = [text, &whole].into_iter().find(|node| split_host_port(node).is_ok());
        let node = node.ok_or_else(|| Error::invalid(format!("bootstrap: {text:?} is not host:port")))?;
        self.bootstrap.push(node.to_owned());
        Ok(())
    }

    /// Takes one to three waits; those that are left out keep their default.
    fn set_requeue(&mut self, text: &str) -> Result<()> {
        let given =
            list(text).map(|part| millis("requeue", part, limits::RETRY_WAIT_MAX)).collect::<Result<Vec<_>>>()?;
        if given.is_empty() || given.len() > self.swarm.requeue.len() {
            return Err(Error::invalid(format!("requeue: {} waits were given; it takes 1 to 3", given.len())));
        }
        self.swarm.requeue = limits::V2_REQUEUE;
        for (wait, given) in self.swarm.requeue.iter_mut().zip(given) {
            *wait = given;
        }
        Ok(())
    }

    /// Takes in the peers of an earlier run.
    pub fn set_peer_cache(&mut self, json: &str) -> Result<()> {
        if json.len() > limits::CACHE_MAX_BYTES {
            return Err(Error::invalid(format!(
                "peer_cache: {} bytes were given; at most {} are read",
                json.len(),
                limits::CACHE_MAX_BYTES
            )));
        }
        crate::discovery::cache::parse(json)?;
        self.peer_cache = Some(json.to_owned());
        Ok(())
    }
}

/// Splits `host:port` or `[v6]:port`; the port is 1 to 65535.
pub fn split_host_port(text: &str) -> Result<(&str, u16)> {
    let bad = || Error::invalid(format!("{text:?} is not host:port"));
    let (host, port) = text.rsplit_once(':').ok_or_else(bad)?;
    let port: u16 = port.parse().map_err(|_| bad())?;
    let host = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').ok_or_else(bad)?,
        None if host.contains(':') => return Err(bad()),
        None => host,
    };
    if host.is_empty() || host.len() > 253 || port == 0 {
        return Err(bad());
    }
    Ok((host, port))
}

/// `N` bytes of a secret, or twice as many hexadecimal digits.
fn secret<const N: usize>(name: &str, text: &[u8]) -> Result<Zeroizing<[u8; N]>> {
    let mut bytes = Zeroizing::new([0u8; N]);
    if text.len() == N {
        bytes.copy_from_slice(text);
        return Ok(bytes);
    }
    let (n, digits) = (text.len(), 2 * N);
    if n != digits {
        return Err(Error::invalid(format!(
            "{name}: {n} bytes were given; it takes {N} bytes or {digits} hexadecimal digits"
        )));
    }
    let digit = |c: u8| (c as char).to_digit(16).map(|d| d as u8);
    for (out, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        match (digit(pair[0]), digit(pair[1])) {
            (Some(high), Some(low)) => *out = high << 4 | low,
            _ => return Err(Error::invalid(format!("{name}: {n} bytes were given that are not hexadecimal digits"))),
        }
    }
    Ok(bytes)
}

fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty())
}

fn boolean(name: &str, text: &str) -> Result<bool> {
    match text {
        "true" | "1" | "on" | "yes" => Ok(true),
        "false" | "0" | "off" | "no" => Ok(false),
        _ => Err(Error::invalid(format!("{name}: {text:?} is neither true nor false"))),
    }
}

fn cipher(text: &str) -> Result<Cipher> {
    let known = [Cipher::ChaCha20, Cipher::Fastest];
    known
        .into_iter()
        .find(|cipher| cipher.name() == text)
        .ok_or_else(|| Error::invalid(format!("cipher: {text:?} is neither chacha20 nor fastest")))
}

fn preset(text: &str) -> Result<Preset> {
    let known = [Preset::Setowire, Preset::V4, Preset::V2];
    known
        .into_iter()
        .find(|preset| preset.name() == text)
        .ok_or_else(|| Error::invalid(format!("preset: {text:?} is none of setowire, v4 and v2")))
}

/// A number of connections, or `unlimited`.
fn count(name: &str, text: &str) -> Result<usize> {
    match text {
        "unlimited" => Ok(usize::MAX),
        text => number(name, text, 0, limits::MAX_PEERS_LIMIT)
            .map_err(|e| Error::invalid(format!("{}, nor \"unlimited\"", e.detail))),
    }
}

fn millis(name: &str, text: &str, most: Duration) -> Result<Duration> {
    let most = usize::try_from(most.as_millis()).unwrap_or(usize::MAX);
    number(name, text, 0, most).map(|n| Duration::from_millis(n as u64))
}

fn waits(name: &str, text: &str) -> Result<[Duration; 4]> {
    let given = list(text).map(|part| millis(name, part, limits::RETRY_WAIT_MAX)).collect::<Result<Vec<_>>>()?;
    let count = given.len();
    given
        .try_into()
        .map_err(|_| Error::invalid(format!("{name}: {count} waits were given; it takes 4, in milliseconds")))
}

fn number(name: &str, text: &str, low: usize, high: usize) -> Result<usize> {
    match text.parse::<usize>() {
        Ok(n) if (low..=high).contains(&n) => Ok(n),
        _ => Err(Error::invalid(format!("{name}: {text:?} is not a number from {low} to {high}"))),
    }
}

#[cfg(test)]
mod tests;
