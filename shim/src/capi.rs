//! The functions of include/vrfshim.h: each checks its arguments, calls safe code and turns the outcome into -1 and
//! errno. Their comments become the header's and are written for its readers.

use crate::answer::answer;
use crate::name::Name;
use crate::sys::Errno;
use crate::{choice, link, name};
use core::ffi::{c_char, c_int};

/// Makes a socket in a VRF: socket(2) with one more argument.
///
/// Asks the kernel each time whether `vrf` is one. Where many sockets of one VRF are made, vrf_set_thread() and plain
/// socket() cost less.
///
/// Returns a descriptor, or -1 with errno: what socket(2) says, and
///   ENODEV        there is no such device
///   EINVAL        the device is not a VRF, or `vrf` is NULL
///   ENAMETOOLONG  `vrf` has IFNAMSIZ (16) bytes or more
///   EAFNOSUPPORT  `domain` is not AF_INET, AF_INET6 or AF_SMC: no VRF routes it
///   EPERM         vrfrun binds sockets to another VRF by BPF or a supervisor, or Linux is older than 5.7; in both cases
///                 without CAP_NET_RAW
/// Thread-safe, async-signal-safe. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vrf_socket(vrf: *const c_char, domain: c_int, r#type: c_int, protocol: c_int) -> c_int {
    // SAFETY: `vrf` is NULL or a C string.
    answer(unsafe { device_name(vrf) }.and_then(|name| choice::socket_in(name, domain, r#type, protocol)))
}

/// Puts a socket that exists into a VRF. To the VRF that it is in already: success, nothing changes.
///
/// For sockets that are not connected yet; an established TCP connection stalls. A datagram or raw socket sends
/// multicast by the VRF from then on: another interface for it is to be chosen afterwards. One that was bound to another
/// device is unbound for a moment. A TCP socket is to have no port yet: the kernel keeps that in the domain in which it was
/// bound, complains of it in its log when the socket listens, and Linux 7.2 may panic where others have the port.
///
/// Returns 0, or -1 with errno:
///   ENODEV        there is no such device
///   EINVAL        the device is not a VRF, or `vrf` is NULL
///   ENAMETOOLONG  `vrf` has IFNAMSIZ (16) bytes or more
///   EAFNOSUPPORT  the socket is not of AF_INET, AF_INET6 or AF_SMC
///   EPERM         the socket is bound to another device, or Linux is older than 5.7; in both cases without CAP_NET_RAW
///   EBADF, ENOTSOCK
/// Thread-safe, async-signal-safe. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vrf_bind_socket(fd: c_int, vrf: *const c_char) -> c_int {
    // SAFETY: `vrf` is NULL or a C string.
    answer(unsafe { device_name(vrf) }.and_then(|name| choice::bind_socket(fd, name)).map(|()| 0))
}

/// Puts every inet socket that the process makes from now on into a VRF, in all threads, libc's own DNS sockets
/// included: the setrtable(2) of BSD.
///
/// NULL ends it: the process is again where it began, which under vrfrun is vrfrun's VRF. Sockets that exist stay
/// where they are. A thread that called vrf_set_thread() keeps its own choice. fork() inherits the choice, execve()
/// does not; a child of vfork() would change its parent's.
///
/// Once it is set no socket leaves the VRF: if the VRF is deleted or renamed, socket(2) fails with ENODEV.
///
/// Returns 0, or -1 with errno, and nothing has changed:
///   ENODEV        there is no such device
///   EINVAL        the device is not a VRF
///   ENAMETOOLONG  `vrf` has IFNAMSIZ (16) bytes or more
///   EPERM         as for vrf_socket()
///   EOPNOTSUPP    the sockets that libc makes for itself could not be redirected when the library was loaded
///   ENOMEM        the process has named 1,024 VRFs
///   and what socket(2) says to the socket by which the VRF is tried (EMFILE ...)
/// Thread-safe, async-signal-safe. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vrf_set(vrf: *const c_char) -> c_int {
    // SAFETY: `vrf` is NULL or a C string.
    answer(unsafe { optional_name(vrf) }.and_then(choice::set_process).map(|()| 0))
}

/// Puts every inet socket that the calling thread makes from now on into a VRF, whatever vrf_set() says.
///
/// NULL ends it: vrf_set()'s choice holds again. Threads that it starts do not inherit the choice; fork() does. Code
/// that runs on another thread for this one (getaddrinfo_a(), thread pools) is not covered: use vrf_set().
///
/// Returns 0, or -1 with errno as vrf_set() does, and nothing has changed.
/// Thread-safe, async-signal-safe (a handler changes the thread it runs on). Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vrf_set_thread(vrf: *const c_char) -> c_int {
    // SAFETY: `vrf` is NULL or a C string.
    answer(unsafe { optional_name(vrf) }.and_then(choice::set_thread).map(|()| 0))
}

