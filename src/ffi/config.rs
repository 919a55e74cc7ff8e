//! `setowire_config_*`: the settings of a swarm, set one by one and checked at once.
//!
//! Every setter goes through `crate::config`, as does `setowire_config_set`. A call that
//! fails changes nothing.

use super::guard::{guard, guard_value};
use super::pointer;
use super::setowire_config;
use crate::config::Config;
use crate::error::Result;
use std::ffi::c_char;

/// Makes a config with the default of every option.
///
/// @return The config, owned by the caller: to be freed with setowire_config_free(). NULL if a bug was caught.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub extern "C" fn setowire_config_new() -> *mut setowire_config {
    guard_value("setowire_config_new", std::ptr::null_mut(), || pointer::into_raw(Config::default()))
}

/// Frees a config. Swarms made from it keep their copy.
///
/// @param config  Not used any more after the call. NULL is ignored.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn setowire_config_free(config: *mut setowire_config) {
    guard_value("setowire_config_free", (), || {
        if !config.is_null() {
            // SAFETY: the header asks for a config that was not freed before.
            drop(unsafe { pointer::take(config) });
        }
    });
}

/// Sets an option by its name, as read from a file.
///
/// Names: "seed", "key_pair", "bind", "preset", "max_peers", "max_client_connections", "max_server_connections",
/// "max_parallel", "backoffs", "jitter", "requeue", "forget_unresponsive", "forget_banned", "firewall", "validate",
/// "firewall_deadline", "handshake_clear_wait", "lan", "lan_interfaces", "seeds", "bootstrap", "source", "announce_port",
/// "peer_cache", "cipher", "legacy", "max_message", "accept_explicit", "clear_fragments", "send_buffer", "event_queue_items",
/// "event_queue_bytes", "event_mask". Values: numbers in decimal, "true" or "false" ("on" and "off" too), lists separated
/// by commas, times in milliseconds.
///
/// Those without a function of their own:
///   - "cipher": what sessions between peers of our own kind are encrypted with: "chacha20" (the default), or
///     "fastest": AES-128-GCM where both sides say so, which is faster on processors that have it built in;
///   - "legacy": "on" (the default) speaks with peers of the older packages too. "off": nothing of their protocol is
///     sent or answered, and they are not found;
///   - "max_message": bytes of the largest message that is taken from one peer of our own kind, 1,024 to 67,108,864;
///     the default is 16,777,216. The other side is told, and refuses larger ones to its application;
///   - "accept_explicit": "on" (the default) takes peers of our own kind that dial us by address or key without a topic in
///     common; "off": only those who joined a topic of ours;
///   - "bootstrap": addresses, `host:port` or `host` (port 49,737), that are dialled once a topic is joined, every 15 s
///     while nobody is connected;
///   - "source": "on": the program itself is a source of peers, such as a server of its own or a DHT: it is asked by ROUND and
///     UNANNOUNCE events. Default: off;
///   - "announce_port": the port that beacons and ROUND events name instead of the one that is bound, 1 to 65535, for both
///     families: where a router forwards it to us. Default: the one that is bound.
///
/// How peers are looked for, dialled, taken and given up:
///   - "preset": whose defaults the options below have, and what they mean. Set it first: it sets all of them anew.
///     "setowire" (the default): 100 peers, both directions together, 128 dials at a time, topics are joined as client and
///     server. "v4": as Hyperswarm 4: 64 peers bound dials alone (all connections: 1,024), 3 dials at a time, and peers
///     joined by key reserve a part of that. "v2": as Hyperswarm 2: 24 peers, one dial at a time, topics are joined as
///     client, a topic that is joined again is left first, a peer is dialled again three times;
///   - "max_peers": see setowire_config_set_max_peers();
///   - "max_client_connections": connections that we dialled, with dials in progress, 0 to 10,000 or "unlimited" (the
///     default); "max_server_connections": connections that others dialled, the same;
///   - "max_parallel": dials at a time, 1 to 256;
///   - "backoffs": four times after which a peer is dialled again: the first dial after a connection ended, the next, later
///     ones, and that of peers joined by key which do not answer. Default: "1000,5000,15000,600000", each and something random. A dial comes
///     after 0.66 to 1.32 of its time;
///   - "jitter": up to so much is added to each of these, drawn once for the swarm. Default: 500;
///   - "requeue": with the preset "v2" instead of "backoffs": one to three times. Default: "1000,5000,15000";
///   - "forget_unresponsive": with the preset "v2", after how long a peer that did not answer is forgotten, so that it may
///     be found anew. Default: 7500; "forget_banned": the same for a ban. Default: "never";
///   - "firewall": "on": as setowire_swarm_set_firewall(). Default: off;
///   - "validate": "on": the application is asked about every peer that a source finds, before it is queued, by an ASK event
///     with the purpose "candidate". Default: off;
///   - "firewall_deadline": how long an answer to an ASK event is waited for, at most 8000. Default: 5000;
///   - "handshake_clear_wait": how long such an answer, or that there was none, holds for further dials of the same peer.
///     Default: 10000.
///
/// @param config  The config; not NULL.
/// @param name    The option; not NULL, UTF-8.
/// @param value   Its value; not NULL, UTF-8. Copied.
/// @return 0, or SETOWIRE_ERR_INVALID (the message names the option and what it takes), SETOWIRE_ERR_PANIC.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn setowire_config_set(
    config: *mut setowire_config,
    name: *const c_char,
    value: *const c_char,
) -> i32 {
    guard("setowire_config_set", || {
        // SAFETY: the header asks for texts that end with a zero byte.
        let (name, value) = unsafe { (pointer::text(name, "name")?, pointer::text(value, "value")?) };
        // SAFETY: passed on from the header.
        unsafe { change(config, |config| config.set(name, value)) }
    })
}

