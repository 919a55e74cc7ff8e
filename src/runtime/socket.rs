//! One UDP socket: batches in, batches out.
//!
//! In: datagrams to send, readiness from the event loop. Out: received datagrams, one
//! by one, although the kernel joins small ones of a flow (GRO: every segment is
//! looked at), and sends in as few system calls as possible (GSO).
//! Invariants: no error ends anything. A blocked socket keeps at most
//! `SEND_QUEUE_DATAGRAMS` and `SEND_QUEUE_BYTES`, in order; what does not fit is dropped
//! and counted, as the network would. A socket that only reports errors is left alone
//! for `RECV_ERROR_PAUSE`. Datagrams above `WHOLE_DATAGRAM_BYTES` may be cut by the IP
//! layer, smaller ones leave whole unless the first link is smaller still.

use crate::config::limits;
use crate::runtime::shared::Io;
use crate::runtime::sockopt;
use quinn_udp::{RecvMeta, Transmit, UdpSockRef, UdpSocketState};
use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSliceMut};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Instant;
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// Room for the largest datagram, and for the longest run that the kernel joins.
const RECV_BUFFER: usize = 1 << 16;
/// Bytes of one GSO send, payload only: the kernel takes what fits a datagram.
const GSO_BYTES: usize = 65_000;

pub struct Socket {
    io: UdpSocket,
    state: UdpSocketState,
    v4: bool,
    fragments: bool,
    waiting: VecDeque<(SocketAddr, Vec<u8>)>,
    waiting_bytes: usize,
    /// Datagrams at the front that are sent one by one, because sending them together failed.
    singles: usize,
    rest: Rest,
    shared: Arc<Io>,
}

impl Socket {
    /// Takes over a bound socket. To be called inside the runtime.
    pub fn new(socket: std::net::UdpSocket, shared: Arc<Io>) -> io::Result<Socket> {
        let v4 = socket.local_addr()?.is_ipv4();
        let state = UdpSocketState::new(UdpSockRef::from(&socket))?;
        let io = UdpSocket::from_std(socket)?;
        shared.opened(io.as_raw_fd());
        Ok(Socket {
            io,
            state,
            v4,
            fragments: false,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            singles: 0,
            rest: Rest::default(),
            shared,
        })
    }

    pub fn io(&self) -> &UdpSocket {
        &self.io
    }

