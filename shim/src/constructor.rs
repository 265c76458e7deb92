//! Runs when the object is loaded: redirects libc's own `socket`, and where vrfrun started the program proves that it
//! worked — or ends the program before its `main`.

use crate::libc_object::{self, Code, LibcSocket};
use crate::name::Name;
use crate::patch;
use crate::start::{self, Start};
use crate::{exports, sys};
use core::ffi::c_int;
use core::mem::transmute;
use core::sync::atomic::{AtomicBool, Ordering};

/// Where the library is linked statically, the number puts it before the constructors of the program.
#[used]
#[unsafe(link_section = ".init_array.00100")]
static CONSTRUCTOR: extern "C" fn() = construct;

/// Whether the sockets that libc makes for itself come to us.
static COVERS_LIBC: AtomicBool = AtomicBool::new(false);

/// Whether the sockets that libc makes for itself (DNS…) are bound as well.
pub(crate) fn covers_libc() -> bool {
    COVERS_LIBC.load(Ordering::Relaxed)
}

extern "C" fn construct() {
    let outcome = cover_libc();
    COVERS_LIBC.store(outcome.is_ok(), Ordering::Relaxed);
    match (start::start(), outcome) {
        // vrf_set() will refuse; sockets of the program's own are bound all the same.
        (Start::Library, _) | (Start::Closed, Ok(_)) => {}
        (Start::Bound(name), Ok(LibcSocket::At(body))) => prove(body, name),
        (Start::Bound(_), Ok(_)) => {}
        (Start::Closed | Start::Bound(_), Err(why)) => refuse(why),
    }
}

/// Leads libc's own calls of socket() to us.
fn cover_libc() -> Result<LibcSocket, &'static str> {
    let libc_socket = libc_object::libc_socket();
    match libc_socket {
        LibcSocket::Replaced => Ok(libc_socket),
        LibcSocket::Missing => Err("libc's socket function was not found"),
        LibcSocket::At(body) => {
            // SAFETY: libc's own socket(), before main: nobody is in it.
            unsafe { patch::redirect(body, exports::own_socket as *const () as usize) }
                .map(|()| libc_socket)
                .map_err(|_| "libc's socket function cannot be redirected")
        }
    }
}

/// Lets libc make a socket and looks where it is. That the kernel refuses it (the device is gone, a filter denies it)
/// is no leak: the program starts, and its sockets fail one by one.
fn prove(body: Code, name: Name) {
    // SAFETY: libc's socket(), with its own signature.
    let libc_socket = unsafe { transmute::<usize, extern "C" fn(c_int, c_int, c_int) -> c_int>(body.start) };
    // SAFETY: the calling thread's errno.
    let errno = unsafe { &mut *libc::__errno_location() };
    let before = *errno;
    let fd = libc_socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0);
    *errno = before;
    if fd >= 0 {
        let device = sys::bound_device(fd);
        sys::close(fd);
        if device != Ok(Some(name)) {
            refuse("a socket that libc made is not in the VRF");
        }
    }
}

fn refuse(why: &str) -> ! {
    // One call, so that the lines of several processes do not mix; nothing could be done about a failure.
    let parts = [b"vrfrun: cannot bind this program's sockets: ", why.as_bytes(), b"\n"];
    let _ = sys::write_pieces(libc::STDERR_FILENO, parts);
    sys::exit(125)
}
