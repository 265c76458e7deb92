//! The symbols that stand before libc's, with libc's signatures: -1 and errno on failure, errno untouched on success.

use crate::answer::answer;
use crate::{hook, interface, libc_object, sys};
use core::ffi::{c_int, c_long, c_void};

/// socket(2)
#[unsafe(no_mangle)]
pub extern "C" fn socket(domain: c_int, kind: c_int, protocol: c_int) -> c_int {
    own_socket(domain, kind, protocol)
}

/// Where libc's own socket() is redirected to. Not `socket` above: references to an exported symbol go through the
/// program's symbols, where another library may stand before us — libc itself if we were opened by dlopen(). Not
/// inlined, or the compiler would find two functions with the same body and make the one a name of the other.
#[inline(never)]
pub(crate) extern "C" fn own_socket(domain: c_int, kind: c_int, protocol: c_int) -> c_int {
    answer(hook::socket(domain, kind, protocol))
}

/// glibc's other name for it, which old objects were linked with.
#[unsafe(no_mangle)]
pub extern "C" fn __socket(domain: c_int, kind: c_int, protocol: c_int) -> c_int {
    own_socket(domain, kind, protocol)
}

/// setsockopt(2)
///
/// # Safety
/// As for setsockopt(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn setsockopt(fd: c_int, level: c_int, option: c_int, value: *const c_void, len: u32) -> c_int {
    // SAFETY: the caller's promise.
    answer(unsafe { hook::setsockopt(fd, level, option, value, len) }.map(|()| 0))
}

/// connect(2): libc's own, in which threads can be cancelled. One to AF_UNSPEC also takes the binding from a datagram
/// socket, which gets it back.
///
/// # Safety
/// As for connect(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn connect(fd: c_int, address: *const c_void, len: u32) -> c_int {
    let connected = match libc_object::libc_connect() {
        // SAFETY: the caller's promise.
        Some(libc_connect) => unsafe { libc_connect(fd, address, len) },
        // SAFETY: likewise.
        None => answer(unsafe { sys::connect(fd, address, len) }.map(|()| 0)),
    };
    // SAFETY: the kernel has read a family there.
    if connected == 0 && unsafe { address.cast::<u16>().read_unaligned() } == libc::AF_UNSPEC as u16 {
        return answer(interface::bind_again(fd).map(|()| 0));
    }
    connected
}

/// syscall(2). Variadic in C; a fixed seven-word signature reads the same registers and stack words. Whatever is not
/// a socket passes as it came, known or not: an allow-list here broke torsocks for years.
///
/// # Safety
/// As for syscall(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn syscall(number: c_long, a: usize, b: usize, c: usize, d: usize, e: usize, f: usize) -> c_long {
    if number == libc::SYS_socket {
        return answer(hook::socket(a as c_int, b as c_int, c as c_int).map(c_long::from));
    }
    #[cfg(target_arch = "x86")]
    if number == libc::SYS_socketcall && a == 1 {
        // SAFETY: call 1 is socket(), whose three arguments stand where the second word points.
        let [domain, kind, protocol] = unsafe { *(b as *const [c_int; 3]) };
        return answer(hook::socket(domain, kind, protocol).map(c_long::from));
    }
    // SAFETY: the caller's promise.
    answer(unsafe { sys::any(number, [a, b, c, d, e, f]) })
}
