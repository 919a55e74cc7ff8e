//! What waits to be sent to one peer: order, pace, repeats.
//!
//! v12 does not acknowledge DATA, so nothing here knows what arrived. Frames leave at
//! a pace that follows the loss of our PINGs, and are repeated with the same sequence
//! number where the receiver drops the copy; how often depends on the loss, and on
//! what a gap would do to the receiver (C++ delivers nothing behind one).

use crate::bucket::Bucket;
use crate::config::limits::{
    PACE_BURST, PACE_BURST_BYTES, PACE_BYTES_PER_SECOND, PACE_MAX_PER_SECOND, PACE_MIN_PER_SECOND,
    PACE_START_PER_SECOND, REPEAT_MAX_BYTES, SEND_BUFFER_MESSAGES, V12_FRAG_DATA, V12_RUST_MAX_PAYLOAD,
    V12_SMALL_PAYLOAD,
};
use crate::node::api::Family;
use crate::timers::earlier;
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// When copies follow the first, counted from it. Old peers wait 50 ms for a gap to close: two fit.
const REPEAT_AFTER: [Duration; 5] = [
    Duration::from_millis(20),
    Duration::from_millis(45),
    Duration::from_millis(120),
    Duration::from_millis(400),
    Duration::from_millis(1_200),
];
/// So long after the peer began anew, copies also come late enough to end its 50 ms delay.
const PEER_RESTART_COPIES: Duration = Duration::from_secs(3);
/// Our first number is taken for received when it was sent so long ago, copies included.
const ZERO_AGE: Duration = Duration::from_secs(3);
/// Messages waiting, beyond which a clean link sends no copies.
const BUSY: usize = 64;

/// A message of the application.
pub struct Outgoing {
    pub data: Vec<u8>,
    /// Not 0: the application wants to know what became of it.
    pub tag: u64,
    /// Send as clear fragments, by this name.
    pub fragments: Option<[u8; 8]>,
}

/// What leaves next.
pub enum Next {
    /// Seal with this sequence number, then give the payload back to `sent`.
    Data { sequence: u32, payload: Vec<u8>, tag: u64, copy: u8 },
    /// A piece of a message that the application allowed to be sent in clear.
    Fragment { set: [u8; 8], index: u16, total: u16, data: Vec<u8>, tag: u64 },
    /// Taken when it was not clear yet that this receiver cannot read so much.
    TooLarge { len: usize, tag: u64 },
}

/// What the link knows when it sends.
#[derive(Clone, Copy)]
pub struct Link {
    pub family: Family,
    pub loss_permille: u32,
}

struct Copy {
    payload: Vec<u8>,
    first_sent: Instant,
    number: u8,
}

/// The sending side of one session.
pub struct Tx {
    queue: VecDeque<Outgoing>,
    queued_bytes: usize,
    /// Fragments of the first message in the queue that left already.
    fragments_sent: u16,
    next_sequence: u32,
    first_sent: Option<Instant>,
    /// A copy of the first frame left, and a PING of that time was answered.
    first_copied: bool,
    open_at_first: bool,
    copies: BTreeMap<(Instant, u32), Copy>,
    copy_bytes: usize,
    datagrams: Bucket,
    bytes: Bucket,
    rate: u32,
    /// The application was refused and is owed a `writable` event.
    refused: bool,
    /// The peer may have begun anew and then delay everything until a number is repeated.
    delayed_until: Option<Instant>,
}

impl Tx {
    pub fn new(now: Instant, next_sequence: u32) -> Tx {
        Tx {
            queue: VecDeque::new(),
            queued_bytes: 0,
            fragments_sent: 0,
            next_sequence,
            first_sent: None,
            first_copied: false,
            open_at_first: false,
            copies: BTreeMap::new(),
            copy_bytes: 0,
            datagrams: Bucket::new(PACE_BURST, PACE_START_PER_SECOND, now),
            bytes: Bucket::new(PACE_BURST_BYTES, PACE_BYTES_PER_SECOND, now),
            rate: PACE_START_PER_SECOND,
            refused: false,
            delayed_until: (next_sequence > 0).then_some(now + PEER_RESTART_COPIES),
        }
    }

