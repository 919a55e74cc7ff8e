//! A descriptor that is readable while the event queue holds something: an eventfd
//! on Linux, a pipe elsewhere.
//!
//! Level-triggered: `raise` when the queue has become non-empty, `clear` when it becomes
//! empty. Whoever raises has released the queue's lock before: the thread that is woken
//! may be given the processor of the one that woke it, and would wait for that lock at once.
//! So a raise may come after the clear that was meant for it; `EventBuffer` counts both,
//! and whoever finds the queue empty takes back what came late.
//! Invariants: close-on-exec and non-blocking; the application only polls it.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

pub struct Signal {
    read: OwnedFd,
    #[cfg(not(target_os = "linux"))]
    write: OwnedFd,
}

impl Signal {
    #[cfg(target_os = "linux")]
    pub fn new() -> io::Result<Signal> {
        // SAFETY: no pointers are passed.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is new and ours.
        Ok(Signal { read: unsafe { OwnedFd::from_raw_fd(fd) } })
    }

    #[cfg(not(target_os = "linux"))]
    pub fn new() -> io::Result<Signal> {
        let mut fds = [0; 2];
        // SAFETY: `fds` has room for the two descriptors.
        if unsafe { libc::pipe(fds.as_mut_ptr()) } < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: both descriptors are new and ours.
        let (read, write) = unsafe { (OwnedFd::from_raw_fd(fds[0]), OwnedFd::from_raw_fd(fds[1])) };
        for fd in [&read, &write] {
            // SAFETY: the descriptor is open; no pointers are passed.
            let set = unsafe {
                libc::fcntl(fd.as_raw_fd(), libc::F_SETFD, libc::FD_CLOEXEC) >= 0
                    && libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) >= 0
            };
            if !set {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(Signal { read, write })
    }

    pub fn descriptor(&self) -> RawFd {
        self.read.as_raw_fd()
    }

    /// Makes it readable. A pipe that is full stays so.
    pub fn raise(&self) {
        let one = 1u64.to_ne_bytes();
        #[cfg(target_os = "linux")]
        let fd = self.read.as_raw_fd();
        #[cfg(not(target_os = "linux"))]
        let fd = self.write.as_raw_fd();
        // SAFETY: eight bytes are readable at `one`; the descriptor is open.
        unsafe { libc::write(fd, one.as_ptr().cast(), one.len()) };
    }

    /// Takes back what `raise` did and returns how many of its calls.
    #[cfg(target_os = "linux")]
    pub fn clear(&self) -> u64 {
        let mut count = [0u8; 8];
        // SAFETY: eight bytes are writable at `count`; the descriptor is open.
        let read = unsafe { libc::read(self.read.as_raw_fd(), count.as_mut_ptr().cast(), count.len()) };
        if read == 8 { u64::from_ne_bytes(count) } else { 0 }
    }

    /// Takes back what `raise` did and returns how many of its calls: as many as fit in one read.
    #[cfg(not(target_os = "linux"))]
    pub fn clear(&self) -> u64 {
        let mut raised = [0u8; 512];
        // SAFETY: as many bytes are writable at `raised`; the descriptor is open.
        let read = unsafe { libc::read(self.read.as_raw_fd(), raised.as_mut_ptr().cast(), raised.len()) };
        u64::try_from(read).unwrap_or(0) / 8
    }
}
