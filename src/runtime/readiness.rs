//! When a UDP socket can be read and, while it is blocked, when it can be written.
//!
//! In: the socket, attempts to receive and to send. Out: their results, and wake-ups of the task.
//! The event loop is told of room for more only while there was none: who is told always wakes up once
//! for each datagram that the system is done with, on loopback as often as for what arrives.
//! Invariants: after an attempt to send that would have blocked, the task is woken when there is room; a
//! descriptor made for that is listed in `Io` like the socket's own, and gone when nothing waits.

use crate::runtime::shared::Io;
use std::io::{self, ErrorKind};
use std::net::UdpSocket;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

pub struct Watched {
    io: AsyncFd<UdpSocket>,
    /// A second descriptor of the socket while it is blocked: an event loop takes each only once.
    room: Option<AsyncFd<OwnedFd>>,
    shared: Arc<Io>,
}

impl Watched {
    /// Takes over a socket that does not block. To be called inside the runtime.
    pub fn new(socket: UdpSocket, shared: Arc<Io>) -> io::Result<Watched> {
        // SAFETY: the socket is owned by the `AsyncFd` from here on, and neither closed nor replaced before that is dropped.
        let io = unsafe { AsyncFd::register_with_interest(socket, Interest::READABLE)? };
        shared.opened(io.as_raw_fd());
        Ok(Watched { io, room: None, shared })
    }

    pub fn socket(&self) -> &UdpSocket {
        self.io.get_ref()
    }

    /// Runs `receive`, which tells whether it may have left something, unless nothing has come since nothing was left.
    pub fn receive(&self, receive: impl FnOnce(&UdpSocket) -> io::Result<bool>) -> io::Result<()> {
        let mut done = false;
        let result = self.io.try_io(Interest::READABLE, |socket| {
            done = !receive(socket)?;
            // Known without asking the system once more: what comes later is told by the event loop.
            if done { Err(ErrorKind::WouldBlock.into()) } else { Ok(()) }
        });
        if done { Ok(()) } else { result }
    }

    /// Runs `send`, unless there is no room since it found none.
    pub fn send<T>(&mut self, send: impl FnOnce(&UdpSocket) -> io::Result<T>) -> io::Result<T> {
        let socket = self.io.get_ref();
        match &self.room {
            Some(room) => room.try_io(Interest::WRITABLE, |_| send(socket)),
            None => {
                let result = send(socket);
                if result.as_ref().is_err_and(|e| e.kind() == ErrorKind::WouldBlock) {
                    // Without a descriptor nobody would be woken: then this datagram is lost, as any may be.
                    self.watch_room()?;
                }
                result
            }
        }
    }

    /// Nothing waits to be sent any more.
    pub fn forget_room(&mut self) {
        if let Some(room) = self.room.take() {
            self.shared.closing(room.as_raw_fd());
        }
    }

    /// Whether there may be something to receive. If not, the task is woken when there is.
    pub fn poll_receive(&self, context: &mut Context<'_>) -> bool {
        matches!(self.io.poll_read_ready(context), Poll::Ready(Ok(_)))
    }

    /// Whether there may be room again. If not, the task is woken when there is.
    pub fn poll_send(&self, context: &mut Context<'_>) -> bool {
        self.room.as_ref().is_none_or(|room| matches!(room.poll_write_ready(context), Poll::Ready(Ok(_))))
    }

    fn watch_room(&mut self) -> io::Result<()> {
        let descriptor = self.io.get_ref().as_fd().try_clone_to_owned()?;
        // SAFETY: as above. Room that came meanwhile is told at once.
        let room = unsafe { AsyncFd::register_with_interest(descriptor, Interest::WRITABLE)? };
        self.shared.opened(room.as_raw_fd());
        self.room = Some(room);
        Ok(())
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.forget_room();
        self.shared.closing(self.io.as_raw_fd());
    }
}
