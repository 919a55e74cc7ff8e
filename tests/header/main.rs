//! The header: what the source says is what is committed, both languages take it
//! without a warning, and the program in its opening comment works.
#![cfg(target_os = "linux")]

#[allow(dead_code)]
#[path = "../common/c.rs"]
mod c;
mod generator;

use std::fs;
use std::process::Command;

fn generated() -> String {
    generator::header(c::root())
}

#[test]
fn the_committed_header_is_the_generated_one() {
    let committed = c::root().join("include/setowire.h");
    let generated = generated();
    if std::env::var_os("SETOWIRE_UPDATE_HEADER").is_some() {
        fs::write(&committed, &generated).expect("include/ is writable");
    }
    let same = fs::read_to_string(&committed).is_ok_and(|text| text == generated);
    assert!(same, "include/setowire.h is out of date; SETOWIRE_UPDATE_HEADER=1 cargo test --test header writes it");
}

#[test]
fn both_languages_take_it_without_a_warning() {
    let folder = c::folder("header");
    let source = "#include <setowire.h>\n#include <setowire.h>\nint main(void) { return 0; }\n";
    for (compiler, language, standard) in [("cc", "c", "c11"), ("c++", "c++", "c++17")] {
        let file = folder.join(format!("only.{language}"));
        fs::write(&file, source).expect("the folder is writable");
        c::succeed(
            Command::new(compiler)
                .args(["-x", language, &format!("-std={standard}")])
                .args(["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only", "-I"])
                .arg(c::root().join("include"))
                .arg(&file),
        );
    }
}

/// The lines of the opening comment that are indented like code.
fn opening_program() -> String {
    let header = generated();
    let comment = header.split("*/").next().expect("the header has a comment");
    let lines: Vec<&str> = comment.lines().map(|line| line.strip_prefix(" *").unwrap_or_default()).collect();
    let begin = lines.iter().position(|line| line.starts_with("     #include")).expect("it has a program");
    let end = lines.iter().rposition(|line| *line == "     }").expect("the program ends");
    lines[begin..=end].iter().map(|line| format!("{}\n", line.strip_prefix("     ").unwrap_or(line))).collect()
}

#[test]
fn the_program_of_the_opening_comment_meets_another() {
    let folder = c::folder("opening");
    let source = folder.join("opening.c");
    let text = opening_program();
    assert!((30..=45).contains(&text.lines().count()), "a program to read at once, not {} lines", text.lines().count());
    fs::write(&source, text).expect("the folder is writable");
    let program = c::program(&folder, &[&source]);
    let start = || c::Running::start(Command::new(&program).arg("lo"));
    let mut programs = [start(), start()];
    for program in &programs {
        assert!(program.line_with("met peer").starts_with("met peer 1: {"));
        while program.next_line() != "peer 1 says hello" {}
    }
    for program in &mut programs {
        program.end();
    }
}
