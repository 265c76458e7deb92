//! The program `vrfrun`: hands its arguments to the library and leaves with the code that comes back.
//!
//! There is no Rust runtime round it: that would ignore SIGPIPE and open closed descriptors, and the program that
//! replaces this one would inherit both.
#![no_main]

mod memory;

use std::ffi::{c_char, c_int};

/// The entry point that the C library calls.
#[unsafe(no_mangle)]
extern "C" fn main(_argc: c_int, _argv: *const *const c_char) -> c_int {
    vrfrun::run(std::env::args_os())
}
