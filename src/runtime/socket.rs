//! One UDP socket: batches in, batches out.
//!
//! In: transmits, readiness from the event loop. Out: received datagrams, in the runs
//! that the kernel joined (GRO), and sends in as few system calls as possible (GSO): a run
//! of datagrams leaves as it is, single ones to one address are joined.
//! Invariants: no error ends anything. A blocked socket keeps at most
//! `SEND_QUEUE_DATAGRAMS` and `SEND_QUEUE_BYTES`, in order; what does not fit is dropped
//! and counted, as the network would. A socket that only reports errors is left alone
//! for `RECV_ERROR_PAUSE`. A `whole` datagram is never cut by the IP layer; of the others
//! those above `WHOLE_DATAGRAM_BYTES` may be, smaller ones only if the first link is smaller still.

use crate::config::limits;
use crate::node::{Datagrams, Transmit, Via};
use crate::runtime::buffers::{Buffers, COPY_BYTES};
use crate::runtime::readiness::Watched;
use crate::runtime::shared::Io;
use crate::runtime::sockopt;
use quinn_udp::{EcnCodepoint, RecvMeta, UdpSockRef, UdpSocketState};
use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Context;
use std::time::Instant;

pub struct Socket {
    io: Watched,
    state: UdpSocketState,
    v4: bool,
    fragments: bool,
    waiting: VecDeque<Transmit>,
    waiting_bytes: usize,
    /// Datagrams at the front that are sent one by one, because sending them together failed.
    singles: usize,
    /// Bytes of the first transmit that left already.
    front_sent: usize,
    /// Buffers of what was sent.
    spent: Vec<Vec<u8>>,
    rest: Rest,
    shared: Arc<Io>,
}

impl Socket {
    /// Takes over a bound socket. To be called inside the runtime.
    pub fn new(socket: UdpSocket, shared: Arc<Io>) -> io::Result<Socket> {
        let v4 = socket.local_addr()?.is_ipv4();
        let state = UdpSocketState::new(UdpSockRef::from(&socket))?;
        Ok(Socket {
            io: Watched::new(socket, shared.clone())?,
            state,
            v4,
            fragments: false,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            singles: 0,
            front_sent: 0,
            spent: Vec::new(),
            rest: Rest::default(),
            shared,
        })
    }

    pub fn io(&self) -> &UdpSocket {
        self.io.socket()
    }

