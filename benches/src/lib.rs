//! What the measuring programs share: time windows, processor time, percentiles, one line of JSON.
//!
//! A program measures one thing, prints one JSON object of numbers and ends; `run.py` calls
//! the programs in turns and compares them.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Socket buffers asked for, bytes: what the library asks for.
pub const SOCKET_BUFFER: usize = 4 << 20;
/// Traffic before the window begins: windows of flow and congestion control have opened by then.
pub const WARM_UP: Duration = Duration::from_millis(300);

/// Seconds of processor time of this process, all threads, user and system.
pub fn processor_seconds() -> f64 {
    // SAFETY: a struct of numbers that the call fills.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &raw mut usage);
        usage
    };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}

/// KiB of memory that is resident now.
pub fn resident_kib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok()).expect("VmRSS in /proc/self/status")
}

/// What a counter did in a window of time.
pub struct Counted {
    pub count: f64,
    pub seconds: f64,
    pub processor: f64,
}

impl Counted {
    /// Lets traffic warm up, then watches `counter` for a while.
    pub fn watch(counter: &AtomicU64, seconds: f64) -> Counted {
        sleep(WARM_UP);
        let (count, begin, processor) = (counter.load(Relaxed), Instant::now(), processor_seconds());
        sleep(Duration::from_secs_f64(seconds));
        let count = counter.load(Relaxed) - count;
        assert!(count > 0, "nothing arrived in the window");
        Counted {
            count: count as f64,
            seconds: begin.elapsed().as_secs_f64(),
            processor: processor_seconds() - processor,
        }
    }

    pub fn per_second(&self) -> f64 {
        self.count / self.seconds
    }

    /// The numbers of a transfer whose counter counts bytes.
    pub fn bulk(&self) -> Vec<(&'static str, f64)> {
        vec![("mb_per_s", self.per_second() / 1e6), ("cpu_s_per_gb", self.processor / self.count * 1e9)]
    }

    /// The numbers of something that comes one by one.
    pub fn each(&self) -> Vec<(&'static str, f64)> {
        vec![("per_s", self.per_second()), ("cpu_us", self.processor / self.count * 1e6)]
    }
}

/// Median and 99th percentile of durations, in microseconds.
pub fn percentiles(mut times: Vec<Duration>) -> Vec<(&'static str, f64)> {
    times.sort_unstable();
    let at = |share: f64| {
        let place = (times.len() as f64 * share) as usize;
        times.get(place).map_or(f64::NAN, |time| time.as_secs_f64() * 1e6)
    };
    vec![("p50_us", at(0.5)), ("p99_us", at(0.99))]
}

/// Prints the numbers as one JSON object and ends the program, whatever its other threads do.
pub fn report(numbers: &[(&str, f64)]) -> ! {
    let mut line = String::from("{");
    for (at, (name, value)) in numbers.iter().enumerate() {
        let comma = if at == 0 { "" } else { ", " };
        write!(line, "{comma}\"{name}\": {value:.3}").expect("writing to a String");
    }
    println!("{line}}}");
    std::process::exit(0)
}