    /// Whether `len` more bytes find room; if not, a `writable` event is owed.
    pub fn has_room(&mut self, len: usize, limit: usize) -> bool {
        let full = self.queue.len() >= SEND_BUFFER_MESSAGES || self.queued_bytes.saturating_add(len) > limit;
        self.refused |= full;
        !full
    }

    pub fn push(&mut self, message: Outgoing) {
        self.queued_bytes += message.data.len();
        self.queue.push_back(message);
    }

    /// Takes out what waits; what left in part goes on leaving.
    pub fn take_waiting(&mut self) -> Vec<Outgoing> {
        let begun = usize::from(self.fragments_sent > 0);
        let waiting: Vec<Outgoing> = self.queue.drain(begun.min(self.queue.len())..).collect();
        self.queued_bytes = self.queue.iter().map(|message| message.data.len()).sum();
        self.refused = false;
        waiting
    }

    /// Bytes of messages that wait.
    pub fn buffered(&self) -> usize {
        self.queued_bytes
    }

    /// Everything left, copies included.
    pub fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.copies.is_empty()
    }

    /// The number the next message gets.
    pub fn next_sequence(&self) -> u32 {
        self.next_sequence
    }

    /// A PING that left at `sent` was answered: the way there was open then.
    pub fn ping_answered(&mut self, sent: Instant) {
        if self.first_sent.is_some_and(|first| sent >= first && sent <= first + ZERO_AGE) {
            self.open_at_first = true;
        }
    }

    /// Whether the first number of this session can be taken for received: its copies are out, and
    /// the way was open at that time.
    pub fn zero_arrived(&self, now: Instant) -> bool {
        self.first_copied && self.open_at_first && self.first_sent.is_some_and(|first| now >= first + ZERO_AGE)
    }

    /// The peer forgot us: it expects 0 again, and copies of old numbers would confuse it.
    pub fn restart(&mut self) {
        self.next_sequence = 0;
        self.forget_first();
        self.copies.clear();
        self.copy_bytes = 0;
    }

    fn forget_first(&mut self) {
        self.first_sent = None;
        self.first_copied = false;
        self.open_at_first = false;
    }

    /// The peer began anew. C++ takes nothing but 0 then; JavaScript and Python take any number, and
    /// may have taken one of ours already, before which they would drop a 0.
    pub fn peer_restarted(&mut self, family: Family, now: Instant) {
        // To a peer that has none of our numbers yet, an empty frame with an old one is a message.
        self.forget_first();
        match family {
            Family::JsOrPython => self.delayed_until = Some(now + PEER_RESTART_COPIES),
            Family::Cpp | Family::Unknown => self.restart(),
            Family::Rust => {}
        }
    }

    /// Tags of messages that will not be sent any more, and how many messages there were.
    pub fn give_up(&mut self) -> (Vec<u64>, u64) {
        let queue = std::mem::take(&mut self.queue);
        self.queued_bytes = 0;
        self.copies.clear();
        self.copy_bytes = 0;
        (queue.iter().map(|m| m.tag).filter(|tag| *tag != 0).collect(), queue.len() as u64)
    }

    /// A `writable` event is due: the application was refused and half of the room is free.
    pub fn take_writable(&mut self, limit: usize) -> bool {
        let room = self.queued_bytes <= limit / 2 && self.queue.len() <= SEND_BUFFER_MESSAGES / 2;
        self.refused && room && std::mem::replace(&mut self.refused, false)
    }

    /// A PING was answered, or was not: the rate follows.
    pub fn ping_result(&mut self, answered: bool, now: Instant) {
        self.rate = if answered {
            (self.rate.saturating_mul(5) / 4).min(PACE_MAX_PER_SECOND)
        } else {
            (self.rate / 2).max(PACE_MIN_PER_SECOND)
        };
        self.datagrams.set_rate(self.rate, now);
    }

    /// What may leave now.
    pub fn poll(&mut self, now: Instant, link: Link) -> Option<Next> {
        self.drop_needless_copies(now, link);
        if let Some(((due, sequence), copy)) = self.copies.first_key_value()
            && *due <= now
            && link.family != Family::Unknown
        {
            let (key, len) = ((*due, *sequence), copy.payload.len());
            if !self.take_pace(len, now) {
                return None;
            }
            let copy = self.copies.remove(&key)?;
            self.copy_bytes -= copy.payload.len();
            let (sequence, number) = (key.1, copy.number);
            self.first_copied |= self.first_sent == Some(copy.first_sent);
            self.plan_copy(sequence, copy.payload.clone(), copy.first_sent, number.saturating_add(1));
            return Some(Next::Data { sequence, payload: copy.payload, tag: 0, copy: number });
        }
        let first = self.queue.front()?;
        match first.fragments {
            Some(set) => {
                let total = u16::try_from(first.data.len().div_ceil(V12_FRAG_DATA)).ok()?;
                let from = usize::from(self.fragments_sent) * V12_FRAG_DATA;
                let data: Vec<u8> = first.data.iter().skip(from).take(V12_FRAG_DATA).copied().collect();
                if !self.take_pace(data.len(), now) {
                    return None;
                }
                let index = self.fragments_sent;
                self.fragments_sent += 1;
                let mut tag = 0;
                if self.fragments_sent >= total {
                    self.fragments_sent = 0;
                    tag = self.pop()?.tag;
                }
                Some(Next::Fragment { set, index, total, data, tag })
            }
            None => {
                // A Rust peer reads 4,096 bytes: what is larger waits until we know it is none.
                let large = first.data.len() > V12_RUST_MAX_PAYLOAD;
                let len = first.data.len();
                if large && link.family == Family::Rust {
                    let tag = self.pop()?.tag;
                    return Some(Next::TooLarge { len, tag });
                }
                if (large && link.family == Family::Unknown) || !self.take_pace(len, now) {
                    return None;
                }
                let message = self.pop()?;
                let sequence = self.next_sequence;
                self.next_sequence = sequence.checked_add(1)?;
                Some(Next::Data { sequence, payload: message.data, tag: message.tag, copy: 0 })
            }
        }
    }

    /// A first frame left: keeps its payload for copies.
    pub fn sent(&mut self, sequence: u32, payload: Vec<u8>, now: Instant) {
        self.first_sent.get_or_insert(now);
        self.plan_copy(sequence, payload, now, 1);
    }

    /// When `poll` may have something, if nothing else happens before.
    pub fn poll_deadline(&mut self, now: Instant, link: Link) -> Option<Instant> {
        let copy = match self.copies.first_key_value() {
            Some(((due, _), copy)) if link.family != Family::Unknown => Some((*due, copy.payload.len())),
            _ => None,
        };
        // A copy that is due goes first, and what is behind it waits for the same pace.
        if let Some((_, len)) = copy.filter(|(due, _)| *due <= now) {
            return Some(self.paced_at(len, now));
        }
        let fresh = match self.queue.front() {
            Some(first) if first.fragments.is_some() => Some(first.data.len().min(V12_FRAG_DATA)),
            Some(first) if first.data.len() > V12_RUST_MAX_PAYLOAD && link.family == Family::Unknown => None,
            Some(first) => Some(first.data.len()),
            None => None,
        };
        earlier(copy.map(|(due, _)| due), fresh.map(|len| self.paced_at(len, now)))
    }

    /// When the pace allows a datagram with so many bytes.
    fn paced_at(&mut self, len: usize, now: Instant) -> Instant {
        let len = u32::try_from(len).unwrap_or(u32::MAX);
        self.datagrams.ready_at(1, now).max(self.bytes.ready_at(len, now))
    }

    fn pop(&mut self) -> Option<Outgoing> {
        let message = self.queue.pop_front()?;
        self.queued_bytes -= message.data.len();
        Some(message)
    }

    fn take_pace(&mut self, len: usize, now: Instant) -> bool {
        let ready = self.paced_at(len, now) <= now;
        ready && self.datagrams.take(1, now) && self.bytes.take(u32::try_from(len).unwrap_or(u32::MAX), now)
    }

    fn plan_copy(&mut self, sequence: u32, payload: Vec<u8>, first_sent: Instant, number: u8) {
        let Some(after) = REPEAT_AFTER.get(usize::from(number).saturating_sub(1)) else { return };
        while self.copy_bytes.saturating_add(payload.len()) > REPEAT_MAX_BYTES {
            match self.copies.pop_first() {
                Some((_, dropped)) => self.copy_bytes -= dropped.payload.len(),
                None => return,
            }
        }
        self.copy_bytes += payload.len();
        self.copies.insert((first_sent + *after, sequence), Copy { payload, first_sent, number });
    }

    fn drop_needless_copies(&mut self, now: Instant, link: Link) {
        while let Some(((due, sequence), copy)) = self.copies.first_key_value() {
            let key = (*due, *sequence);
            let mut wanted = wanted_copies(link, copy.payload.len(), self.queue.len() > BUSY);
            if self.delayed_until.is_some_and(|until| now < until) && wanted > 0 {
                wanted = wanted.max(3);
            }
            if key.0 > now || link.family == Family::Unknown || copy.number <= wanted {
                return;
            }
            if let Some(copy) = self.copies.remove(&key) {
                self.copy_bytes -= copy.payload.len();
            }
        }
    }
}

