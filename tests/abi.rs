//! The binary interface: symbols, layout and constants are those that were
//! committed, versions agree, every export is guarded and every export is tested.
//! A line that disappears is a break; `SETOWIRE_UPDATE_ABI=1` writes what is new.
#![cfg(target_os = "linux")]

#[allow(dead_code)]
#[path = "common/c.rs"]
mod c;

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::process::Command;

fn compare(name: &str, actual: &str) {
    let file = c::root().join("tests/abi").join(name);
    if std::env::var_os("SETOWIRE_UPDATE_ABI").is_some() {
        fs::write(&file, actual).expect("tests/abi is writable");
    }
    let committed = fs::read_to_string(&file).unwrap_or_default();
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<BTreeSet<_>>();
    let (before, now) = (lines(&committed), lines(actual));
    let gone: Vec<_> = before.difference(&now).collect();
    let new: Vec<_> = now.difference(&before).collect();
    assert!(gone.is_empty(), "{name}: the ABI lost {gone:#?}");
    assert!(new.is_empty(), "{name}: not committed: {new:#?} (SETOWIRE_UPDATE_ABI=1 cargo test --test abi)");
}

fn header() -> String {
    fs::read_to_string(c::root().join("include/setowire.h")).expect("the header is committed")
}

/// The functions that the library exports.
fn symbols() -> BTreeSet<String> {
    let listed = c::text_of(Command::new("nm").args(["-D", "--defined-only"]).arg(c::library()));
    listed.lines().filter_map(|line| line.split_whitespace().nth(2)).map(str::to_owned).collect()
}

#[test]
fn the_library_exports_what_was_committed_and_nothing_else() {
    let lines: String = symbols().iter().map(|symbol| format!("{symbol}\n")).collect();
    compare("symbols.txt", &lines);
    assert!(symbols().iter().all(|symbol| symbol.starts_with("setowire_")));
}

#[test]
fn sizes_offsets_and_constants_are_those_that_were_committed() {
    let folder = c::folder("layout");
    let source = folder.join("layout.c");
    fs::write(&source, layout_program(&header())).expect("the folder is writable");
    let program = c::program(&folder, &[&source]);
    let layout = c::text_of(&mut Command::new(program));
    compare("layout.txt", &layout);

    // The library copies these structs as bytes: no padding may be hidden in them.
    for name in [
        "setowire_swarm_details",
        "setowire_swarm_counters",
        "setowire_swarm_state_details",
        "setowire_topic_details",
        "setowire_peer_details",
    ] {
        let sizes = layout.lines().filter_map(|line| line.strip_prefix(&format!("sizeof {name} ")));
        let (fields, whole): (Vec<_>, Vec<_>) = sizes.partition(|rest| rest.contains(' '));
        let sum = fields.iter().map(|rest| rest.rsplit(' ').next().unwrap_or_default().parse::<usize>());
        assert_eq!(sum.sum::<Result<usize, _>>().ok(), whole.first().and_then(|n| n.parse().ok()), "{name}");
    }
}

