//! The text of `include/setowire.h`, made from the source.
//!
//! cbindgen turns the files of `src/ffi` into declarations, one file at a time, so that the header has an order that
//! reads from top to bottom. It is done here and not when the library is built: who builds the library has the header.

use std::fmt::Write;
use std::fs;
use std::path::Path;

/// The parts of the header in reading order: the file and its headline.
const PARTS: [(&str, &str); 15] = [
    ("error", "Errors"),
    ("types", "Types"),
    ("constants", "Constants: kinds of events and what they carry, flags, numbers"),
    ("config", "Config: the settings of a swarm"),
    ("swarm", "Swarm: making, closing, callbacks, connecting, broadcasting"),
    ("manage", "Swarm: listening, suspending, what it does now, the firewall"),
    ("topic", "Topics"),
    ("discovery", "Topics: client and server, rounds of discovery, look-ups"),
    ("source", "Sources of peers that the application brings"),
    ("known", "Peers by key: keeping, banning, what is known of them"),
    ("peer", "Peers: sending, and what is known of them"),
    ("stream", "Streams: bytes to and from one peer"),
    ("event", "Events: looking at them, and reading the queue without a callback"),
    ("log", "Process: log lines"),
    ("process", "Process: versions"),
];

/// The whole header of the project in this folder.
pub fn header(root: &Path) -> String {
    let intro = fs::read_to_string(root.join("src/ffi/intro.md")).expect("src/ffi/intro.md is readable");
    let mut text = comment(&intro);
    text += "\n#ifndef SETOWIRE_H\n#define SETOWIRE_H\n\n";
    text += "#include <stdbool.h>\n#include <stddef.h>\n#include <stdint.h>\n\n";
    text += "#if defined(_WIN32)\n#define SETOWIRE_API __declspec(dllimport)\n#elif defined(__GNUC__)\n";
    text += "#define SETOWIRE_API __attribute__((visibility(\"default\")))\n#else\n#define SETOWIRE_API\n#endif\n\n";
    text += "/** The version of this header. */\n";
    for (name, part) in [
        ("MAJOR", env!("CARGO_PKG_VERSION_MAJOR")),
        ("MINOR", env!("CARGO_PKG_VERSION_MINOR")),
        ("PATCH", env!("CARGO_PKG_VERSION_PATCH")),
    ] {
        writeln!(text, "#define SETOWIRE_VERSION_{name} {part}").expect("a string takes all");
    }
    text += "/** To be compared with setowire_version_number(). */\n#define SETOWIRE_VERSION_NUMBER \\\n";
    text += "    (SETOWIRE_VERSION_MAJOR * 65536 + SETOWIRE_VERSION_MINOR * 256 + SETOWIRE_VERSION_PATCH)\n\n";
    text +=
        "/** The bit of a kind of event in a mask. */\n#define SETOWIRE_EVENT_BIT(kind) (UINT64_C(1) << (kind))\n\n";
    text += "#ifdef __cplusplus\nextern \"C\" {\n#endif\n";
    for (file, title) in PARTS {
        let rule = "-".repeat(100_usize.saturating_sub(title.len()));
        write!(text, "\n/* ---- {title} {rule} */\n\n{}", declarations(root, file)).expect("a string takes all");
    }
    text += "\n#ifdef __cplusplus\n}\n#endif\n\n#endif /* SETOWIRE_H */\n";
    text
}

/// The opening comment; a fenced program is indented.
fn comment(markdown: &str) -> String {
    let mut text = String::from("/*\n");
    let mut code = false;
    for line in markdown.lines() {
        if line.starts_with("```") {
            code = !code;
            continue;
        }
        let indent = if code { "    " } else { "" };
        text += format!(" * {indent}{line}").trim_end();
        text.push('\n');
    }
    text + " */\n"
}

/// What one file declares, as cbindgen writes it but for negative constants, which get parentheses, and `isize`,
/// which is the `intptr_t` of a descriptor and not a difference of pointers.
fn declarations(root: &Path, file: &str) -> String {
    let config = cbindgen::Config::from_file(root.join("cbindgen.toml")).expect("cbindgen.toml is readable");
    let mut bytes = Vec::new();
    cbindgen::Builder::new()
        .with_config(config)
        .with_src(root.join("src/ffi").join(file).with_extension("rs"))
        .generate()
        .expect("src/ffi makes a header")
        .write(&mut bytes);
    let written = String::from_utf8(bytes).expect("cbindgen writes UTF-8");
    let mut text = String::new();
    for line in one_line_comments(written.trim()).replace("ptrdiff_t", "intptr_t").lines() {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["#define", name, value] if value.starts_with('-') => text += &format!("#define {name} ({value})"),
            _ => text += line,
        }
        text.push('\n');
    }
    text
}

/// Puts a comment of one line into one line.
fn one_line_comments(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let mut out = String::new();
    let mut rest = &lines[..];
    while let [line, tail @ ..] = rest {
        let indent = &line[..line.len() - line.trim_start().len()];
        match tail {
            [body, end, tail @ ..] if line.trim() == "/**" && end.trim() == "*/" => {
                let body = body.trim().trim_start_matches("* ");
                out += &format!("{indent}/** {body} */\n");
                rest = tail;
            }
            _ => {
                out += line;
                out.push('\n');
                rest = tail;
            }
        }
    }
    out
}
