//! The pointer that an application registers with a function, and its destructor.
//!
//! In: `user_data` and `destroy`. Out: the pointer, for the function's last parameter.
//! Invariants: the library never follows the pointer; `destroy` is called exactly
//! once, after the last call that could use it, also when the registration fails.

use std::ffi::c_void;

/// Called when the library will not use `user_data` any more.
pub type Destroy = Option<unsafe extern "C" fn(user_data: *mut c_void)>;

pub struct UserData {
    pointer: *mut c_void,
    destroy: Destroy,
}

// SAFETY: the header requires that `user_data` and `destroy` may be used from any thread; calls never overlap.
unsafe impl Send for UserData {}
// SAFETY: as above.
unsafe impl Sync for UserData {}

impl UserData {
    pub fn new(pointer: *mut c_void, destroy: Destroy) -> UserData {
        UserData { pointer, destroy }
    }

    pub fn pointer(&self) -> *mut c_void {
        self.pointer
    }
}

impl Drop for UserData {
    fn drop(&mut self) {
        if let Some(destroy) = self.destroy {
            // SAFETY: the header requires a function of this type that may be called with this pointer.
            unsafe { destroy(self.pointer) };
        }
    }
}
