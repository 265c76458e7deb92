//! Random numbers of the kernel.

use nix::errno::Errno;

/// A random number (getrandom(2)).
pub fn number() -> nix::Result<u64> {
    let mut bytes = [0; 8];
    // SAFETY: the kernel writes at most eight bytes into a live array.
    let got = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
    if got != bytes.len() as isize {
        return Err(Errno::last());
    }
    Ok(u64::from_ne_bytes(bytes))
}