    /// Fills `into` with what has arrived and returns the number of datagrams; 0: nothing more for now.
    pub fn recv(&mut self, into: &mut Received, now: Instant) -> usize {
        into.filled = 0;
        if self.rest.goes_on(now) {
            return 0;
        }
        loop {
            match self.io.receive(|io| into.fill(io, &self.state)) {
                Ok(()) => {
                    self.rest = Rest::default();
                    let datagrams = into.count();
                    count(&self.shared.received, datagrams);
                    return datagrams;
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => return 0,
                Err(_) => {
                    count(&self.shared.recv_errors, 1);
                    if self.rest.error(now) {
                        return 0;
                    }
                }
            }
        }
    }

    /// When a socket that was left alone is to be read again.
    pub fn paused_until(&self) -> Option<Instant> {
        self.rest.until
    }

    /// Whether there may be something to receive, or room for what waits. If not, the task is woken when there is.
    pub fn poll_ready(&mut self, context: &mut Context<'_>) -> bool {
        let mut ready = self.rest.until.is_none() && self.io.poll_receive(context);
        if !self.waiting.is_empty() {
            ready |= self.io.poll_send(context);
        }
        ready
    }

    /// Puts a transmit behind those that wait; `flush` sends them.
    pub fn queue(&mut self, transmit: Transmit) {
        let total = self.waiting_bytes.saturating_add(transmit.bytes.len());
        if self.waiting.len() >= limits::SEND_QUEUE_DATAGRAMS || total > limits::SEND_QUEUE_BYTES {
            return count(&self.shared.send_dropped, transmit.count());
        }
        self.waiting_bytes = total;
        self.waiting.push_back(transmit);
    }

    /// The network takes nothing for now.
    pub fn is_blocked(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The buffers of what was sent since the last call.
    pub fn take_spent(&mut self) -> impl Iterator<Item = Vec<u8>> + '_ {
        self.spent.drain(..)
    }

    /// Sends what the socket takes now. `scratch` is for joining datagrams.
    pub fn flush(&mut self, scratch: &mut Vec<u8>) {
        while let Some(front) = self.waiting.front() {
            let (datagrams, sent) = match front.count() {
                1 => self.send_singles(scratch),
                _ if self.singles == 0 => self.send_run(),
                _ => self.send_piece(),
            };
            match sent {
                Ok(()) => {
                    count(&self.shared.sent, datagrams);
                    self.done(datagrams);
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => return,
                // An adapter without GSO, or a link smaller than the datagrams.
                Err(_) if datagrams > 1 => self.singles = datagrams,
                Err(_) => {
                    count(&self.shared.send_errors, 1);
                    self.done(1);
                }
            }
        }
        self.io.forget_room();
    }

    /// Sends one datagram now or not at all.
    pub fn send_now(&mut self, to: SocketAddr, bytes: &[u8]) -> io::Result<()> {
        // Not through the readiness of the event loop: a socket made a moment ago has none yet.
        self.state.try_send(UdpSockRef::from(self.io.socket()), &transmit(to, bytes, None, 0))?;
        count(&self.shared.sent, 1);
        Ok(())
    }

    /// Sends the first transmit, which holds several datagrams.
    fn send_run(&mut self) -> (usize, io::Result<()>) {
        self.allow_fragments(false);
        let Some(front) = self.waiting.front() else { return (0, Ok(())) };
        let datagrams = front.count();
        if datagrams > self.state.max_gso_segments() {
            return (datagrams, Err(ErrorKind::Unsupported.into()));
        }
        (datagrams, send(&mut self.io, &self.state, front.to, &front.bytes, front.segment, front.ecn))
    }

    /// Sends the next datagram of the first transmit, which could not leave as it is.
    fn send_piece(&mut self) -> (usize, io::Result<()>) {
        self.allow_fragments(false);
        let Some(front) = self.waiting.front() else { return (0, Ok(())) };
        let rest = front.bytes.get(self.front_sent..).unwrap_or_default();
        let size = front.segment.unwrap_or(rest.len()).min(rest.len());
        (1, send(&mut self.io, &self.state, front.to, rest.get(..size).unwrap_or_default(), None, front.ecn))
    }

    /// Sends the first transmit, which is one datagram, and those behind it that can leave in the same call.
    fn send_singles(&mut self, scratch: &mut Vec<u8>) -> (usize, io::Result<()>) {
        let run = self.run_length();
        let Some(front) = self.waiting.front().filter(|_| run > 1) else { return (1, self.send_single()) };
        let (to, size, ecn) = (front.to, front.bytes.len(), front.ecn);
        self.allow_fragments(false);
        scratch.clear();
        self.waiting.iter().take(run).for_each(|transmit| scratch.extend_from_slice(&transmit.bytes));
        (run, send(&mut self.io, &self.state, to, scratch, Some(size), ecn))
    }

    /// How many datagrams from the front can leave in one call: alike but for the last, which may be smaller.
    fn run_length(&self) -> usize {
        let Some(front) = self.waiting.front() else { return 0 };
        let size = front.bytes.len();
        if self.singles > 0 || size == 0 || size > limits::WHOLE_DATAGRAM_BYTES && !front.whole {
            return 1;
        }
        let most = self.state.max_gso_segments().min(limits::TRANSMIT_BYTES.checked_div(size).unwrap_or(1)).max(1);
        let mut run = 0usize;
        for next in self.waiting.iter().take(most) {
            let alike = next.to == front.to && next.ecn == front.ecn && next.whole == front.whole && next.count() == 1;
            if !alike || next.bytes.is_empty() || next.bytes.len() > size {
                break;
            }
            run = run.saturating_add(1);
            if next.bytes.len() < size {
                break;
            }
        }
        run.max(1)
    }

    fn send_single(&mut self) -> io::Result<()> {
        let Some(front) = self.waiting.front() else { return Ok(()) };
        let may_be_cut = !front.whole;
        self.allow_fragments(may_be_cut && front.bytes.len() > limits::WHOLE_DATAGRAM_BYTES);
        let send = |socket: &mut Socket| match socket.waiting.front() {
            Some(front) => send(&mut socket.io, &socket.state, front.to, &front.bytes, None, front.ecn),
            None => Ok(()),
        };
        match send(self) {
            Err(e) if quinn_udp::is_msg_size_err(&e) && may_be_cut && !self.fragments => {
                self.allow_fragments(true);
                send(self)
            }
            result => result,
        }
    }

    fn allow_fragments(&mut self, allowed: bool) {
        // Where the system knows no such option it cuts as it likes; nothing is to be done about it.
        if self.fragments != allowed && sockopt::set_fragmentation(self.io.socket().as_fd(), self.v4, allowed).is_ok() {
            self.fragments = allowed;
        }
    }

    /// Takes datagrams that left, or cannot leave, off the front.
    fn done(&mut self, datagrams: usize) {
        self.singles = self.singles.saturating_sub(datagrams);
        let mut left = datagrams;
        while let Some(front) = self.waiting.front().filter(|_| left > 0) {
            let (size, rest) = (front.segment.unwrap_or(front.bytes.len()), front.bytes.len());
            let gone = size.saturating_mul(left);
            self.front_sent = self.front_sent.saturating_add(gone);
            if self.front_sent < rest {
                return;
            }
            left = left.saturating_sub(front.count());
            self.front_sent = 0;
            if let Some(Transmit { bytes, .. }) = self.waiting.pop_front() {
                self.waiting_bytes = self.waiting_bytes.saturating_sub(bytes.len());
                if bytes.capacity() >= limits::TRANSMIT_BYTES && self.spent.len() < limits::SPARE_BUFFERS {
                    self.spent.push(bytes);
                }
            }
        }
    }
}

/// Hands datagrams to the system, now or when there is room.
fn send(
    io: &mut Watched,
    state: &UdpSocketState,
    to: SocketAddr,
    bytes: &[u8],
    segment: Option<usize>,
    ecn: u8,
) -> io::Result<()> {
    let transmit = transmit(to, bytes, segment, ecn);
    io.send(|socket| state.try_send(UdpSockRef::from(socket), &transmit))
}

fn transmit(to: SocketAddr, bytes: &[u8], segment: Option<usize>, ecn: u8) -> quinn_udp::Transmit<'_> {
    let ecn = EcnCodepoint::from_bits(ecn);
    quinn_udp::Transmit { destination: to, ecn, contents: bytes, segment_size: segment, src_ip: None }
}

fn count(counter: &AtomicU64, datagrams: usize) {
    counter.fetch_add(datagrams as u64, Ordering::Relaxed);
}

/// Keeps a socket that only reports errors from taking all the time.
#[derive(Default)]
struct Rest {
    errors_in_a_row: u32,
    until: Option<Instant>,
}

impl Rest {
    /// Takes note of an error. True: the socket is to be left alone now.
    fn error(&mut self, now: Instant) -> bool {
        self.errors_in_a_row = self.errors_in_a_row.saturating_add(1);
        if self.errors_in_a_row >= limits::RECV_ERRORS_IN_A_ROW {
            self.until = now.checked_add(limits::RECV_ERROR_PAUSE);
        }
        self.until.is_some()
    }

