//! The system calls that the shim makes, raw: libc's wrappers are what it replaces, and errno belongs to the program.

use crate::arch;
use crate::name::{self, Name};
use core::ffi::{CStr, c_int, c_long, c_uint, c_void};

/// What the kernel answered instead of a result; positive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Errno(pub(crate) c_int);

/// socket(2), with a sixth argument that only a seccomp filter looks at.
#[inline(always)]
pub(crate) fn socket(domain: c_int, kind: c_int, protocol: c_int, cookie: u64) -> Result<c_int, Errno> {
    result(arch::socket(domain, kind, protocol, cookie)).map(|fd| fd as c_int)
}

/// setsockopt(2) for callers that bring their own pointer.
///
/// # Safety
/// `value` must be readable for `len` bytes, or the kernel says EFAULT.
#[inline(never)] // the object has 16 KiB: one copy of this
pub(crate) unsafe fn setsockopt(
    fd: c_int,
    level: c_int,
    option: c_int,
    value: *const c_void,
    len: u32,
) -> Result<(), Errno> {
    let args = [fd as usize, level as usize, option as usize, value as usize, len as usize, 0];
    // SAFETY: the kernel only reads `value`, and checks that it may.
    result(unsafe { arch::syscall(libc::SYS_setsockopt as usize, args) }).map(drop)
}

/// Binds a socket to a device: unprivileged from Linux 5.7 on, if the socket is not bound yet.
#[inline(always)]
pub(crate) fn bind_to_device(fd: c_int, name: &Name) -> Result<(), Errno> {
    set(fd, libc::SOL_SOCKET, libc::SO_BINDTODEVICE, name.as_option())
}

/// Sets an option of a few bytes.
pub(crate) fn set(fd: c_int, level: c_int, option: c_int, value: &[u8]) -> Result<(), Errno> {
    // SAFETY: the slice can be read.
    unsafe { setsockopt(fd, level, option, value.as_ptr().cast(), value.len() as u32) }
}

/// connect(2), not a cancellation point.
///
/// # Safety
/// `address` must be readable for `len` bytes, or the kernel says EFAULT.
pub(crate) unsafe fn connect(fd: c_int, address: *const c_void, len: u32) -> Result<(), Errno> {
    // SAFETY: the kernel only reads the address, and checks that it may.
    result(unsafe { arch::syscall(libc::SYS_connect as usize, [fd as usize, address as usize, len as usize, 0, 0, 0]) })
        .map(drop)
}

/// The index of the device with this name, in the network namespace of a socket (SIOCGIFINDEX).
pub(crate) fn device_index(socket: c_int, name: &Name) -> Result<u32, Errno> {
    let mut request = [0usize; 5]; // struct ifreq, aligned: a name of 16 bytes, and a union
    // SAFETY: both have that many bytes.
    unsafe { request.as_mut_ptr().cast::<u8>().copy_from_nonoverlapping(name.as_ptr().cast(), name::SIZE) };
    let args = [socket as usize, libc::SIOCGIFINDEX as usize, request.as_mut_ptr() as usize, 0, 0, 0];
    // SAFETY: the kernel reads and writes one ifreq of at most 40 bytes.
    result(unsafe { arch::syscall(libc::SYS_ioctl as usize, args) })?;
    // SAFETY: the kernel has put an int behind the name.
    Ok(unsafe { request.as_ptr().cast::<u8>().add(name::SIZE).cast::<u32>().read() })
}

/// The device a socket is bound to, if any.
pub(crate) fn bound_device(fd: c_int) -> Result<Option<Name>, Errno> {
    let mut name = [0u8; name::SIZE];
    getsockopt(fd, libc::SOL_SOCKET, libc::SO_BINDTODEVICE, &mut name)?;
    Ok(Name::from_option(&name)) // the kernel wrote a NUL behind the name, or nothing over ours
}

/// The index of the device a socket is bound to; 0 if none.
pub(crate) fn bound_index(fd: c_int) -> Result<i32, Errno> {
    int_option(fd, libc::SO_BINDTOIFINDEX)
}

