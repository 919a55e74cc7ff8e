//! Resident memory per idle connection, on the dialling side (this process) and the accepting one (a child).

use super::tls::{self, Setup};
use super::{listen, local};
use setowire_benches::{report, resident_kib};
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread::spawn;
use std::time::Duration;

/// Connections before the first reading, so that buffers and tables are there, and those that are measured.
const WARM_UP: usize = 20;
const CONNECTIONS: usize = 500;
/// Handshakes have let go of their state by then.
const SETTLE: Duration = Duration::from_millis(1_000);

pub fn measure(setup: Setup, cipher: &str, packet: &str) -> ! {
    let program = std::env::current_exe().expect("the path of this program");
    let mut child = Command::new(program)
        .args(["memory-acceptor", cipher, packet, "0"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a second process");
    let (mut ask, answers) = (child.stdin.take().expect("a pipe"), child.stdout.take().expect("a pipe"));
    let mut answers = BufReader::new(answers).lines();
    let mut answer = move || answers.next().expect("an answer of the acceptor").expect("a line of text");
    let to: SocketAddr = answer().parse().expect("an address");
    let mut resident = move || {
        writeln!(ask, "resident").expect("an acceptor that listens");
        (resident_kib(), answer().parse::<f64>().expect("a number"))
    };
    let (before, after) = local(async move {
        let endpoint = tls::endpoint(setup);
        let mut connections = Vec::new();
        let mut readings = Vec::new();
        for count in [WARM_UP, CONNECTIONS] {
            for _ in 0..count {
                let connecting = endpoint.connect(to, "bench").expect("a valid address");
                connections.push(connecting.await.expect("a handshake"));
            }
            tokio::time::sleep(SETTLE).await;
            readings.push(resident());
        }
        (readings[0], readings[1])
    });
    let each = |before: f64, after: f64| (after - before) / CONNECTIONS as f64;
    child.kill().expect("a child that runs");
    child.wait().expect("a child that ended");
    report(&[("dialler_kib", each(before.0, after.0)), ("acceptor_kib", each(before.1, after.1))])
}

/// The child: prints its address, and for every line its resident memory.
pub fn acceptor(setup: Setup) {
    let (address, at) = mpsc::channel();
    spawn(move || {
        local(async move {
            let endpoint = listen(setup, &address);
            let mut connections = Vec::new();
            while let Some(incoming) = endpoint.accept().await {
                connections.push(incoming.await.expect("a handshake"));
            }
        });
    });
    println!("{}", at.recv().expect("an endpoint"));
    for _ in std::io::stdin().lock().lines() {
        println!("{}", resident_kib());
    }
}