    /// Whether the socket is to be left alone still; if not, it may be tried once more.
    fn goes_on(&mut self, now: Instant) -> bool {
        self.until = self.until.filter(|until| now < *until);
        self.until.is_some()
    }
}

/// Datagrams of one system call.
pub struct Received {
    storage: Vec<u8>,
    metas: [RecvMeta; limits::RECV_BATCH],
    filled: usize,
    copies: Buffers,
}

impl Received {
    pub fn new() -> Received {
        // Zeroed pages cost no memory until datagrams touch them.
        let storage = vec![0; COPY_BYTES.saturating_mul(limits::RECV_BATCH)];
        Received { storage, metas: [RecvMeta::default(); limits::RECV_BATCH], filled: 0, copies: Buffers::default() }
    }

    /// The datagrams as the node takes them, in the runs that the kernel joined.
    pub fn runs(&mut self) -> impl Iterator<Item = (&RecvMeta, Datagrams)> {
        let buffers = self.storage.chunks_exact(COPY_BYTES);
        let filled = self.metas.iter().zip(buffers).take(self.filled);
        filled.map(|(meta, buffer)| {
            let ecn = meta.ecn.map_or(0, |ecn| ecn as u8);
            let bytes = self.copies.copy(buffer.get(..meta.len).unwrap_or_default());
            (meta, Datagrams { via: Via::Main, from: meta.addr, segment: meta.stride, ecn, bytes })
        })
    }

    /// The number of datagrams.
    fn count(&self) -> usize {
        self.metas.iter().take(self.filled).map(|meta| meta.len.div_ceil(meta.stride.max(1))).sum()
    }

    /// Takes what has arrived. Whether there may be more: one system call takes all that fits, where it takes several.
    fn fill(&mut self, io: &UdpSocket, state: &UdpSocketState) -> io::Result<bool> {
        let mut buffers = self.storage.chunks_exact_mut(COPY_BYTES);
        let mut slices: [IoSliceMut<'_>; limits::RECV_BATCH] =
            std::array::from_fn(|_| IoSliceMut::new(buffers.next().unwrap_or_default()));
        self.filled = state.recv(UdpSockRef::from(io), &mut slices, &mut self.metas)?;
        Ok(self.filled == limits::RECV_BATCH || !cfg!(any(target_os = "linux", target_os = "android")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::clock;

    #[test]
    fn a_socket_full_of_errors_rests_and_is_tried_again() {
        let now = clock::now().mono;
        let mut rest = Rest::default();
        for _ in 1..limits::RECV_ERRORS_IN_A_ROW {
            assert!(!rest.error(now));
        }
        assert!(!rest.goes_on(now));
        assert!(rest.error(now));
        let end = rest.until.unwrap();
        assert!(end > now && rest.goes_on(now));
        assert!(!rest.goes_on(end));
        assert!(rest.error(end), "one more is enough, until something was received");
        rest = Rest::default();
        assert!(!rest.error(end));
    }
}
