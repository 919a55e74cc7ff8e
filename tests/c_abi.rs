//! Runs the C tests, each a program of its own: against the library of this build,
//! and the panics against one that is built to panic.
#![cfg(target_os = "linux")]

#[allow(dead_code)]
#[path = "common/c.rs"]
mod c;

use std::path::Path;
use std::process::Command;

fn run(name: &str) {
    run_with(name, &c::library());
}

fn run_with(name: &str, library: &Path) {
    c::succeed(Command::new(c::root().join("tests/c/run.sh")).arg(name).env("SETOWIRE_LIBRARY", library));
}

#[test]
fn null_and_wrong_values_everywhere() {
    run("null");
}

#[test]
fn every_order_of_beginning_and_ending() {
    run("life_cycle");
}

#[test]
fn user_data_is_destroyed_once_and_not_used_after() {
    run("user_data");
}

#[test]
fn operations_complete_exactly_once() {
    run("completions");
}

#[test]
fn children_of_fork() {
    run("forks");
}

#[test]
fn a_full_queue_holds_the_sender_back() {
    run("overflow");
}

#[test]
fn without_streams_with_few_descriptors_a_thousand_swarms() {
    run("hardship");
}

#[test]
fn many_messages_in_one_call() {
    run("many");
}

#[test]
fn streams_both_ways_and_every_end_of_them() {
    run("streams");
}

#[test]
fn datagrams() {
    run("datagrams");
}

#[test]
fn places_are_not_exceeded() {
    run("places");
}

#[test]
fn keys_and_private_topics() {
    run("keys");
}

#[test]
fn topics_peers_by_key_and_the_firewall() {
    run("swarm");
}

#[test]
fn the_program_as_a_source_of_peers() {
    run("source");
}

#[test]
fn the_process_ends_under_traffic() {
    run("exits");
}

#[test]
fn reading_without_a_callback() {
    run("forms");
}

#[test]
fn the_log_callback() {
    run("logs");
}

#[test]
fn eight_threads_call_everything() {
    run("stress");
}

#[test]
fn eight_threads_decide_everything() {
    run("crowd");
}

#[test]
fn a_panic_in_every_export() {
    // Apart from the usual target folder, where it would replace the library of the other tests. With dependencies that are
    // built fast, once for all tests that need another library.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("features");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(c::root()).args(["build", "--locked", "--offline", "-q", "--lib"]);
    cargo.args(["--config", "profile.dev.package.\"*\".opt-level=0", "--config", "profile.dev.debug=false"]);
    cargo.args(["--features", "panic-injection", "--target-dir"]).arg(&target);
    c::succeed(cargo.env_remove("CARGO_TARGET_DIR").env_remove("RUSTFLAGS"));
    run_with("only/panics", &target.join("debug/libsetowire.so"));
}

#[test]
fn every_c_test_is_run_here() {
    let source = std::fs::read_to_string(c::root().join("tests/c_abi.rs")).expect("this file is text");
    for entry in std::fs::read_dir(c::root().join("tests/c")).expect("tests/c is readable") {
        let path = entry.expect("tests/c is readable").path();
        if path.extension().is_some_and(|extension| extension == "c") {
            let name = path.file_stem().and_then(|name| name.to_str()).expect("names are text");
            assert!(source.contains(&format!("run(\"{name}\")")), "{name}.c is not run");
        }
    }
}