/// Sets the seed that the swarm's keys are made from: the same seed is the same identity. Without it every swarm
/// has a new one.
///
/// @param config  The config; not NULL.
/// @param seed    32 random bytes, or 64 hexadecimal digits. Copied; secret.
/// @param len     32 or 64.
/// @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_PANIC.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn setowire_config_set_identity_seed(
    config: *mut setowire_config,
    seed: *const u8,
    len: usize,
) -> i32 {
    guard("setowire_config_set_identity_seed", || {
        // SAFETY: the header asks for `len` readable bytes.
        let seed = unsafe { pointer::bytes(seed, len, "seed")? };
        // SAFETY: passed on from the header.
        unsafe { change(config, |config| config.set_seed(seed)) }
    })
}

/// Sets the key pair of the swarm: it wins over a seed.
///
/// @param config  The config; not NULL.
/// @param pair    64 bytes: the 32 of an Ed25519 seed, then the 32 of the public key that belongs to it. Or 128 hexadecimal
///                digits. Not NULL. Copied; secret.
/// @param len     64, or 128.
/// @return 0, or SETOWIRE_ERR_INVALID (also: they do not belong together), SETOWIRE_ERR_PANIC.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn setowire_config_set_key_pair(
    config: *mut setowire_config,
    pair: *const u8,
    len: usize,
) -> i32 {
    guard("setowire_config_set_key_pair", || {
        // SAFETY: the header asks for `len` readable bytes.
        let pair = unsafe { pointer::bytes(pair, len, "pair")? };
        // SAFETY: passed on from the header.
        unsafe { change(config, |config| config.set_key_pair(pair)) }
    })
}

/// Adds an address to bind to, at most one of IPv4 and one of IPv6. Without it both families are used, on any port.
///
/// @param config  The config; not NULL.
/// @param addr    Such as `0.0.0.0:0` or `[::]:4000`; port 0: any. With a range, `0.0.0.0:10000-10100`, the first free port
///                of it is taken. Not NULL. Copied.
/// @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_PANIC.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn setowire_config_set_bind_addr(config: *mut setowire_config, addr: *const c_char) -> i32 {
    guard("setowire_config_set_bind_addr", || {
        // SAFETY: the header asks for text that ends with a zero byte.
        let addr = unsafe { pointer::text(addr, "addr")? };
        // SAFETY: passed on from the header.
        unsafe { change(config, |config| config.add_bind(addr)) }
    })
}

/// Sets how many peers may be connected, both directions. Default: 100. With the preset "setowire" a quarter of the places,
/// rounded down, is kept for those who dial us, so that a topic with more members than places stays one network.
///
/// @param config  The config; not NULL.
/// @param peers   1 to 10,000.
/// @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_PANIC.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn setowire_config_set_max_peers(config: *mut setowire_config, peers: u32) -> i32 {
    guard("setowire_config_set_max_peers", || {
        // SAFETY: passed on from the header.
        unsafe { change(config, |config| config.set("max_peers", &peers.to_string())) }
    })
}

/// Switches the search on the local network on or off. Default: on.
///
/// @param config  The config; not NULL.
/// @param on      Whether to send and hear beacons.
/// @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_PANIC.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn setowire_config_set_lan(config: *mut setowire_config, on: bool) -> i32 {
    guard("setowire_config_set_lan", || {
        let change_lan = |config: &mut Config| {
            config.lan = on;
            Ok(())
        };
        // SAFETY: passed on from the header.
        unsafe { change(config, change_lan) }
    })
}

/// Names the interfaces for beacons. Default: every one that can multicast. Loopback ("lo") cannot, as far as the
/// system tells, and is used when it is named. A name that does not exist is not an error: it is used when it
/// appears, and a log line tells.
///
/// @param config  The config; not NULL.
/// @param names   Separated by commas; "": the default. Not NULL. Copied.
/// @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_PANIC.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn setowire_config_set_lan_interfaces(config: *mut setowire_config, names: *const c_char) -> i32 {
    guard("setowire_config_set_lan_interfaces", || {
        // SAFETY: the header asks for text that ends with a zero byte.
        let names = unsafe { pointer::text(names, "names")? };
        // SAFETY: passed on from the header.
        unsafe { change(config, |config| config.set_lan_interfaces(names)) }
    })
}