/// A program that prints every constant and the layout of every struct of the header.
fn layout_program(header: &str) -> String {
    let mut body = String::new();
    let mut line = |text: &str| writeln!(body, "    {text}").expect("a string takes all");
    let mut fields = Vec::new();
    for text in header.lines().map(str::trim) {
        let words: Vec<&str> = text.split_whitespace().collect();
        match words[..] {
            ["#define", name, _, ..]
                if name.starts_with("SETOWIRE_") && !name.contains("API") && !name.contains('(') =>
            {
                line(&format!(r#"printf("{name} %lld\n", (long long)({name}));"#));
            }
            [.., field] if text.ends_with(';') && text.split('(').count() == 1 && !text.starts_with('}') => {
                fields.push(field.trim_end_matches(';').split('[').next().unwrap_or(field).to_owned());
            }
            ["}", name] if name.ends_with(';') => {
                let name = name.trim_end_matches(';');
                line(&format!(r#"printf("sizeof {name} %zu\n", sizeof({name}));"#));
                for field in fields.drain(..) {
                    line(&format!(r#"printf("offsetof {name} {field} %zu\n", offsetof({name}, {field}));"#));
                    line(&format!(r#"printf("sizeof {name} {field} %zu\n", sizeof(((({name} *)0)->{field})));"#));
                }
            }
            _ if text.starts_with("typedef struct") => fields.clear(),
            _ => {}
        }
    }
    format!("#include <setowire.h>\n#include <stdio.h>\n\nint main(void) {{\n{body}    return 0;\n}}\n")
}

#[test]
fn versions_agree() {
    let header = header();
    for (name, value) in [
        ("MAJOR", env!("CARGO_PKG_VERSION_MAJOR")),
        ("MINOR", env!("CARGO_PKG_VERSION_MINOR")),
        ("PATCH", env!("CARGO_PKG_VERSION_PATCH")),
    ] {
        assert!(header.contains(&format!("#define SETOWIRE_VERSION_{name} {value}\n")), "{name}");
    }
    // tests/c/null.c compares the functions with the macros.
    let soname = c::text_of(Command::new("readelf").arg("-d").arg(c::library()));
    let expected = format!("libsetowire.so.{}.{}", env!("CARGO_PKG_VERSION_MAJOR"), env!("CARGO_PKG_VERSION_MINOR"));
    assert!(soname.contains(&format!("[{expected}]")), "the SONAME is not {expected}");
    assert!(soname.contains("NODELETE"), "hosts could unload the library while its threads run");
}

#[test]
fn every_export_is_guarded_under_its_own_name() {
    let mut guarded = BTreeSet::new();
    for entry in fs::read_dir(c::root().join("src/ffi")).expect("src/ffi is readable") {
        let path = entry.expect("src/ffi is readable").path();
        let source = fs::read_to_string(&path).expect("sources are text");
        for export in source.split("#[unsafe(no_mangle)]").skip(1) {
            let name = export.split("fn ").nth(1).and_then(|rest| rest.split('(').next()).expect("a function follows");
            let body = export.split("\n}\n").next().expect("a body");
            let calls = [format!("guard(\"{name}\""), format!("guard_value(\"{name}\"")];
            assert!(calls.iter().any(|call| body.contains(call)), "{}: {name} has no guard", path.display());
            guarded.insert(name.to_owned());
        }
    }
    assert_eq!(guarded, symbols(), "what src/ffi exports is what the library exports");
}

#[test]
fn every_export_is_declared_documented_and_called_by_a_c_test() {
    let header = header();
    let (_, code) = header.split_once("extern \"C\" {").expect("declarations follow");
    let parts: Vec<&str> = code.split("SETOWIRE_API").collect();
    let declared: BTreeSet<String> = parts.windows(2).map(|pair| documented(pair[0], pair[1])).collect();
    assert_eq!(declared, symbols(), "what the header declares is what the library exports");
    for test in ["null.c", "only/panics.c"] {
        let text = fs::read_to_string(c::root().join("tests/c").join(test)).expect("the test exists");
        let words: BTreeSet<&str> = text.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
        let missing: Vec<_> = declared.iter().filter(|name| !words.contains(name.as_str())).collect();
        assert!(missing.is_empty(), "{test} does not call {missing:?}");
    }
}

/// The name of a declaration, whose docs end the text before it.
fn documented(before: &str, declaration: &str) -> String {
    let name = declaration.split('(').next().and_then(|text| text.split_whitespace().last()).expect("a function");
    let name = name.trim_start_matches('*');
    let docs = before.rsplit("/**").next().expect("there is text");
    assert!(docs.trim_end().ends_with("*/") && docs.contains("@since"), "{name}: no docs or no @since");
    name.to_owned()
}
