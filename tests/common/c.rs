//! Builds and runs C programs against the shared library of this build.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

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

/// Compiles a C program in `folder`, links it with the library and returns its path. It has the name of its first
/// source.
pub fn program(folder: &Path, sources: &[&Path]) -> PathBuf {
    let soname = format!("libsetowire.so.{}.{}", env!("CARGO_PKG_VERSION_MAJOR"), env!("CARGO_PKG_VERSION_MINOR"));
    for name in ["libsetowire.so", &soname] {
        let link = folder.join(name);
        let _ = std::fs::remove_file(&link);
        std::os::unix::fs::symlink(library(), &link).expect("links can be made");
    }
    let program = folder.join(sources[0].file_stem().expect("a source has a name"));
    succeed(
        Command::new("cc")
            .args(["-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-g"])
            .arg("-I")
            .arg(root().join("include"))
            .args(sources)
            .arg("-o")
            .arg(&program)
            .arg("-L")
            .arg(folder)
            .args(["-lsetowire", "-pthread"])
            .arg(format!("-Wl,-rpath,{}", folder.display())),
    );
    program
}

/// A program, its lines as they come, and its end with the test.
pub struct Running {
    child: Child,
    lines: Receiver<String>,
}

impl Running {
    pub fn start(command: &mut Command) -> Running {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        let (lines_in, lines) = channel();
        std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| lines_in.send(line)));
        Running { child, lines }
    }

    pub fn next_line(&self) -> String {
        self.lines.recv_timeout(Duration::from_secs(60)).expect("a line comes within a minute")
    }

    /// The next line that contains `text`; those before it are skipped.
    pub fn line_with(&self, text: &str) -> String {
        loop {
            let line = self.next_line();
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Types a line.
    pub fn say(&mut self, line: &str) {
        writeln!(self.child.stdin.as_mut().expect("its input is open"), "{line}").expect("it reads");
    }

    /// Ends its input; it must then end without an error.
    pub fn end(&mut self) {
        drop(self.child.stdin.take());
        assert_eq!(self.child.wait().expect("it ends").code(), Some(0));
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