/// Adds a peer that is dialled when a topic is joined, and every 30 s while nobody is connected. (A seed here is a
/// first address; the seed of the identity is setowire_config_set_identity_seed().)
///
/// @param config     The config; not NULL.
/// @param host_port  Such as `example.org:4000` or `[2001:db8::1]:4000`; not NULL. Copied.
/// @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_PANIC.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn setowire_config_add_seed(config: *mut setowire_config, host_port: *const c_char) -> i32 {
    guard("setowire_config_add_seed", || {
        // SAFETY: the header asks for text that ends with a zero byte.
        let host_port = unsafe { pointer::text(host_port, "host_port")? };
        // SAFETY: passed on from the header.
        unsafe { change(config, |config| config.add_seed(host_port)) }
    })
}

/// Takes in the peers of an earlier run. The 30 seen last are dialled when the first topic is joined.
///
/// @param config  The config; not NULL.
/// @param json    The data of the last PEERS event; not NULL. Copied.
/// @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_PANIC.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn setowire_config_set_peer_cache(config: *mut setowire_config, json: *const c_char) -> i32 {
    guard("setowire_config_set_peer_cache", || {
        // SAFETY: the header asks for text that ends with a zero byte.
        let json = unsafe { pointer::text(json, "json")? };
        // SAFETY: passed on from the header.
        unsafe { change(config, |config| config.set_peer_cache(json)) }
    })
}

/// Allows messages too large for one datagram to be sent to peers of the older packages as unencrypted fragments.
/// Default: off; such a message is refused with SETOWIRE_ERR_TOO_LARGE. Only JavaScript and Python peers, and our own,
/// take them, up to 1,049,004 bytes.
///
/// @param config  The config; not NULL.
/// @param on      Whether that is allowed.
/// @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_PANIC.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn setowire_config_set_clear_fragments(config: *mut setowire_config, on: bool) -> i32 {
    guard("setowire_config_set_clear_fragments", || {
        let change_fragments = |config: &mut Config| {
            config.clear_fragments = on;
            Ok(())
        };
        // SAFETY: passed on from the header.
        unsafe { change(config, change_fragments) }
    })
}

/// Sets how many bytes may wait for one peer. Default: 4 MiB. All peers together: 64 MiB, always.
///
/// @param config  The config; not NULL.
/// @param bytes   65,536 to 1,073,741,824.
/// @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_PANIC.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn setowire_config_set_send_buffer(config: *mut setowire_config, bytes: usize) -> i32 {
    guard("setowire_config_set_send_buffer", || {
        // SAFETY: passed on from the header.
        unsafe { change(config, |config| config.set("send_buffer", &bytes.to_string())) }
    })
}

/// Sets how many messages and datagrams may wait for the application, and their bytes. Default: 16,384 and 32 MiB. When
/// that is full, peers of setowire/13 are held back, and messages of p2p-v12 are dropped and counted. Other events have
/// room of their own and are never dropped.
///
/// @param config  The config; not NULL.
/// @param items   16 to 16,777,216.
/// @param bytes   131,072 to 4,294,967,296.
/// @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_PANIC.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn setowire_config_set_event_queue(
    config: *mut setowire_config,
    items: usize,
    bytes: usize,
) -> i32 {
    guard("setowire_config_set_event_queue", || {
        let change_both = |config: &mut Config| {
            let before = config.event_queue_items;
            config.set("event_queue_items", &items.to_string())?;
            let set = config.set("event_queue_bytes", &bytes.to_string());
            if set.is_err() {
                config.event_queue_items = before;
            }
            set
        };
        // SAFETY: passed on from the header.
        unsafe { change(config, change_both) }
    })
}

/// Sets the kinds of events that are wanted; others cost nothing. CLOSED always comes. Default: all.
///
/// @param config  The config; not NULL.
/// @param mask    SETOWIRE_EVENT_BIT() of each kind, or SETOWIRE_EVENTS_ALL. Bits of unknown kinds are ignored.
/// @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_PANIC.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn setowire_config_set_event_mask(config: *mut setowire_config, mask: u64) -> i32 {
    guard("setowire_config_set_event_mask", || {
        let change_mask = |config: &mut Config| {
            config.event_mask = mask;
            Ok(())
        };
        // SAFETY: passed on from the header.
        unsafe { change(config, change_mask) }
    })
}

/// # Safety
/// `config` is NULL or a live config that no other thread uses.
unsafe fn change(config: *mut setowire_config, set: impl FnOnce(&mut Config) -> Result<()>) -> Result<i32> {
    // SAFETY: the caller's promise.
    set(unsafe { pointer::get_mut(config, "config")? })?;
    Ok(0)
}
