//! Congestion control that does not hold a goodbye back.
//!
//! In quinn-proto 0.11 the packet that closes a connection waits for the window and
//! the pace whenever anything else is unsent, a reset of a stream for example; a
//! closed connection hears no acknowledgements, and a swarm that ends does not come
//! back later. So `release` makes the window of a connection that is closed
//! unlimited, which also ends pacing: it sends nothing but that packet any more.
//! Everything else is CUBIC.

use quinn_proto::congestion::{Controller, ControllerFactory, ControllerMetrics, Cubic, CubicConfig};
use quinn_proto::{Connection, RttEstimator};
use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Instant;

/// Makes the controller of each connection.
#[derive(Default)]
pub struct Factory {
    cubic: Arc<CubicConfig>,
}

/// To be called with every connection that is closed.
pub fn release(connection: &Connection) {
    // The copy shares the flag.
    if let Ok(copy) = connection.congestion_state().clone_box().into_any().downcast::<Releasable>() {
        copy.released.store(true, Relaxed);
    }
}

struct Releasable {
    cubic: Box<dyn Controller>,
    released: Arc<AtomicBool>,
}

impl ControllerFactory for Factory {
    fn build(self: Arc<Self>, now: Instant, current_mtu: u16) -> Box<dyn Controller> {
        let cubic = Box::new(Cubic::new(self.cubic.clone(), now, current_mtu));
        Box::new(Releasable { cubic, released: Arc::default() })
    }
}

impl Controller for Releasable {
    fn on_sent(&mut self, now: Instant, bytes: u64, last_packet_number: u64) {
        self.cubic.on_sent(now, bytes, last_packet_number);
    }

    fn on_ack(&mut self, now: Instant, sent: Instant, bytes: u64, app_limited: bool, rtt: &RttEstimator) {
        self.cubic.on_ack(now, sent, bytes, app_limited, rtt);
    }

    fn on_end_acks(&mut self, now: Instant, in_flight: u64, app_limited: bool, largest_acked: Option<u64>) {
        self.cubic.on_end_acks(now, in_flight, app_limited, largest_acked);
    }

    fn on_congestion_event(&mut self, now: Instant, sent: Instant, persistent: bool, lost_bytes: u64) {
        self.cubic.on_congestion_event(now, sent, persistent, lost_bytes);
    }

    fn on_mtu_update(&mut self, new_mtu: u16) {
        self.cubic.on_mtu_update(new_mtu);
    }

    fn window(&self) -> u64 {
        if self.released.load(Relaxed) { u64::MAX } else { self.cubic.window() }
    }

    fn metrics(&self) -> ControllerMetrics {
        self.cubic.metrics()
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(Releasable { cubic: self.cubic.clone_box(), released: self.released.clone() })
    }

    fn initial_window(&self) -> u64 {
        self.cubic.initial_window()
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Network, Pair};
    use super::*;
    use quinn_proto::{ConnectionError, Dir, Event, VarInt};
    use std::time::Duration;

    /// A full window: much is written, and no acknowledgement comes.
    fn stuffed() -> Pair {
        let mut pair = Pair::new(1, Network::clean(10));
        pair.network.mute = Some(1);
        let connection = &mut pair.peers[0].connection;
        let id = connection.streams().open(Dir::Bi).expect("a stream");
        let written = connection.send_stream(id).write(&[7; 200_000]).expect("room");
        assert!(written as u64 > connection.congestion_state().window());
        pair.run(Duration::from_millis(5), |_| false);
        pair
    }

    #[test]
    fn a_goodbye_leaves_through_a_full_window() {
        let mut pair = stuffed();
        let now = pair.now;
        let connection = &mut pair.peers[0].connection;
        assert!(connection.poll_transmit(now, 10, &mut Vec::new()).is_none());
        release(connection);
        connection.close(now, VarInt::from_u32(10), Default::default());
        let heard =
            |event: &Event| matches!(event, Event::ConnectionLost { reason: ConnectionError::ApplicationClosed(_) });
        assert!(pair.run(Duration::from_millis(30), |pair| pair.peers[1].events.iter().any(heard)));
    }

    #[test]
    fn without_it_quinn_holds_the_goodbye_back() {
        let mut pair = stuffed();
        let now = pair.now;
        let connection = &mut pair.peers[0].connection;
        connection.close(now, VarInt::from_u32(10), Default::default());
        assert!(connection.poll_transmit(now, 10, &mut Vec::new()).is_none(), "this file is not needed any more");
    }
}
