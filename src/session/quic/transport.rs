//! How QUIC is set up for our sessions: windows, buffers and timers.
//!
//! The sizes are limits with names (`config::limits`); this is where they meet quinn-proto.

use super::congestion::Factory;
use crate::config::limits::{
    QUIC_CONNECTION_WINDOW, QUIC_CRYPTO_BYTES, QUIC_DATAGRAM_RECEIVE_BYTES, QUIC_DATAGRAM_SEND_BYTES,
    QUIC_IDLE_TIMEOUT, QUIC_PACKET_BYTES, QUIC_PACKET_STEP_BYTES, QUIC_SEND_WINDOW, QUIC_STREAM_WINDOW,
    QUIC_STREAMS_BIDI, QUIC_STREAMS_UNI,
};
use quinn_proto::{IdleTimeout, MtuDiscoveryConfig, TransportConfig, VarInt};
use std::sync::Arc;

/// The settings of every connection.
pub fn transport() -> TransportConfig {
    let mut mtu = MtuDiscoveryConfig::default();
    mtu.upper_bound(QUIC_PACKET_BYTES).minimum_change(QUIC_PACKET_STEP_BYTES);
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(QUIC_STREAMS_BIDI))
        .max_concurrent_uni_streams(VarInt::from_u32(QUIC_STREAMS_UNI))
        .stream_receive_window(VarInt::from_u32(QUIC_STREAM_WINDOW))
        .receive_window(VarInt::from_u32(QUIC_CONNECTION_WINDOW))
        .send_window(QUIC_SEND_WINDOW)
        .datagram_receive_buffer_size(Some(QUIC_DATAGRAM_RECEIVE_BYTES))
        .datagram_send_buffer_size(QUIC_DATAGRAM_SEND_BYTES)
        .crypto_buffer_size(QUIC_CRYPTO_BYTES)
        .max_idle_timeout(IdleTimeout::try_from(QUIC_IDLE_TIMEOUT).ok())
        .congestion_controller_factory(Arc::new(Factory::default()))
        // Ours adapts to what goes on, and runs on confirmed addresses.
        .keep_alive_interval(None)
        // Without it a stream that was begun is sent to its end before more urgent ones, and those of one
        // priority wait for each other.
        .send_fairness(true)
        .mtu_discovery_config(Some(mtu))
        // It would show our round-trip time to whoever watches.
        .allow_spin(false);
    transport
}
