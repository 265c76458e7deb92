//! Writes a jump over the beginning of a function that others may be running.
//!
//! First choice: a copy of its pages in a memfd, changed there and mapped over the old ones in one step. That never
//! makes memory writable and executable at once (PR_SET_MDWE, SELinux execmod) and other threads see the old page or
//! the new one. Where memfd_create is forbidden or missing (before 3.17), or no file may be written (RLIMIT_FSIZE): mprotect.

use crate::arch::{self, Jump};
use crate::libc_object::Code;
use crate::sys::{self, Errno};
use core::slice;

/// Why a function could not be redirected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Error {
    /// It is shorter than the jump.
    TooShort,
    /// The kernel let its pages neither be replaced nor be written.
    Kernel(Errno),
}

/// Makes every later call of `code` continue at `target`, which must have the same signature.
///
/// # Safety
/// `code` must be the whole of a function, mapped executable; no thread may be between its first and 14th byte.
pub(crate) unsafe fn redirect(code: Code, target: usize) -> Result<(), Error> {
    if code.size < 4 {
        return Err(Error::TooShort);
    }
    // SAFETY: the function has four bytes, and code can be read.
    let from = code.start + arch::landing_pad(unsafe { *(code.start as *const [u8; 4]) });
    let jump = Jump::new(from, target);
    if from + jump.as_bytes().len() > code.start + code.size {
        return Err(Error::TooShort);
    }
    // SAFETY: the caller's promises; the jump lies within the function.
    unsafe { remap(from, jump.as_bytes()).or_else(|_| overwrite(from, jump.as_bytes())) }.map_err(Error::Kernel)
}

/// The pages that a piece of code lies in.
fn pages(start: usize, len: usize) -> (usize, usize) {
    let page = sys::page_size();
    let first = start & !(page - 1);
    (first, ((start + len + page - 1) & !(page - 1)) - first)
}

unsafe fn remap(at: usize, jump: &[u8]) -> Result<(), Errno> {
    let (first, len) = pages(at, jump.len());
    if !sys::may_write(len) {
        return Err(Errno(libc::EFBIG));
    }
    let behind = at + jump.len();
    // SAFETY: what stands before and behind the jump in whole pages of mapped code.
    let [before, rest] = unsafe {
        [(first, at - first), (behind, first + len - behind)].map(|(start, len)| slice::from_raw_parts(start as _, len))
    };
    let file = sys::memfd(c"vrfshim")?;
    let replaced = sys::write_pieces(file, [before, jump, rest])
        // SAFETY: the same bytes but for the jump, with the same rights, in the same place.
        .and_then(|()| unsafe { sys::map_code_over(first, len, file) });
    sys::close(file);
    replaced
}

unsafe fn overwrite(at: usize, jump: &[u8]) -> Result<(), Errno> {
    let (first, len) = pages(at, jump.len());
    let read_execute = libc::PROT_READ | libc::PROT_EXEC;
    // SAFETY: the pages stay executable throughout, since other threads may be running in them.
    unsafe {
        sys::protect(first, len, read_execute | libc::PROT_WRITE)?;
        for (i, byte) in jump.iter().enumerate() {
            (at as *mut u8).add(i).write_volatile(*byte);
        }
        arch::flush_code(at, jump.len());
        sys::protect(first, len, read_execute)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::ffi::c_int;

    extern "C" fn answers_two() -> c_int {
        2
    }

    /// A page of its own with a function that answers 1, at this offset; the longest jump has room in it.
    fn function_at(offset: usize) -> Code {
        let rights = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: fresh memory, two pages of it.
        unsafe {
            let page = libc::mmap(core::ptr::null_mut(), 8192, rights, flags, -1, 0).cast::<u8>();
            let code = page.add(offset);
            code.copy_from(arch::tests::ANSWER_ONE.as_ptr(), arch::tests::ANSWER_ONE.len());
            Code { start: code as usize, size: arch::tests::ANSWER_ONE.len() }
        }
    }

    fn call(code: Code) -> c_int {
        // SAFETY: function_at() put a function there.
        unsafe { core::mem::transmute::<usize, extern "C" fn() -> c_int>(code.start)() }
    }

    type Way = unsafe fn(usize, &[u8]) -> Result<(), Errno>;

    #[test]
    fn both_ways_redirect_a_function_even_across_a_page_border() {
        for way in [remap as Way, overwrite as Way] {
            for offset in [0, 64, 4092] {
                let code = function_at(offset);
                assert_eq!(call(code), 1);
                let jump = Jump::new(code.start, answers_two as *const () as usize);
                // SAFETY: nobody else runs this function.
                assert_eq!(unsafe { way(code.start, jump.as_bytes()) }, Ok(()));
                assert_eq!(call(code), 2, "offset {offset}");
            }
        }
    }

    #[test]
    fn the_rest_of_the_page_keeps_its_code() {
        let (first, second) = (function_at(0), function_at(128));
        let second = Code { start: first.start + 128, ..second };
        // SAFETY: the first function's page has room, and nobody runs there.
        unsafe { (second.start as *mut u8).copy_from(arch::tests::ANSWER_ONE.as_ptr(), arch::tests::ANSWER_ONE.len()) };
        // SAFETY: as above.
        assert_eq!(unsafe { redirect(first, answers_two as *const () as usize) }, Ok(()));
        assert_eq!((call(first), call(second)), (2, 1));
    }

    #[test]
    fn a_landing_pad_stays_at_the_head() {
        let code = function_at(0);
        // SAFETY: the page has room, and nobody runs there.
        unsafe {
            let start = code.start as *mut u8;
            start.copy_from(arch::tests::LANDING_PAD.as_ptr(), 4);
            start.add(4).copy_from(arch::tests::ANSWER_ONE.as_ptr(), arch::tests::ANSWER_ONE.len());
            assert_eq!(call(code), 1);
            assert_eq!(redirect(Code { size: 4 + code.size, ..code }, answers_two as *const () as usize), Ok(()));
            assert_eq!(*(code.start as *const [u8; 4]), arch::tests::LANDING_PAD);
        }
        assert_eq!(call(code), 2);
    }

    #[test]
    fn a_function_shorter_than_the_jump_is_left_alone() {
        let code = Code { size: 3, ..function_at(0) }; // a near branch of aarch64 is four bytes
        // SAFETY: nothing is written.
        assert_eq!(unsafe { redirect(code, answers_two as *const () as usize) }, Err(Error::TooShort));
        assert_eq!(call(code), 1);
    }
}
