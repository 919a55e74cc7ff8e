//! What differs between the old implementations (section 15 of the protocol).

/// How a receiver puts messages in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Jitter {
    /// Skips a gap after 50 ms, and from then on delays everything by 50 ms.
    Timer,
    /// Waits for the missing frame for ever.
    Stall,
    /// Delivers as it comes.
    None,
}

/// What a sender does when its rate limiter has no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limiter {
    /// The message is lost, silently.
    Drop,
    /// The message goes to the end of the queue.
    Requeue,
    None,
}

/// How received fragments are understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fragments {
    Clear,
    /// As pieces of an encrypted body.
    Sealed,
    Ignored,
}

/// What a received GOAWAY does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goaway {
    /// One byte is ignored, two end the peer.
    TwoBytes,
    /// Any form ends the peer.
    Any,
    /// Any form from a known address ends the process.
    Crash,
}

/// What an all-zero shared secret does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LowOrder {
    Crash,
    Ignore,
    Accept,
}

/// One implementation.
#[derive(Debug)]
pub struct Quirks {
    pub name: &'static str,
    /// Takes HELLO of exactly 41 bytes only, and begins a new session at each.
    pub rust: bool,
    /// Any datagram of a known peer counts as a sign of life; PING is answered by its echo, to known peers only.
    pub cpp: bool,
    pub jitter: Jitter,
    pub limiter: Limiter,
    pub fragments: Fragments,
    pub goaway: Goaway,
    /// Says goodbye (with the one byte that nobody but Rust and C++ understands) and lingers for 2 s.
    pub says_goodbye: bool,
    pub low_order: LowOrder,
    /// Shortest datagram looked at.
    pub min_len: usize,
    /// Largest datagram read; the rest is cut off.
    pub max_read: usize,
    /// Uses wall time where others use a monotonic clock.
    pub wall_clock: bool,
    /// On equal round-trip times the address heard last is preferred.
    pub prefers_latest: bool,
    /// A PING from a new address binds that address to the peer it names.
    pub ping_binds: bool,
    /// Recognises its own id in a HELLO (the others compare 16 digits with 40).
    pub knows_itself: bool,
    /// Digits of the topic hash.
    pub topic_digits: usize,
    /// First beacon at once, and not after 5 s.
    pub beacon_at_once: bool,
    /// Equal short ids are told apart by the keys.
    pub breaks_ties: bool,
    /// Own address in beacons without a default route; with one it is the routed address.
    pub routeless_ip: Option<&'static str>,
    /// A space after colons and commas in JSON.
    pub json_spaces: bool,
}

pub const JS: Quirks = Quirks {
    name: "js",
    rust: false,
    cpp: false,
    jitter: Jitter::Timer,
    limiter: Limiter::Drop,
    fragments: Fragments::Clear,
    goaway: Goaway::TwoBytes,
    says_goodbye: true,
    low_order: LowOrder::Crash,
    min_len: 2,
    max_read: 65_535,
    wall_clock: true,
    prefers_latest: true,
    ping_binds: true,
    knows_itself: false,
    topic_digits: 12,
    beacon_at_once: false,
    breaks_ties: false,
    routeless_ip: None,
    json_spaces: false,
};

pub const PY_010: Quirks = Quirks {
    name: "py-0.1.0",
    low_order: LowOrder::Ignore,
    wall_clock: false,
    prefers_latest: false,
    routeless_ip: Some("127.0.0.1"),
    json_spaces: true,
    ..JS
};

pub const PY_MAIN: Quirks = Quirks { name: "py-main", breaks_ties: true, ..PY_010 };

pub const CPP: Quirks = Quirks {
    name: "cpp",
    cpp: true,
    jitter: Jitter::Stall,
    limiter: Limiter::Requeue,
    fragments: Fragments::Sealed,
    goaway: Goaway::Crash,
    says_goodbye: false,
    low_order: LowOrder::Accept,
    min_len: 1,
    wall_clock: false,
    ping_binds: false,
    knows_itself: true,
    topic_digits: 24,
    beacon_at_once: true,
    routeless_ip: Some("0.0.0.0"),
    ..JS
};

pub const RUST: Quirks = Quirks {
    name: "rust",
    rust: true,
    jitter: Jitter::None,
    limiter: Limiter::None,
    fragments: Fragments::Ignored,
    goaway: Goaway::Any,
    says_goodbye: false,
    low_order: LowOrder::Accept,
    min_len: 1,
    max_read: 4_096,
    ping_binds: false,
    knows_itself: true,
    ..JS
};