/// The address family of a socket.
pub(crate) fn domain(fd: c_int) -> Result<c_int, Errno> {
    int_option(fd, libc::SO_DOMAIN)
}

fn int_option(fd: c_int, option: c_int) -> Result<c_int, Errno> {
    self::option(fd, libc::SOL_SOCKET, option)
}

/// An option that is an int.
#[inline(never)]
pub(crate) fn option(fd: c_int, level: c_int, option: c_int) -> Result<c_int, Errno> {
    let mut value = [0u8; 4];
    getsockopt(fd, level, option, &mut value).map(|()| c_int::from_ne_bytes(value))
}

#[inline(never)]
fn getsockopt(fd: c_int, level: c_int, option: c_int, value: &mut [u8]) -> Result<(), Errno> {
    let mut len = value.len() as u32;
    let pointers = [value.as_mut_ptr() as usize, &raw mut len as usize];
    let args = [fd as usize, level as usize, option as usize, pointers[0], pointers[1], 0];
    // SAFETY: the kernel writes at most `len` bytes to `value`, and the length to `len`.
    result(unsafe { arch::syscall(libc::SYS_getsockopt as usize, args) }).map(drop)
}

/// The name of the device with this index, in the network namespace of a socket (SIOCGIFNAME).
pub(crate) fn device_name(socket: c_int, index: u32) -> Result<Name, Errno> {
    // SAFETY: an ifreq of zeros is one.
    let mut request: libc::ifreq = unsafe { core::mem::zeroed() };
    request.ifr_ifru.ifru_ifindex = index as c_int;
    let args = [socket as usize, libc::SIOCGIFNAME as usize, &raw mut request as usize, 0, 0, 0];
    // SAFETY: the kernel reads and writes one ifreq.
    result(unsafe { arch::syscall(libc::SYS_ioctl as usize, args) })?;
    Name::from_option(&request.ifr_name.map(|byte| byte as u8)).ok_or(Errno(libc::ENODEV))
}

/// Sends a datagram to the kernel, the other end of a netlink socket.
pub(crate) fn send(socket: c_int, bytes: &[u8]) -> Result<(), Errno> {
    let args = [socket as usize, bytes.as_ptr() as usize, bytes.len(), 0, 0, 0];
    // SAFETY: the kernel only reads the slice.
    result(unsafe { arch::syscall(libc::SYS_sendto as usize, args) }).map(drop)
}

/// Receives a datagram, cut to the buffer; how many bytes of it are there.
pub(crate) fn receive(socket: c_int, buffer: &mut [u8]) -> Result<usize, Errno> {
    let args = [socket as usize, buffer.as_mut_ptr() as usize, buffer.len(), 0, 0, 0];
    // SAFETY: the kernel writes no more than the buffer's length.
    result(unsafe { arch::syscall(libc::SYS_recvfrom as usize, args) }).map(|len| len as usize)
}

/// Closes a descriptor that only we know.
pub(crate) fn close(fd: c_int) {
    // SAFETY: no memory is involved.
    unsafe { arch::syscall(libc::SYS_close as usize, [fd as usize, 0, 0, 0, 0, 0]) };
}

/// The size of a page of memory.
pub(crate) fn page_size() -> usize {
    // SAFETY: reads what the kernel gave the process at its start.
    unsafe { libc::getauxval(libc::AT_PAGESZ) as usize }
}

/// An unnamed file in memory (3.17), whose pages may be executed.
pub(crate) fn memfd(name: &CStr) -> Result<c_int, Errno> {
    let create = |flags: c_uint| {
        let args = [name.as_ptr() as usize, flags as usize, 0, 0, 0, 0];
        // SAFETY: the kernel only reads the name.
        result(unsafe { arch::syscall(libc::SYS_memfd_create as usize, args) }).map(|fd| fd as c_int)
    };
    // 6.3 wants to hear whether code will come from it, and logs who does not say; older kernels know no such flag.
    match create(libc::MFD_CLOEXEC | libc::MFD_EXEC) {
        Err(Errno(libc::EINVAL)) => create(libc::MFD_CLOEXEC),
        // vm.memfd_noexec=2: such a file cannot be started as a program, but still be mapped as code.
        Err(Errno(libc::EACCES)) => create(libc::MFD_CLOEXEC | libc::MFD_NOEXEC_SEAL),
        answer => answer,
    }
}

