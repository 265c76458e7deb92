//! The program `vrfrun`: hands its arguments to the library and leaves with the code that comes back.
//!
//! There is no Rust runtime round it: that would ignore SIGPIPE and open closed descriptors, and the program that
//! replaces this one would inherit both.
#![no_main]

mod memory;

use std::ffi::{CStr, OsStr, c_char, c_int};
use std::os::unix::ffi::OsStrExt;

/// The entry point that the C library calls.
#[unsafe(no_mangle)]
extern "C" fn main(argc: c_int, argv: *const *const c_char) -> c_int {
    // std::env::args_os() would know them by glibc alone: under musl it is the runtime that tells it.
    let arguments = (0..argc as usize).map(|index| {
        // SAFETY: the C library hands over this many pointers to strings, which stay.
        let argument = unsafe { CStr::from_ptr(*argv.add(index)) };
        OsStr::from_bytes(argument.to_bytes()).to_owned()
    });
    vrfrun::run(arguments)
}

/// Where the program lies, for libraries that are loaded by a path relative to it: a static program has none, and glibc would
/// read a link in /proc at each start. This is its own answer where it does not know.
#[cfg(all(target_env = "gnu", target_feature = "crt-static"))]
#[unsafe(no_mangle)]
extern "C" fn _dl_get_origin() -> *mut c_char {
    std::ptr::without_provenance_mut(usize::MAX)
}
