//! What every fuzz target shares: the entry of that name from the library, run under
//! an allocator that knows how much memory the call held.

pub use libfuzzer_sys;

#[path = "../../tests/common/peak_alloc.rs"]
pub mod peak_alloc;

#[global_allocator]
static ALLOC: peak_alloc::PeakAlloc = peak_alloc::PeakAlloc;

/// The library's entry with this name.
pub fn entry(name: &str) -> &'static setowire::fuzz::Target {
    let found = setowire::fuzz::TARGETS.iter().find(|target| target.name == name);
    found.unwrap_or_else(|| panic!("src/fuzz.rs has no entry {name}"))
}

/// Runs one input and holds it to its allowance of memory.
pub fn run(target: &setowire::fuzz::Target, data: &[u8]) {
    let held = peak_alloc::peak_of(|| (target.run)(data));
    assert!(held <= (target.memory)(data.len()), "{held} bytes of memory for {} bytes", data.len());
}

/// Makes a fuzz target of the entry with this name.
#[macro_export]
macro_rules! target {
    ($name:literal) => {
        static TARGET: std::sync::LazyLock<&setowire::fuzz::Target> = std::sync::LazyLock::new(|| $crate::entry($name));

        $crate::libfuzzer_sys::fuzz_target!(|data: &[u8]| $crate::run(*TARGET, data));
    };
}