/// Names the VRF in which the calling thread's next inet socket will be: the thread's own choice, else the process's,
/// else the one it was started in by vrfrun. An empty string if none: sockets are where the kernel puts them.
///
/// Returns 0, or -1 with errno, and `ret_name` is as it was:
///   ERANGE       `size` is less than the name and its NUL; IFNAMSIZ (16) is always enough
///   EINVAL       `ret_name` is NULL
///   ENETUNREACH  the library was preloaded without a VRF, and inet sockets are refused
///   and, where no choice was made, what socket(2) says to the socket by which the kernel is asked (EMFILE ...)
/// Thread-safe, async-signal-safe. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vrf_get(ret_name: *mut c_char, size: usize) -> c_int {
    // SAFETY: `ret_name` is NULL or has room for `size` bytes.
    answer(choice::current().and_then(|name| unsafe { put_name(name, ret_name, size) }).map(|()| 0))
}

/// Names the VRF that a socket is in, also if it is bound to a port of it. An empty string if it is bound to nothing.
///
/// Returns 0, or -1 with errno, and `ret_name` is as it was:
///   ERANGE  `size` is less than the name and its NUL; IFNAMSIZ (16) is always enough
///   EINVAL  the socket is bound to a device that is neither a VRF nor a port of one, or `ret_name` is NULL
///   ENODEV  the device it is bound to is gone
///   EBADF, ENOTSOCK
/// Thread-safe, async-signal-safe. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vrf_of_socket(fd: c_int, ret_name: *mut c_char, size: usize) -> c_int {
    // SAFETY: `ret_name` is NULL or has room for `size` bytes.
    answer(choice::of_socket(fd).and_then(|name| unsafe { put_name(name, ret_name, size) }).map(|()| 0))
}

/// Tells the routing table of a VRF.
///
/// Returns 0, or -1 with errno, and `ret_table` is as it was:
///   ENODEV        there is no such device
///   EINVAL        the device is not a VRF, or an argument is NULL
///   ENAMETOOLONG  `vrf` has IFNAMSIZ (16) bytes or more
///   and what socket(2) says to the netlink socket by which the kernel is asked (EMFILE ...)
/// Thread-safe, async-signal-safe. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vrf_table(vrf: *const c_char, ret_table: *mut u32) -> c_int {
    // SAFETY: `vrf` is NULL or a C string.
    let table = unsafe { device_name(vrf) }.and_then(|name| link::vrf_table(&name));
    // SAFETY: `ret_table` is NULL or the caller's.
    answer(table.and_then(|table| unsafe { put_table(table, ret_table) }).map(|()| 0))
}

/// The version of the library, such as "0.1.0". Never NULL; the string is constant.
/// Thread-safe, async-signal-safe. Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn vrf_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// The device that a C string names, read no further than a name can be long.
unsafe fn device_name(text: *const c_char) -> Result<Name, Errno> {
    if text.is_null() {
        return Err(Errno(libc::EINVAL));
    }
    let mut bytes = [0; name::SIZE];
    for (i, byte) in bytes.iter_mut().enumerate() {
        // SAFETY: no NUL has come yet, so the string goes on.
        *byte = unsafe { *text.add(i) } as u8;
        if *byte == 0 {
            return Name::from_option(&bytes).ok_or(Errno(libc::ENODEV)); // "" is nobody's name
        }
    }
    Err(Errno(libc::ENAMETOOLONG))
}

unsafe fn optional_name(text: *const c_char) -> Result<Option<Name>, Errno> {
    // SAFETY: the caller's promise, and not NULL.
    if text.is_null() { Ok(None) } else { unsafe { device_name(text) }.map(Some) }
}

/// Writes a name, or "" for none, with its NUL.
unsafe fn put_name(name: Option<Name>, ret_name: *mut c_char, size: usize) -> Result<(), Errno> {
    if ret_name.is_null() {
        return Err(Errno(libc::EINVAL));
    }
    let bytes = name.as_ref().map_or(&[][..], Name::as_bytes);
    if size <= bytes.len() {
        return Err(Errno(libc::ERANGE));
    }
    // SAFETY: there is room for the bytes and one more.
    unsafe {
        ret_name.cast::<u8>().copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
        ret_name.add(bytes.len()).write(0);
    }
    Ok(())
}

unsafe fn put_table(table: u32, ret_table: *mut u32) -> Result<(), Errno> {
    if ret_table.is_null() {
        return Err(Errno(libc::EINVAL));
    }
    // SAFETY: the caller's.
    unsafe { ret_table.write(table) };
    Ok(())
}
