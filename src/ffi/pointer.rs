//! The only place where pointers of the caller become references, slices and text.
//!
//! In: raw pointers and lengths. Out: checked views that live as long as the call, or
//! an error that names the parameter.
//! Invariants: a NULL pointer is never made into a slice, also not an empty one;
//! alignment of the caller's memory is not relied upon; an object that was boxed for
//! one C type can only be taken back as that type.

use crate::error::{Error, Result};
use std::ffi::{CStr, c_char, c_void};

/// An opaque C type that the application owns through a pointer made by `into_raw`.
pub trait Opaque {
    /// What the pointer really points to.
    type Object;
}

/// Gives an object to the application.
pub fn into_raw<C: Opaque>(object: C::Object) -> *mut C {
    Box::into_raw(Box::new(object)).cast()
}

/// Lends an object to a callback.
pub fn lend<C: Opaque>(object: &C::Object) -> *const C {
    std::ptr::from_ref(object).cast()
}

/// Takes an object back.
///
/// # Safety
/// `pointer` came from `into_raw` for the same type and was not taken back before.
pub unsafe fn take<C: Opaque>(pointer: *mut C) -> Box<C::Object> {
    // SAFETY: the caller's promise.
    unsafe { Box::from_raw(pointer.cast()) }
}

/// Looks at an object.
///
/// # Safety
/// `pointer` is NULL or a live object of this type that no other thread changes.
pub unsafe fn get<'a, C: Opaque>(pointer: *const C, name: &str) -> Result<&'a C::Object> {
    // SAFETY: the caller's promise.
    unsafe { pointer.cast::<C::Object>().as_ref() }.ok_or_else(|| is_null(name))
}

/// Looks at an object to change it.
///
/// # Safety
/// `pointer` is NULL or a live object of this type that no other thread uses.
pub unsafe fn get_mut<'a, C: Opaque>(pointer: *mut C, name: &str) -> Result<&'a mut C::Object> {
    // SAFETY: the caller's promise.
    unsafe { pointer.cast::<C::Object>().as_mut() }.ok_or_else(|| is_null(name))
}

/// Text that the caller passed.
///
/// # Safety
/// `pointer` is NULL or points to text that ends with a zero byte.
pub unsafe fn text<'a>(pointer: *const c_char, name: &str) -> Result<&'a str> {
    if pointer.is_null() {
        return Err(is_null(name));
    }
    // SAFETY: the caller's promise.
    let text = unsafe { CStr::from_ptr(pointer) };
    text.to_str().map_err(|e| Error::invalid(format!("{name}: not UTF-8 from byte {} on", e.valid_up_to())))
}

/// Bytes that the caller passed; NULL is the same as none.
///
/// # Safety
/// `pointer` is NULL or points to `len` readable bytes.
pub unsafe fn bytes<'a>(pointer: *const u8, len: usize, name: &str) -> Result<&'a [u8]> {
    if len == 0 {
        return Ok(&[]);
    }
    if pointer.is_null() {
        return Err(is_null(name));
    }
    if isize::try_from(len).is_err() {
        return Err(Error::invalid(format!("{name}: a length of {len} bytes is not possible")));
    }
    // SAFETY: not NULL, and the caller's promise.
    Ok(unsafe { std::slice::from_raw_parts(pointer, len) })
}

/// 32 bytes that the caller passed with their length.
///
/// # Safety
/// As for `bytes`.
pub unsafe fn array(pointer: *const u8, len: usize, name: &str) -> Result<[u8; 32]> {
    if len != 32 {
        return Err(Error::invalid(format!("{name}: {len} bytes were given; it takes 32")));
    }
    // SAFETY: the caller's promise.
    let bytes = unsafe { bytes(pointer, len, name)? };
    bytes.try_into().map_err(|_| Error::invalid(format!("{name}: it takes 32 bytes")))
}

/// Where the caller wants a value.
pub struct Out<T> {
    place: *mut T,
}

impl<T> Out<T> {
    /// Checks the place and writes `first` to it, which stays there if the call fails.
    ///
    /// # Safety
    /// `place` is NULL or points to writable memory for a `T`.
    pub unsafe fn new(place: *mut T, first: T, name: &str) -> Result<Out<T>> {
        if place.is_null() {
            return Err(is_null(name));
        }
        let mut out = Out { place };
        out.set(first);
        Ok(out)
    }

