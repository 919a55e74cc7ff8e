//! Builds and runs C programs against the shared library of this build.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The top of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The shared library that cargo built beside this test.
pub fn library() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    let library = test.parent().expect("a test is in a folder").join("libsetowire.so");
    assert!(library.is_file(), "{} does not exist: cargo builds it with the crate", library.display());
    library
}

/// An empty folder for a test's files.
pub fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("the target folder is writable");
    folder
}

/// Runs a command and returns what it wrote; it must succeed.
pub fn succeed(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?} does not start: {e}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} failed ({}):\n{errors}", output.status);
    output
}

/// What a command that succeeds writes to its standard output.
pub fn text_of(command: &mut Command) -> String {
    String::from_utf8(succeed(command).stdout).expect("the output is UTF-8")
}

/// Compiles a C program in `folder`, links it with the library and returns its path.
pub fn program(folder: &Path, source: &Path) -> PathBuf {
    let soname = format!("libsetowire.so.{}.{}", env!("CARGO_PKG_VERSION_MAJOR"), env!("CARGO_PKG_VERSION_MINOR"));
    for name in ["libsetowire.so", &soname] {
        let link = folder.join(name);
        let _ = std::fs::remove_file(&link);
        std::os::unix::fs::symlink(library(), &link).expect("links can be made");
    }
    let program = folder.join(source.file_stem().expect("a source has a name"));
    succeed(
        Command::new("cc")
            .args(["-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-g"])
            .arg("-I")
            .arg(root().join("include"))
            .arg(source)
            .arg("-o")
            .arg(&program)
            .arg("-L")
            .arg(folder)
            .args(["-lsetowire", "-pthread"])
            .arg(format!("-Wl,-rpath,{}", folder.display())),
    );
    program
}
