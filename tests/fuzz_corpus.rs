//! Replays the fuzzers' corpus in the ordinary tests, and keeps the four places that
//! make up a fuzz target together: entry, target, its line in the fuzz crate, corpus.

#[path = "common/peak_alloc.rs"]
mod peak_alloc;

use peak_alloc::{PeakAlloc, peak_of};
use setowire::fuzz::{TARGETS, Target};
use setowire::wire::Frame;
use setowire::wire::v13::{Control, Datagram, Mesh, control, mesh, varint};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

#[global_allocator]
static ALLOC: PeakAlloc = PeakAlloc;

fn fuzz_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

/// The names in a directory, without what follows the last dot.
fn names(directory: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    entries
        .map(|entry| entry.expect("entry").path().file_stem().expect("name").to_string_lossy().into_owned())
        .collect()
}

#[test]
fn every_entry_has_a_target_and_a_corpus() {
    let entries: BTreeSet<String> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
    assert_eq!(entries.len(), TARGETS.len(), "a name is there twice");
    assert_eq!(names(&fuzz_dir().join("corpus")), entries);
    assert_eq!(names(&fuzz_dir().join("fuzz_targets")), entries);
    let manifest = fs::read_to_string(fuzz_dir().join("Cargo.toml")).expect("fuzz/Cargo.toml");
    for name in &entries {
        assert!(manifest.contains(&format!("[[bin]]\nname = \"{name}\"\npath = \"fuzz_targets/{name}.rs\"")), "{name}");
        let target =
            fs::read_to_string(fuzz_dir().join("fuzz_targets").join(name).with_extension("rs")).expect("target");
        assert!(target.contains(&format!("target!(\"{name}\")")), "{name}: calls another entry");
    }
}

#[test]
fn nothing_in_the_corpus_breaks_a_promise() {
    for Target { name, run, memory } in TARGETS {
        let mut inputs: Vec<PathBuf> = fs::read_dir(fuzz_dir().join("corpus").join(name))
            .unwrap_or_else(|error| panic!("fuzz/corpus/{name}: {error}"))
            .map(|file| file.expect("file").path())
            .collect();
        assert!(!inputs.is_empty(), "fuzz/corpus/{name} is empty");
        inputs.sort();
        println!("{name}: {} inputs", inputs.len());
        for path in inputs {
            let data = fs::read(&path).expect("readable");
            let call = || peak_of(|| run(&data));
            let held = std::panic::catch_unwind(call).unwrap_or_else(|_| panic!("{}: see above", path.display()));
            assert!(held <= memory(data.len()), "{}: held {held} bytes", path.display());
        }
    }
}

#[test]
fn reading_a_binary_frame_allocates_nothing() {
    let mut read = 0;
    for Target { name, .. } in TARGETS.iter().filter(|target| !["json", "stun", "dht", "cache"].contains(&target.name))
    {
        for file in fs::read_dir(fuzz_dir().join("corpus").join(name)).expect("corpus") {
            let data = fs::read(file.expect("file").path()).expect("readable");
            let held = peak_of(|| match Frame::decode(&data) {
                Ok(Frame::Batch(batch)) => read += batch.frames().count(),
                Ok(Frame::Have(have)) => read += have.keys().count(),
                Ok(Frame::Pex(pex)) => read += pex.entries().count(),
                Ok(Frame::IHave(ihave)) => read += ihave.hashes().count(),
                Ok(_) => read += 1,
                Err(_) => {}
            });
            assert_eq!(held, 0, "{name}: {data:02x?}");
        }
    }
    assert!(read > 300, "only {read} frames and entries were read");
}

#[test]
fn reading_a_frame_of_setowire_13_allocates_nothing() {
    let mut read = 0;
    for name in ["beacon13", "control", "mesh", "probe", "varint"] {
        for file in fs::read_dir(fuzz_dir().join("corpus").join(name)).expect("corpus") {
            let data = fs::read(file.expect("file").path()).expect("readable");
            let held = peak_of(|| {
                read += usize::from(Datagram::decode(&data).is_ok()) + usize::from(varint::decode(&data).is_some());
                let mut rest = &data[..];
                while let Ok(Some((frame, taken))) = control::next(rest) {
                    read += if let Control::Addrs(addrs) = frame { addrs.iter().count() } else { 1 };
                    rest = &rest[taken..];
                }
                let mut rest = &data[..];
                while let Ok(Some((frame, taken))) = mesh::next(rest) {
                    read += if let Mesh::Have(have) = frame { have.iter().count() } else { 1 };
                    rest = &rest[taken..];
                }
            });
            assert_eq!(held, 0, "{name}: {data:02x?}");
        }
    }
    assert!(read > 300, "only {read} frames and entries were read");
}

#[test]
fn the_allocator_sees_what_a_call_holds() {
    assert!((4_096..5_000).contains(&peak_of(|| drop(std::hint::black_box(vec![0u8; 4_096])))));
    assert!(peak_of(|| ()) < 64);
    let kept = std::cell::Cell::new(Vec::new());
    assert!(peak_of(|| kept.set(Vec::<u8>::with_capacity(1 << 20))) >= 1 << 20);
}

/// Scripts by chance, mostly of calls of the swarm layer between beacons, handshakes and time.
#[test]
fn calls_of_the_swarm_layer_in_any_order_break_no_promise() {
    let scripts = std::env::var("SETOWIRE_FUZZ_SCRIPTS").map_or(400, |text| text.parse().expect("a number"));
    for seed in 1..=scripts {
        let mut state = 0x9E37_79B9_7F4A_7C15u64.wrapping_mul(seed);
        let mut byte = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as u8
        };
        let mut script = Vec::new();
        for _ in 0..300 {
            // Calls, now and then time, a handshake of an old peer, its end, what the interfaces are.
            let kind = match byte() % 16 {
                0..9 => 17,
                9..12 => 2,
                12 => 11,
                13 => 12,
                14 => 6,
                _ => byte() % 16,
            };
            script.push(kind);
            script.extend((0..4).map(|_| byte()));
        }
        let outcome = std::panic::catch_unwind(|| setowire::fuzz::node::replay(&script));
        assert!(outcome.is_ok(), "script of seed {seed}");
    }
}