/// Whether this process may write a file of this length: who exceeds RLIMIT_FSIZE is ended by SIGXFSZ.
pub(crate) fn may_write(len: usize) -> bool {
    let mut limit = [u64::MAX; 2];
    let args = [0, libc::RLIMIT_FSIZE as usize, 0, limit.as_mut_ptr() as usize, 0, 0];
    // SAFETY: the kernel writes two numbers of 64 bits, for 32-bit programs as well.
    let _ = result(unsafe { arch::syscall(libc::SYS_prlimit64 as usize, args) });
    limit[0] >= len as u64
}

/// Writes three pieces to a file, one behind the other, in one call.
pub(crate) fn write_pieces(fd: c_int, pieces: [&[u8]; 3]) -> Result<(), Errno> {
    let vectors = pieces.map(|piece| libc::iovec { iov_base: piece.as_ptr().cast_mut().cast(), iov_len: piece.len() });
    let args = [fd as usize, vectors.as_ptr() as usize, vectors.len(), 0, 0, 0];
    // SAFETY: the kernel only reads the vectors and the slices.
    let written = result(unsafe { arch::syscall(libc::SYS_writev as usize, args) })?;
    let all = pieces.iter().fold(0, |sum, piece| sum + piece.len());
    if written as usize == all { Ok(()) } else { Err(Errno(libc::EIO)) }
}

/// Maps a file over executable pages, in one step.
///
/// # Safety
/// What is mapped there must go on to be true for whoever uses those pages.
pub(crate) unsafe fn map_code_over(start: usize, len: usize, fd: c_int) -> Result<(), Errno> {
    let (rights, flags) = (libc::PROT_READ | libc::PROT_EXEC, libc::MAP_PRIVATE | libc::MAP_FIXED);
    // SAFETY: the caller's promise.
    result(unsafe { arch::syscall(arch::SYS_MMAP, [start, len, rights as usize, flags as usize, fd as usize, 0]) })
        .map(drop)
}

/// mprotect(2)
///
/// # Safety
/// Nobody may count on the old rights of these pages.
pub(crate) unsafe fn protect(start: usize, len: usize, rights: c_int) -> Result<(), Errno> {
    // SAFETY: the caller's promise.
    result(unsafe { arch::syscall(libc::SYS_mprotect as usize, [start, len, rights as usize, 0, 0, 0]) }).map(drop)
}

/// Ends the process at once, all threads, without exit handlers.
pub(crate) fn exit(status: c_int) -> ! {
    loop {
        // SAFETY: does not return.
        unsafe { arch::syscall(libc::SYS_exit_group as usize, [status as usize, 0, 0, 0, 0, 0]) };
    }
}

/// Turns what the kernel left in the register into a value or an error.
#[inline(always)]
pub(crate) fn result(raw: isize) -> Result<isize, Errno> {
    if (-4095..0).contains(&raw) { Err(Errno(-raw as c_int)) } else { Ok(raw) }
}

/// Any system call, untouched.
///
/// # Safety
/// As for syscall(2).
#[inline(always)]
pub(crate) unsafe fn any(number: c_long, args: [usize; 6]) -> Result<c_long, Errno> {
    // SAFETY: the caller's promise.
    result(unsafe { arch::syscall(number as usize, args) }).map(|value| value as c_long)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_4095_values_are_errors() {
        assert_eq!(result(-1), Err(Errno(1)));
        assert_eq!(result(-4095), Err(Errno(4095)));
        assert_eq!(result(-4096), Ok(-4096), "an address in the upper half is a value");
        assert_eq!(result(0), Ok(0));
    }
}
