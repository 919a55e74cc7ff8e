//! Every vector in this directory, against our own code.
//!
//! Those of p2p-v12 were produced by the old implementations (README.md says how), those of
//! setowire/13 by a program that shares nothing with the library. One test per file. A file, a vector or an expected field that
//! no check here reads fails the test, so that nothing is passed over in silence.

mod crypto;
mod frames;
#[path = "../common/old_hash.rs"]
mod old_hash;
mod text;
mod v13;
mod v13_keys;

use serde_json::Value;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::PathBuf;

type Check = fn(&Vector);

/// The files, and what checks a vector of each.
const FILES: &[(&str, Check)] = &[
    ("batch", frames::batch),
    ("captured", crypto::captured),
    ("data", crypto::data),
    ("dht", text::dht),
    ("frag", frames::frag),
    ("handshake", frames::handshake),
    ("hash", frames::hash),
    ("identity", crypto::identity),
    ("json", text::json),
    ("lan", frames::lan),
    ("pex", frames::pex),
    ("ping", frames::ping),
    ("relay", frames::relay),
    ("session", crypto::session),
    ("stun", text::stun),
    ("sync", frames::sync),
    ("topic", text::topic),
    ("v13_announce", v13_keys::v13_announce),
    ("v13_certificate", v13_keys::v13_certificate),
    ("v13_control", v13::v13_control),
    ("v13_datagrams", v13::v13_datagrams),
    ("v13_legacy", v13_keys::v13_legacy),
    ("v13_mesh", v13::v13_mesh),
    ("v13_path", v13_keys::v13_path),
    ("v13_probe", v13_keys::v13_probe),
    ("v13_topic", v13_keys::v13_topic),
    ("v13_varint", v13::v13_varint),
];

/// One vector; remembers which expected fields were read.
pub struct Vector {
    pub name: String,
    inputs: Value,
    pub expected: Value,
    unread: RefCell<BTreeSet<String>>,
}

impl Vector {
    pub fn input(&self, field: &str) -> &Value {
        self.inputs.get(field).unwrap_or_else(|| panic!("{}: no input {field}", self.name))
    }

    pub fn text(&self, field: &str) -> &str {
        self.input(field).as_str().unwrap_or_else(|| panic!("{}: {field} is not text", self.name))
    }

    pub fn number(&self, field: &str) -> u64 {
        self.input(field).as_u64().unwrap_or_else(|| panic!("{}: {field} is not a number", self.name))
    }

    pub fn bytes(&self, field: &str) -> Vec<u8> {
        unhex(self.text(field))
    }

    /// An expected field; counts as checked.
    pub fn want(&self, field: &str) -> &Value {
        self.unread.borrow_mut().remove(field);
        self.expected.get(field).unwrap_or_else(|| panic!("{}: expects no {field}", self.name))
    }

    /// An expected field of hex text.
    pub fn want_bytes(&self, field: &str) -> Vec<u8> {
        unhex(self.want(field).as_str().unwrap_or_else(|| panic!("{}: {field} is not text", self.name)))
    }

    /// A remark for readers, with nothing to check in it.
    pub fn remark(&self) {
        self.unread.borrow_mut().remove("note");
    }
}

/// The bytes of hex text of any length.
pub fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.chars().map(|digit| digit.to_digit(16).expect("hex digit") as u8).collect();
    assert_eq!(digits.len() % 2, 0, "{text}");
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

pub fn unhex_array<const N: usize>(text: &str) -> [u8; N] {
    unhex(text).try_into().unwrap_or_else(|_| panic!("not {N} bytes: {text}"))
}

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors")
}

fn check(file: &str) {
    let (_, check) = FILES.iter().find(|(name, _)| *name == file).expect("in FILES");
    let text = std::fs::read(directory().join(file).with_extension("json")).expect("readable");
    let json: Value = serde_json::from_slice(&text).expect("JSON");
    let vectors = json["vectors"].as_array().expect("vectors");
    assert!(!vectors.is_empty());
    for vector in vectors {
        let expected = vector["expected"].clone();
        let fields = expected.as_object().map(|fields| fields.keys().cloned().collect()).unwrap_or_default();
        let vector = Vector {
            name: vector["name"].as_str().expect("name").to_owned(),
            inputs: vector["inputs"].clone(),
            expected,
            unread: RefCell::new(fields),
        };
        println!("{file}: {}", vector.name);
        check(&vector);
        let unread = vector.unread.into_inner();
        assert!(unread.is_empty(), "{}: nothing checks {unread:?}", vector.name);
    }
}

#[test]
fn every_file_has_a_check() {
    let mut found: Vec<String> = std::fs::read_dir(directory())
        .expect("readable")
        .map(|entry| entry.expect("entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .map(|path| path.file_stem().expect("name").to_string_lossy().into_owned())
        .collect();
    found.sort();
    let known: Vec<&str> = FILES.iter().map(|(name, _)| *name).collect();
    assert_eq!(found, known);
}

macro_rules! one_test_per_file {
    ($($file:ident)*) => {
        $(#[test]
        fn $file() {
            check(stringify!($file));
        })*

        #[test]
        fn every_check_has_a_test() {
            let tests = [$(stringify!($file)),*];
            assert_eq!(tests.to_vec(), FILES.iter().map(|(name, _)| *name).collect::<Vec<_>>());
        }
    };
}

one_test_per_file!(batch captured data dht frag handshake hash identity json lan pex ping relay session stun sync topic v13_announce v13_certificate v13_control v13_datagrams v13_legacy v13_mesh v13_path v13_probe v13_topic v13_varint);
