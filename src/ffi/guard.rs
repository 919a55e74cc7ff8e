//! The boundary: runs the body of an export, turns errors and panics into numbers,
//! and keeps the text of the last error of each thread.
//!
//! In: a body that returns a `Result`. Out: 0 or a count, or a negative code whose
//! text `setowire_last_error_message` gives.
//! Invariants: a panic never leaves; a success leaves the last error alone; the
//! application's panic hook is not touched.

use crate::error::{Code, Error, Result};
use crate::log;
use crate::node::Level;
use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    static LAST: RefCell<String> = const { RefCell::new(String::new()) };
}

/// The guard of an export that returns a code: `name` is the function's own name.
pub fn guard(name: &str, body: impl FnOnce() -> Result<i32>) -> i32 {
    let result = catch(name, body).unwrap_or_else(Err);
    result.unwrap_or_else(|error| {
        let code = error.code as i32;
        remember(error);
        code
    })
}

/// The guard of an export that returns a value; `fallback` is what the header promises on failure.
pub fn guard_value<T>(name: &str, fallback: T, body: impl FnOnce() -> T) -> T {
    catch(name, body).unwrap_or_else(|error| {
        remember(error);
        fallback
    })
}

/// The text of the last error on this thread.
pub fn last_error() -> String {
    // A thread that is ending has no last error any more.
    LAST.try_with(|last| last.borrow().clone()).unwrap_or_default()
}

fn remember(error: Error) {
    let _ = LAST.try_with(|last| *last.borrow_mut() = error.detail);
}

fn catch<T>(name: &str, body: impl FnOnce() -> T) -> Result<T> {
    let body = || {
        #[cfg(feature = "panic-injection")]
        inject(name);
        body()
    };
    catch_unwind(AssertUnwindSafe(body)).map_err(|payload| {
        let text = format!("{name}: a bug of the library was caught: {}", message(&*payload));
        // Dropping a foreign payload could panic again.
        std::mem::forget(payload);
        log::write(Level::Error, &text);
        Error::new(Code::Panic, text)
    })
}

fn message(payload: &(dyn Any + Send)) -> &str {
    match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
        (Some(text), _) => text,
        (_, Some(text)) => text,
        _ => "no message",
    }
}

/// For tests: panics in the function that the environment names.
#[cfg(feature = "panic-injection")]
pub fn inject(place: &str) {
    if std::env::var_os("SETOWIRE_PANIC_IN").is_some_and(|name| name == place) {
        panic!("injected");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_and_panics_become_codes_and_text() {
        assert_eq!(guard("f", || Ok(3)), 3);
        assert_eq!(guard("f", || Err(Error::invalid("cap: 0"))), Code::Invalid as i32);
        assert_eq!(last_error(), "cap: 0");
        assert_eq!(guard("f", || Ok(0)), 0);
        assert_eq!(last_error(), "cap: 0");
        assert_eq!(guard("f", || panic!("number {}", 7)), Code::Panic as i32);
        assert_eq!(last_error(), "f: a bug of the library was caught: number 7");
        assert_eq!(guard_value("g", 5, || panic!("constant")), 5);
        assert_eq!(last_error(), "g: a bug of the library was caught: constant");
    }
}
