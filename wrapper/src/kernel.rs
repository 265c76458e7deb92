//! What vrfrun asks of the running kernel apart from networking: its release, small files, its own descriptors.

use std::os::fd::{AsRawFd, IntoRawFd};

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::sys::utsname::uname;

/// A kernel release, as far as features go: (5, 14).
pub type Release = (u32, u32);

/// The release of the running kernel; (0, 0) if it cannot be read, so that nothing is taken for granted.
pub fn release() -> Release {
    uname().ok().and_then(|names| parse_release(names.release().to_str()?)).unwrap_or((0, 0))
}

fn parse_release(release: &str) -> Option<Release> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// Puts /dev/null, close-on-exec, where descriptor 0, 1 or 2 is closed: no descriptor that vrfrun opens may be taken
/// for stdio, and the program must still find them closed.
pub fn occupy_closed_stdio() {
    while let Ok(fd) = open("/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty()) {
        if fd.as_raw_fd() > 2 {
            return;
        }
        let _ = fd.into_raw_fd();
    }
}

/// Reads a whole file with few system calls: those of /proc say nothing of their size, and `std::fs::read` then asks
/// for a few bytes at a time.
pub fn read(path: &str) -> nix::Result<Vec<u8>> {
    let file = open(path, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?;
    let mut bytes = vec![0; 16 * 1024];
    let mut length = 0;
    loop {
        let got = nix::unistd::read(&file, &mut bytes[length..])?;
        length += got;
        if got == 0 {
            bytes.truncate(length);
            return Ok(bytes);
        }
        if bytes.len() - length < 4096 {
            bytes.resize(bytes.len() * 2, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_of_distributions_are_read() {
        assert_eq!(parse_release("5.10.0-34-cloud-amd64"), Some((5, 10)));
        assert_eq!(parse_release("6.18-rc3"), Some((6, 18)));
        assert_eq!(parse_release("mystery"), None);
    }
}
