//! A swarm as a guest of its process: threads, descriptors, signals, fork, closing.
//!
//! These tests count what the whole process holds, so they run one after another.

use setowire::node::Modes;
use setowire::{Code, Config, Swarm, event::kind};
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_secs(20);

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn alone() -> impl Drop {
    ONE_AT_A_TIME.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn config(port: u16) -> Config {
    let mut config = Config { bind: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into()], ..Config::default() };
    config.set_lan_interfaces("lo").unwrap();
    config
}

fn swarm() -> Swarm {
    Swarm::new(config(0)).unwrap()
}

/// A swarm on a port that was free a moment ago; another program may have taken it since.
fn swarm_on_port() -> (Swarm, u16) {
    loop {
        let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        match Swarm::new(config(port)) {
            Ok(swarm) => return (swarm, port),
            Err(e) => assert_eq!(e.code, Code::Permission, "{e}"),
        }
    }
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// The network threads of this process, by id. A new thread has its maker's name until it has one of its own.
fn network_threads() -> Vec<String> {
    let name = |path: &Path| fs::read_to_string(path.join("comm")).ok();
    let (me, own) = (fs::read_link("/proc/thread-self").unwrap(), name(Path::new("/proc/thread-self")));
    let tasks = fs::read_dir("/proc/self/task").unwrap().flatten();
    let others = tasks.filter(|task| Some(task.file_name().as_os_str()) != me.file_name());
    let ours = others.filter(|task| {
        let name = name(&task.path());
        name.is_some() && (name == own || name.is_some_and(|name| name.starts_with("setowire")))
    });
    ours.map(|task| task.file_name().into_string().unwrap()).collect()
}

/// Waits until it is true: a thread that was joined stays listed until the kernel has taken it down.
#[allow(clippy::disallowed_methods)]
fn becomes_true(what: &str, mut condition: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < DEADLINE, "{what}");
        std::thread::yield_now();
    }
}

/// The code of the last event; waits for it.
fn last_code(swarm: &Swarm) -> i32 {
    loop {
        assert!(swarm.events().wait(Some(DEADLINE)).unwrap(), "no event came");
        while let Some(record) = swarm.events().next().unwrap() {
            if record.kind == kind::CLOSED {
                return record.code;
            }
        }
    }
}

#[test]
fn a_thousand_swarms_leave_no_thread_and_no_descriptor() {
    let _alone = alone();
    swarm().shutdown();
    becomes_true("the first thread is left", || network_threads().is_empty());
    let before = descriptors();
    for round in 0..1_000 {
        let swarm = swarm();
        if round % 2 == 0 {
            swarm.shutdown();
        }
    }
    becomes_true("threads or descriptors are left", || network_threads().is_empty() && descriptors() == before);
}

#[test]
fn closing_under_traffic_ends_with_one_closed_event() {
    let _alone = alone();
    for _ in 0..20 {
        let (swarm, port) = swarm_on_port();
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for byte in 0..3u8 {
                let stop = &stop;
                scope.spawn(move || {
                    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
                    let datagram = vec![byte; 900 + usize::from(byte) * 20_000];
                    while !stop.load(Ordering::Relaxed) {
                        let _ = socket.send_to(&datagram, (Ipv4Addr::LOCALHOST, port));
                    }
                });
            }
            becomes_true("no datagram came in", || swarm.io_stats().received > 100);
            swarm.shutdown();
            stop.store(true, Ordering::Relaxed);
        });
        assert_eq!(last_code(&swarm), 0);
        assert!(swarm.events().next().unwrap().is_none());
        assert_eq!(swarm.join([1; 32], None, Modes::default()).unwrap_err().code, Code::Closed);
        swarm.shutdown();
    }
}

#[test]
fn signals_of_the_host_are_blocked_on_our_threads_but_faults_are_not() {
    let _alone = alone();
    let before = own_mask();
    let swarm = swarm();
    assert!(!network_threads().is_empty());
    for thread in network_threads() {
        let status = format!("/proc/self/task/{thread}/status");
        let bits = |signals: &[i32]| signals.iter().fold(0, |bits, signal| bits | 1u64 << (signal - 1));
        let host = bits(&[libc::SIGINT, libc::SIGTERM, libc::SIGCHLD, libc::SIGUSR1, libc::SIGALRM, libc::SIGPROF]);
        let faults = bits(&[libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL]);
        assert_eq!(mask(&status) & host, host, "a handler of the host could run on our thread");
        // The C library blocks everything while it sets the thread up.
        becomes_true("faults are blocked", || mask(&status) & faults == 0);
        assert_eq!(mask(&status) & host, host, "a handler of the host could run on our thread");
    }
    swarm.shutdown();
    assert_eq!(own_mask(), before, "the caller's mask changed");
}

fn own_mask() -> u64 {
    mask("/proc/thread-self/status")
}

fn mask(path: &str) -> u64 {
    let status = fs::read_to_string(path).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("SigBlk:")).unwrap();
    u64::from_str_radix(line.trim(), 16).unwrap()
}

#[test]
fn two_threads_may_shut_down_the_same_swarm() {
    let _alone = alone();
    let swarm = swarm();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                swarm.shutdown();
                assert!(swarm.events().closed());
            });
        }
    });
    becomes_true("the thread is left", || network_threads().is_empty());
}

#[test]
fn a_forked_child_lets_go_and_the_parent_goes_on() {
    let _alone = alone();
    let (swarm, port) = swarm_on_port();
    // SAFETY: the child only closes descriptors, takes no lock, allocates nothing and leaves with `_exit`.
    let child = unsafe { libc::fork() };
    if child == 0 {
        swarm.abandon();
        drop(swarm);
        // SAFETY: ends the child without running anything of the parent's.
        unsafe { libc::_exit(0) };
    }
    assert!(child > 0);
    let mut status = 0;
    // SAFETY: `child` is our child and `status` is a place for its status.
    becomes_true("the child hangs", || unsafe { libc::waitpid(child, &raw mut status, libc::WNOHANG) } == child);
    assert_eq!(status, 0);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let before = swarm.io_stats().received;
    socket.send_to(b"still here?", (Ipv4Addr::LOCALHOST, port)).unwrap();
    becomes_true("the parent's socket is dead", || swarm.io_stats().received > before);
    swarm.shutdown();
    assert_eq!(last_code(&swarm), 0);
}

#[test]
fn a_child_that_abandons_frees_the_ports_when_the_parent_is_gone() {
    let _alone = alone();
    let (swarm, port) = swarm_on_port();
    let mut pipe = [0; 2];
    // SAFETY: `pipe` has room for two descriptors.
    assert_eq!(unsafe { libc::pipe(pipe.as_mut_ptr()) }, 0);
    // SAFETY: as above; the child waits in `read` until the parent closes the pipe.
    let child = unsafe { libc::fork() };
    if child == 0 {
        swarm.abandon();
        let mut byte = 0u8;
        // SAFETY: closes the child's copy of the writing end, waits on the reading end, leaves.
        unsafe {
            libc::close(pipe[1]);
            libc::read(pipe[0], (&raw mut byte).cast(), 1);
            libc::_exit(0);
        }
    }
    assert!(child > 0);
    swarm.shutdown();
    becomes_true("the child holds the port", || UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok());
    let mut status = 0;
    // SAFETY: both ends are ours; `child` is our child.
    unsafe {
        libc::close(pipe[1]);
        assert_eq!(libc::waitpid(child, &raw mut status, 0), child);
        libc::close(pipe[0]);
    }
    assert_eq!(status, 0);
}