    pub fn set(&mut self, value: T) {
        // SAFETY: `new` checked the place; its caller promised the memory.
        unsafe { self.place.write_unaligned(value) };
    }
}

/// Where the caller wants a list.
pub struct OutList<T> {
    place: *mut T,
    room: usize,
}

impl<T: Copy> OutList<T> {
    /// NULL is allowed for a room of nothing.
    ///
    /// # Safety
    /// `place` is NULL or points to writable memory for `room` elements.
    pub unsafe fn new(place: *mut T, room: usize, name: &str) -> Result<OutList<T>> {
        if place.is_null() && room != 0 {
            return Err(is_null(name));
        }
        Ok(OutList { place, room })
    }

    /// Writes after the elements written before; false: there is no room for all of them.
    pub fn append(&mut self, values: &[T]) -> bool {
        let fits = values.len() <= self.room;
        let count = values.len().min(self.room);
        if count > 0 {
            // SAFETY: `new` checked the place, `room` elements are left of it, and the caller's memory does not
            // overlap ours. Bytes are copied, so the place need not be aligned.
            unsafe {
                let size = count * size_of::<T>();
                std::ptr::copy_nonoverlapping(values.as_ptr().cast::<u8>(), self.place.cast::<u8>(), size);
                self.place = self.place.cast::<u8>().add(size).cast();
            }
            self.room -= count;
        }
        fits
    }
}

/// Copies text, cut if it must be and always ended with a zero byte, and returns its full length.
///
/// # Safety
/// `buf` is NULL or points to `cap` writable bytes.
pub unsafe fn copy_text(text: &str, buf: *mut c_char, cap: usize) -> Result<i32> {
    // SAFETY: the caller's promise.
    let mut out = unsafe { OutList::new(buf.cast::<u8>(), cap, "buf")? };
    if let Some(room) = cap.checked_sub(1) {
        let cut = text.len().min(room);
        out.append(text.as_bytes().get(..cut).unwrap_or_default());
        out.append(&[0]);
    }
    i32::try_from(text.len()).map_err(|_| Error::invalid("cap: the text is too long to be counted"))
}

/// A struct that begins with its size, which the caller filled in.
///
/// # Safety
/// Only for `#[repr(C)]` types without padding whose first field is a `u32` for the size.
pub unsafe trait Sized32: Copy {
    /// Puts the size into the first field.
    fn with_size(self, size: u32) -> Self;
}

/// The largest `struct_size` believed: more is a field that was not filled in.
const MAX_STRUCT: usize = 4_096;

/// Fills a size-prefixed struct: as much as the caller's version has room for. What this version does not
/// know, and everything if there is no value, becomes zero.
///
/// # Safety
/// `place` is NULL or points to a `u32` and as many writable bytes in all as it says.
pub unsafe fn fill<T: Sized32>(place: *mut T, value: impl FnOnce() -> Result<T>) -> Result<i32> {
    if place.is_null() {
        return Err(is_null("out"));
    }
    // SAFETY: the caller's promise.
    let size = unsafe { place.cast::<u32>().read_unaligned() } as usize;
    if !(8..=MAX_STRUCT).contains(&size) {
        return Err(Error::invalid(format!("out: struct_size is {size}; set it to the size of the struct")));
    }
    // SAFETY: the caller's memory holds `size` bytes; the size field itself is kept.
    unsafe { place.cast::<u8>().add(4).write_bytes(0, size - 4) };
    let known = size.min(size_of::<T>());
    let value = value()?.with_size(known as u32);
    // SAFETY: as above; `known` bytes of `value` are initialised, since the type has no padding.
    unsafe { std::ptr::copy_nonoverlapping((&raw const value).cast::<u8>(), place.cast::<u8>(), known) };
    Ok(0)
}

/// A pointer that must not be NULL is.
pub fn is_null(name: &str) -> Error {
    Error::invalid(format!("{name}: NULL is not allowed here"))
}

/// A pointer that is a name and is never followed.
pub fn name_only<C>(address: usize) -> *mut C {
    std::ptr::without_provenance_mut::<c_void>(address).cast()
}
