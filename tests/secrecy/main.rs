//! Forward secrecy: what a recorded session gives to somebody who steals the long-term keys later.
//!
//! Two nodes talk, a watcher records (`record`). A decryptor that shares no code with the library
//! (`schedule`, `packets`, `frames`, `capture`) opens a v12 session with the two seeds (`v12`) and a modern one
//! with its key log, but not the modern one with all that the seeds give (`modern`, `stolen`); it
//! would open one whose key exchange used long-term keys (`weak`). And what somebody reaches who ends all
//! connections himself, with a key of his own (`middle`). The tests of `modern` need the feature `key-log`; without it they are built and run as a program of their own.

#![cfg_attr(not(feature = "key-log"), allow(dead_code, reason = "some of it only serves tests that need the key log"))]

mod capture;
mod frames;
mod middle;
#[cfg(feature = "key-log")]
mod modern;
mod network;
mod packets;
mod record;
mod schedule;
mod stolen;
mod v12;
mod weak;

use std::path::Path;
use std::process::Command;

/// Bytes of hexadecimal digits.
fn unhex(text: &str) -> Vec<u8> {
    let digits = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal digits");
    (0..text.len()).step_by(2).map(digits).collect()
}

fn succeed(command: &mut Command) -> String {
    let output = command.output().expect("it starts");
    let [said, errors] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    assert!(output.status.success(), "{command:?}: {}\n{said}\n{errors}", output.status);
    said
}

/// Its library is not the one that is shipped, so it is built elsewhere; with dependencies that are built fast, once for
/// all tests that need another library.
#[cfg(not(feature = "key-log"))]
#[test]
fn with_the_key_log() {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("features");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(env!("CARGO_MANIFEST_DIR")).args(["test", "--locked", "--offline", "-q", "--test", "secrecy"]);
    cargo.args(["--config", "profile.dev.package.\"*\".opt-level=0", "--config", "profile.dev.debug=false"]);
    cargo.args(["--features", "key-log", "--target-dir"]).arg(&target);
    let said = succeed(cargo.env_remove("CARGO_TARGET_DIR").env_remove("RUSTFLAGS").args(["--", "modern::"]));
    assert!(said.contains("5 passed"), "{said}");
}

/// Where TLS libraries of other programs would write their keys, ours writes nothing.
#[test]
fn no_key_log_is_written_to_a_file() {
    const VARIABLE: &str = "SSLKEYLOGFILE";
    if std::env::var_os(VARIABLE).is_some() {
        let pair = record::Pair::connected(setowire::config::Cipher::ChaCha20, true);
        return assert_eq!(pair.info(0).session, setowire::node::Session::Quic);
    }
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("keys-{}.txt", std::process::id()));
    let test = std::env::current_exe().expect("a test knows its own path");
    let again = succeed(Command::new(test).args(["--exact", "no_key_log_is_written_to_a_file"]).env(VARIABLE, &file));
    assert!(again.contains("1 passed"), "{again}");
    assert!(!file.exists(), "{} was written", file.display());
}
