//! How a swarm looks for, dials, takes and gives up peers: the options of `swarm/`, and the presets for them.

use super::limits;
use std::time::Duration;

/// Whose defaults are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Preset {
    /// `max_peers` counts both directions, topics are joined as client and as server.
    #[default]
    Setowire,
    /// As Hyperswarm 3 and 4: `max_peers` bounds dials alone.
    V4,
    /// As Hyperswarm 2: a topic is looked up and not announced unless asked for, one dial at a time, three retries.
    V2,
}

impl Preset {
    /// As the option `preset` has it.
    pub const fn name(self) -> &'static str {
        match self {
            Preset::Setowire => "setowire",
            Preset::V4 => "v4",
            Preset::V2 => "v2",
        }
    }
}

/// The options of the swarm layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SwarmOptions {
    pub preset: Preset,
    /// Connected peers. What counts depends on the preset.
    pub max_peers: usize,
    /// Connections that we dialled, with those in progress.
    pub max_client_connections: usize,
    /// Connections that others dialled.
    pub max_server_connections: usize,
    /// Dials in progress.
    pub max_parallel: usize,
    /// Waits before a peer is dialled again: short, middle, long, and that of peers joined by key. None: the defaults
    /// with something random added.
    pub backoffs: Option<[Duration; 4]>,
    /// Up to so much more, drawn once.
    pub jitter: Duration,
    /// Of the preset v2: waits before the first, second and third retry.
    pub requeue: [Duration; 3],
    /// Of the preset v2: a peer that did not answer after these is forgotten after this time.
    pub forget_unresponsive: Duration,
    /// Of the preset v2: a peer that was banned is forgotten after this time; none: never.
    pub forget_banned: Option<Duration>,
    /// The application is asked about every peer before a dial, and when it dials us.
    pub firewall: bool,
    /// The application is asked about every peer that was found, before it is queued.
    pub validate: bool,
    /// How long an answer to these is waited for.
    pub firewall_deadline: Duration,
    /// Who was turned away without an answer is not asked about again for this time.
    pub handshake_clear_wait: Duration,
}

impl SwarmOptions {
    /// The defaults of a preset.
    pub const fn of(preset: Preset) -> SwarmOptions {
        let (max_peers, max_parallel) = match preset {
            Preset::Setowire => (limits::MAX_PEERS, limits::PARALLEL_DIALS),
            Preset::V4 => (limits::V4_MAX_PEERS, limits::V4_PARALLEL_DIALS),
            Preset::V2 => (limits::V2_MAX_PEERS, limits::V2_PARALLEL_DIALS),
        };
        SwarmOptions {
            preset,
            max_peers,
            max_client_connections: usize::MAX,
            max_server_connections: usize::MAX,
            max_parallel,
            backoffs: None,
            jitter: limits::RETRY_JITTER,
            requeue: limits::V2_REQUEUE,
            forget_unresponsive: limits::V2_FORGET_UNRESPONSIVE,
            forget_banned: None,
            firewall: false,
            validate: false,
            firewall_deadline: limits::FIREWALL_DEADLINE,
            handshake_clear_wait: limits::HANDSHAKE_CLEAR_WAIT,
        }
    }

    /// Connections that there may be at all, both directions.
    pub const fn places(&self) -> usize {
        match self.preset {
            Preset::Setowire | Preset::V2 => self.max_peers,
            Preset::V4 => limits::V4_CONNECTIONS_MAX,
        }
    }

    /// What `join` means where it is not said: client, server.
    pub const fn modes(&self) -> (bool, bool) {
        match self.preset {
            Preset::Setowire | Preset::V4 => (true, true),
            Preset::V2 => (true, false),
        }
    }
}

impl Default for SwarmOptions {
    fn default() -> SwarmOptions {
        SwarmOptions::of(Preset::default())
    }
}
