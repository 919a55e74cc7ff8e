//! Tells when interfaces or their addresses change, where the system says so (Linux: rtnetlink).
//!
//! In: messages of the kernel, of which only their coming counts. Out: the time at which the
//! list of interfaces is to be read again. Invariants: a change is told `INTERFACE_SETTLE`
//! after its first message, with all that came meanwhile, so a flood of messages costs a
//! reading per `INTERFACE_SETTLE` and no more; nothing is read in between. Where there is no such
//! socket, or it fails, `is_open` says so and the list is polled.

use crate::config::limits;
use crate::runtime::shared::Io;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io::{self, ErrorKind};
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Messages taken at one time; with more the list is read again a moment later.
const MESSAGES: usize = 256;
/// Room for the beginning of a message, which is all that is looked at.
const MESSAGE_BYTES: usize = 64;

/// The kernel's news of interfaces and addresses.
pub struct Watch {
    socket: Option<News>,
    /// A change was told; the list is to be read then.
    due: Option<Instant>,
}

impl Watch {
    /// To be called inside the runtime.
    pub fn new(shared: Arc<Io>) -> Watch {
        Watch::on(open(), shared)
    }

    pub(super) fn on(socket: io::Result<Socket>, shared: Arc<Io>) -> Watch {
        Watch { socket: socket.and_then(|socket| News::new(socket, shared)).ok(), due: None }
    }

    /// Changes are told; otherwise the list has to be polled.
    pub fn is_open(&self) -> bool {
        self.socket.is_some()
    }

    /// When a change is to be looked at.
    pub fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Whether the list is to be read now. What was told until then is done with.
    pub fn take(&mut self, now: Instant) -> bool {
        if self.due.is_none() && self.drain() {
            self.due = now.checked_add(limits::INTERFACE_SETTLE);
        }
        if self.due.is_none_or(|due| due > now) {
            return false;
        }
        self.due = None;
        self.drain();
        true
    }

    /// Whether there may be something for `take`. If not, the task is woken when there is.
    pub fn poll_ready(&self, context: &mut Context<'_>) -> bool {
        // What comes before the list is read is covered by that.
        self.due.is_none() && self.socket.as_ref().is_some_and(|socket| socket.poll_ready(context))
    }

    /// Takes the messages that wait, and tells whether there were any.
    fn drain(&mut self) -> bool {
        match self.socket.as_ref().map(News::drain) {
            Some(Ok(news)) => news,
            Some(Err(_)) => {
                self.socket = None;
                true
            }
            None => false,
        }
    }
}

/// The socket.
struct News {
    io: AsyncFd<Socket>,
    shared: Arc<Io>,
}

impl News {
    fn new(socket: Socket, shared: Arc<Io>) -> io::Result<News> {
        socket.set_nonblocking(true)?;
        // SAFETY: the socket is owned by the `AsyncFd` from here on, and neither closed nor replaced before that is dropped.
        let io = unsafe { AsyncFd::register_with_interest(socket, Interest::READABLE)? };
        shared.opened(io.as_raw_fd());
        Ok(News { io, shared })
    }

    fn poll_ready(&self, context: &mut Context<'_>) -> bool {
        matches!(self.io.poll_read_ready(context), Poll::Ready(Ok(_)))
    }

    /// Takes the messages that wait, and tells whether there were any. An error: no more will come.
    fn drain(&self) -> io::Result<bool> {
        let mut message = [MaybeUninit::uninit(); MESSAGE_BYTES];
        for taken in 0..MESSAGES {
            match self.io.try_io(Interest::READABLE, |socket| socket.recv(&mut message)) {
                Ok(_) => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(taken > 0),
                // More came than the socket keeps: the list is read all the same.
                Err(e) if e.raw_os_error() == Some(libc::ENOBUFS) || e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(true)
    }
}

impl Drop for News {
    fn drop(&mut self) {
        self.shared.closing(self.io.as_raw_fd());
    }
}

#[cfg(target_os = "linux")]
fn open() -> io::Result<Socket> {
    const GROUPS: libc::c_int = libc::RTMGRP_LINK | libc::RTMGRP_IPV4_IFADDR | libc::RTMGRP_IPV6_IFADDR;
    let family = libc::AF_NETLINK;
    let socket = Socket::new(Domain::from(family), Type::RAW, Some(Protocol::from(libc::NETLINK_ROUTE)))?;
    // SAFETY: the storage is large enough for any kind of address and zeroed; a `sockaddr_nl` is written to its
    // beginning, and its length is told.
    let ((), address) = unsafe {
        SockAddr::try_init(|storage, length| {
            let address = storage.cast::<libc::sockaddr_nl>();
            (*address).nl_family = family as libc::sa_family_t;
            (*address).nl_groups = GROUPS.unsigned_abs();
            *length = size_of::<libc::sockaddr_nl>() as libc::socklen_t;
            Ok(())
        })?
    };
    socket.bind(&address)?;
    Ok(socket)
}

#[cfg(not(target_os = "linux"))]
fn open() -> io::Result<Socket> {
    Err(ErrorKind::Unsupported.into())
}