/// Copies of a frame beyond the first.
fn wanted_copies(link: Link, len: usize, busy: bool) -> u8 {
    let small = len <= V12_SMALL_PAYLOAD;
    match (link.family, link.loss_permille) {
        // It delivers every copy; and an unknown peer might be it.
        (Family::Rust | Family::Unknown, _) => 0,
        // It delivers nothing behind a gap, for ever: copies are spread over a second, before any loss is known.
        (Family::Cpp, _) if small && !busy => 5,
        (Family::Cpp, 0) => 1,
        (Family::Cpp, 1..=99) => 3,
        (Family::Cpp, _) => 5,
        (Family::JsOrPython, 0) => u8::from(small && !busy),
        (Family::JsOrPython, 1..=199) => 2,
        (Family::JsOrPython, 200..=399) => 3,
        (Family::JsOrPython, _) => 4,
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a base for virtual time")]
mod tests {
    use super::*;

    fn message(len: usize) -> Outgoing {
        Outgoing { data: vec![1; len], tag: 0, fragments: None }
    }

    /// Runs for `time`; the sequence numbers that left, in order.
    fn run(tx: &mut Tx, start: Instant, time: Duration, link: Link) -> Vec<u32> {
        let (mut sent, mut now) = (Vec::new(), start);
        loop {
            while let Some(next) = tx.poll(now, link) {
                if let Next::Data { sequence, payload, copy, .. } = next {
                    sent.push(sequence);
                    if copy == 0 {
                        tx.sent(sequence, payload, now);
                    }
                }
            }
            match tx.poll_deadline(now, link) {
                Some(at) if at <= start + time => now = at.max(now + Duration::from_micros(1)),
                _ => return sent,
            }
        }
    }

    fn link(family: Family, loss_permille: u32) -> Link {
        Link { family, loss_permille }
    }

    #[test]
    fn copies_go_where_they_help() {
        let second = Duration::from_secs(3);
        for (family, loss, copies) in [
            (Family::Rust, 300, 0),
            (Family::Unknown, 300, 0),
            (Family::JsOrPython, 0, 1),
            (Family::JsOrPython, 300, 3),
            (Family::Cpp, 0, 5),
            (Family::Cpp, 300, 5),
        ] {
            let start = Instant::now();
            let mut tx = Tx::new(start, 0);
            tx.push(message(10));
            assert_eq!(run(&mut tx, start, second, link(family, loss)).len(), 1 + copies, "{family:?} {loss}");
            assert!(tx.is_idle() || family == Family::Unknown);
        }
    }

    #[test]
    fn a_burst_then_the_pace_and_every_number_once() {
        let start = Instant::now();
        let mut tx = Tx::new(start, 0);
        (0..600).for_each(|_| tx.push(message(100)));
        let first = run(&mut tx, start, Duration::ZERO, link(Family::Rust, 0)).len() as u32;
        assert_eq!(first, PACE_BURST);
        let rest = run(&mut tx, start, Duration::from_secs(1), link(Family::Rust, 0));
        assert_eq!(rest, (PACE_BURST..PACE_BURST + PACE_START_PER_SECOND).collect::<Vec<_>>());
    }

    #[test]
    fn a_copy_that_waits_for_its_pace_has_a_deadline_ahead() {
        let start = Instant::now();
        let (mut tx, lossy) = (Tx::new(start, 0), link(Family::JsOrPython, 100));
        (0..3).for_each(|_| tx.push(message(60_000)));
        let mut now = start;
        for _ in 0..100 {
            while let Some(next) = tx.poll(now, lossy) {
                if let Next::Data { sequence, payload, copy: 0, .. } = next {
                    tx.sent(sequence, payload, now);
                }
            }
            let Some(next) = tx.poll_deadline(now, lossy) else { break };
            assert!(next > now, "nothing can leave now, so nothing is due now");
            now = next;
        }
        assert!(tx.is_idle());
    }

    #[test]
    fn large_messages_wait_until_the_receiver_is_known_to_take_them() {
        let start = Instant::now();
        let mut tx = Tx::new(start, 0);
        tx.push(message(60_000));
        assert!(run(&mut tx, start, Duration::from_secs(1), link(Family::Unknown, 0)).is_empty());
        assert_eq!(run(&mut tx, start, Duration::from_secs(1), link(Family::JsOrPython, 0)), [0]);
    }

    #[test]
    fn a_copy_that_waits_for_the_pace_names_the_time_it_may_leave() {
        let start = Instant::now();
        let (mut tx, link) = (Tx::new(start, 0), link(Family::Cpp, 0));
        (0..3).for_each(|_| tx.push(message(60_000)));
        let mut now = start;
        for _ in 0..100 {
            while let Some(next) = tx.poll(now, link) {
                if let Next::Data { sequence, payload, copy: 0, .. } = next {
                    tx.sent(sequence, payload, now);
                }
            }
            match tx.poll_deadline(now, link) {
                Some(at) => assert!(at > now, "nothing left at {:?}, and it is due again", now - start),
                None => break,
            }
            now = tx.poll_deadline(now, link).expect("asked just now");
        }
        assert!(tx.is_idle());
    }

    #[test]
    fn fragments_of_a_message_cover_it() {
        let start = Instant::now();
        let mut tx = Tx::new(start, 0);
        tx.push(Outgoing { data: (0..3_000u32).map(|n| n as u8).collect(), tag: 9, fragments: Some([5; 8]) });
        let mut whole = Vec::new();
        while let Some(Next::Fragment { index, total, data, tag, .. }) = tx.poll(start, link(Family::JsOrPython, 0)) {
            assert_eq!((total, tag), (3, if index == 2 { 9 } else { 0 }));
            whole.extend(data);
        }
        assert_eq!(whole, (0..3_000u32).map(|n| n as u8).collect::<Vec<_>>());
        assert!(tx.is_idle() && tx.next_sequence() == 0, "fragments use no sequence number");
    }

    #[test]
    fn a_refused_application_hears_when_half_is_free() {
        let start = Instant::now();
        let mut tx = Tx::new(start, 0);
        tx.push(message(900));
        assert!(!tx.has_room(200, 1_000));
        assert!(!tx.take_writable(1_000));
        run(&mut tx, start, Duration::from_secs(1), link(Family::JsOrPython, 0));
        assert!(tx.take_writable(1_000) && !tx.take_writable(1_000));
    }
}
