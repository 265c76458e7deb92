//! Kernel settings below /proc/sys, which shows those of the thread's network namespace.

use std::fs;
use std::io;
use std::path::Path;

const ROOT: &str = "/proc/sys";

/// The value of `net/ipv4/ip_forward`, say; None where the kernel has no such setting.
pub fn read(key: &str) -> Option<String> {
    fs::read_to_string(Path::new(ROOT).join(key)).ok().map(|value| value.trim().to_owned())
}

/// The same by the name that sysctl(8) uses, for names without an interface in them.
pub fn read_named(name: &str) -> Option<String> {
    read(&name.replace('.', "/"))
}

/// Sets one.
///
/// # Errors
/// The kernel's own: ENOENT if there is no such setting, EINVAL for a value that it cannot have.
pub fn write(key: &str, value: &str) -> io::Result<()> {
    fs::write(Path::new(ROOT).join(key), value)
}