    /// Fills `into` with what has arrived and returns the number of datagrams; 0: nothing more for now.
    pub fn recv(&mut self, into: &mut Received, now: Instant) -> usize {
        into.filled = 0;
        if self.rest.goes_on(now) {
            return 0;
        }
        loop {
            match self.io.try_io(Interest::READABLE, || into.fill(&self.io, &self.state)) {
                Ok(()) => {
                    self.rest = Rest::default();
                    let datagrams = into.datagrams().count();
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
        let mut ready = self.rest.until.is_none() && is_ready(self.io.poll_recv_ready(context));
        if !self.waiting.is_empty() {
            ready |= is_ready(self.io.poll_send_ready(context));
        }
        ready
    }

    /// Puts a datagram behind those that wait; `flush` sends them.
    pub fn queue(&mut self, to: SocketAddr, bytes: Vec<u8>) {
        let total = self.waiting_bytes.saturating_add(bytes.len());
        if self.waiting.len() >= limits::SEND_QUEUE_DATAGRAMS || total > limits::SEND_QUEUE_BYTES {
            return count(&self.shared.send_dropped, 1);
        }
        self.waiting_bytes = total;
        self.waiting.push_back((to, bytes));
    }

    /// Sends what the socket takes now. `scratch` is for joining datagrams.
    pub fn flush(&mut self, scratch: &mut Vec<u8>) {
        while let Some((to, first)) = self.waiting.front() {
            let (to, size) = (*to, first.len());
            let run = self.run_length(to, size);
            let sent = if run > 1 {
                self.allow_fragments(false);
                scratch.clear();
                self.waiting.iter().take(run).for_each(|(_, bytes)| scratch.extend_from_slice(bytes));
                self.send(to, scratch, Some(size))
            } else {
                self.send_single(to)
            };
            match sent {
                Ok(()) => {
                    count(&self.shared.sent, run);
                    self.done(run);
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => return,
                // An adapter without GSO, or a link smaller than the datagrams.
                Err(_) if run > 1 => self.singles = run,
                Err(_) => {
                    count(&self.shared.send_errors, 1);
                    self.done(1);
                }
            }
        }
    }

    /// Sends one datagram now or not at all.
    pub fn send_now(&mut self, to: SocketAddr, bytes: &[u8]) -> io::Result<()> {
        // Not through the readiness of the event loop: a socket made a moment ago has none yet.
        self.state.try_send(UdpSockRef::from(&self.io), &transmit(to, bytes, None))?;
        count(&self.shared.sent, 1);
        Ok(())
    }

    /// How many datagrams from the front can leave in one call: same receiver, same size, the last may be smaller.
    fn run_length(&self, to: SocketAddr, size: usize) -> usize {
        if self.singles > 0 || size == 0 || size > limits::WHOLE_DATAGRAM_BYTES {
            return 1;
        }
        let most = self.state.max_gso_segments().min(GSO_BYTES.checked_div(size).unwrap_or(1)).max(1);
        let mut run = 0usize;
        for (next, bytes) in self.waiting.iter().take(most) {
            if *next != to || bytes.is_empty() || bytes.len() > size {
                break;
            }
            run = run.saturating_add(1);
            if bytes.len() < size {
                break;
            }
        }
        run.max(1)
    }

    fn send_single(&mut self, to: SocketAddr) -> io::Result<()> {
        let size = self.waiting.front().map_or(0, |(_, bytes)| bytes.len());
        self.allow_fragments(size > limits::WHOLE_DATAGRAM_BYTES);
        let send = |socket: &Socket| match socket.waiting.front() {
            Some((_, bytes)) => socket.send(to, bytes, None),
            None => Ok(()),
        };
        match send(self) {
            Err(e) if quinn_udp::is_msg_size_err(&e) && !self.fragments => {
                self.allow_fragments(true);
                send(self)
            }
            result => result,
        }
    }

    fn send(&self, to: SocketAddr, bytes: &[u8], segment: Option<usize>) -> io::Result<()> {
        let transmit = transmit(to, bytes, segment);
        self.io.try_io(Interest::WRITABLE, || self.state.try_send(UdpSockRef::from(&self.io), &transmit))
    }

    fn allow_fragments(&mut self, allowed: bool) {
        // Where the system knows no such option it cuts as it likes; nothing is to be done about it.
        if self.fragments != allowed && sockopt::set_fragmentation(self.io.as_fd(), self.v4, allowed).is_ok() {
            self.fragments = allowed;
        }
    }

    fn done(&mut self, datagrams: usize) {
        for (_, bytes) in self.waiting.drain(..datagrams.min(self.waiting.len())) {
            self.waiting_bytes = self.waiting_bytes.saturating_sub(bytes.len());
        }
        self.singles = self.singles.saturating_sub(datagrams);
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.shared.closing(self.io.as_raw_fd());
    }
}

fn transmit(to: SocketAddr, bytes: &[u8], segment: Option<usize>) -> Transmit<'_> {
    Transmit { destination: to, ecn: None, contents: bytes, segment_size: segment, src_ip: None }
}

fn is_ready(poll: Poll<io::Result<()>>) -> bool {
    matches!(poll, Poll::Ready(Ok(())))
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
}

impl Received {
    pub fn new() -> Received {
        // Zeroed pages cost no memory until datagrams touch them.
        let storage = vec![0; RECV_BUFFER.saturating_mul(limits::RECV_BATCH)];
        Received { storage, metas: [RecvMeta::default(); limits::RECV_BATCH], filled: 0 }
    }

    /// The datagrams with what is known of them.
    pub fn datagrams(&self) -> impl Iterator<Item = (&RecvMeta, &[u8])> {
        let buffers = self.storage.chunks_exact(RECV_BUFFER);
        self.metas.iter().zip(buffers).take(self.filled).flat_map(|(meta, buffer)| {
            let bytes = buffer.get(..meta.len).unwrap_or_default();
            bytes.chunks(meta.stride.max(1)).map(move |datagram| (meta, datagram))
        })
    }

    fn fill(&mut self, io: &UdpSocket, state: &UdpSocketState) -> io::Result<()> {
        let mut buffers = self.storage.chunks_exact_mut(RECV_BUFFER);
        let mut slices: [IoSliceMut<'_>; limits::RECV_BATCH] =
            std::array::from_fn(|_| IoSliceMut::new(buffers.next().unwrap_or_default()));
        self.filled = state.recv(UdpSockRef::from(io), &mut slices, &mut self.metas)?;
        Ok(())
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
