//! What sessions that ended still had for the application while its event queue was full.
//!
//! The other side was told that it arrived, and QUIC, which kept it until now, is gone. In: the last
//! events of a session, the end of the session behind its data. Out: the same in order, as room comes. Memory: what the
//! windows of the sessions allowed; while something waits here no new session begins.

use crate::config::limits::EVENT_COST_BYTES;
use crate::session::SessionEvent;
use std::collections::VecDeque;

/// Events that wait for room.
#[derive(Default)]
pub struct Parked {
    events: VecDeque<SessionEvent>,
}

impl Parked {
    pub fn park(&mut self, events: impl Iterator<Item = SessionEvent>) {
        self.events.extend(events);
    }

    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Hands over what there is room for, and reduces the room by it.
    pub fn release(&mut self, room: &mut usize, out: &mut VecDeque<SessionEvent>) {
        while let Some(event) = self.events.front() {
            let cost = match event {
                SessionEvent::Received { data, .. } | SessionEvent::Datagram { data, .. } => data.len(),
                SessionEvent::Mesh { frame, .. } => frame.len(),
                // The others have their places.
                _ => {
                    out.extend(self.events.pop_front());
                    continue;
                }
            };
            if *room == 0 {
                return;
            }
            *room = room.saturating_sub(cost.saturating_add(EVENT_COST_BYTES));
            out.extend(self.events.pop_front());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::api::PeerId;
    use bytes::Bytes;

    #[test]
    fn data_waits_for_room_and_all_else_for_what_is_before_it() {
        let (peer, data) = (PeerId(1), Bytes::from_static(b"hello"));
        let (mut parked, mut out) = (Parked::default(), VecDeque::new());
        let message = || SessionEvent::Received { peer, data: data.clone() };
        let events = [SessionEvent::Writable { peer }, message(), SessionEvent::Writable { peer }, message()];
        parked.park(events.into_iter());
        parked.release(&mut 0, &mut out);
        assert_eq!(out.len(), 1, "what needs no room");
        let mut room = 1;
        parked.release(&mut room, &mut out);
        assert_eq!((room, out.len(), parked.len()), (0, 3, 1));
        room = usize::MAX;
        parked.release(&mut room, &mut out);
        assert!(parked.is_empty() && out.len() == 4);
    }
}
