//! `setowire_version_*` and `setowire_abi_version`: what a program or a binding checks at load.

use super::guard::guard_value;
use std::ffi::{CStr, c_char};

/// Raised with every change that an existing program or binding would not survive.
pub const SETOWIRE_ABI_VERSION: u32 = 1;

const VERSION: &CStr = match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
    Ok(version) => version,
    Err(_) => panic!("a version has no zero byte"),
};

const NUMBER: u32 = part(env!("CARGO_PKG_VERSION_MAJOR")) << 16
    | part(env!("CARGO_PKG_VERSION_MINOR")) << 8
    | part(env!("CARGO_PKG_VERSION_PATCH"));

/// The version of the library that is loaded, to be compared with SETOWIRE_VERSION_NUMBER.
///
/// @return Major * 65536 + minor * 256 + patch; 0 if a bug was caught.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub extern "C" fn setowire_version_number() -> u32 {
    guard_value("setowire_version_number", 0, || NUMBER)
}

/// The version of the library that is loaded, as text.
///
/// @return Such as "0.1.0"; always valid and never NULL.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub extern "C" fn setowire_version_string() -> *const c_char {
    guard_value("setowire_version_string", VERSION, || VERSION).as_ptr()
}

/// The number of the binary interface. A program or binding made for another one must not go on.
///
/// @return SETOWIRE_ABI_VERSION of the library that is loaded; 0 if a bug was caught.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub extern "C" fn setowire_abi_version() -> u32 {
    guard_value("setowire_abi_version", 0, || SETOWIRE_ABI_VERSION)
}

const fn part(text: &str) -> u32 {
    match u32::from_str_radix(text, 10) {
        Ok(number) if number < 256 => number,
        _ => panic!("a part of the version does not fit into eight bits"),
    }
}
