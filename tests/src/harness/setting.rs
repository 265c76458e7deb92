//! Settings of the kernel that a test changes.

use std::fs;

/// Who may make ping sockets.
const PING_GROUPS: &str = "/proc/sys/net/ipv4/ping_group_range";

/// A setting with another value, until this goes.
pub struct Setting {
    path: &'static str,
    before: Vec<u8>,
}

impl Setting {
    /// Sets the file of /proc/sys.
    ///
    /// # Panics
    /// When it cannot be read or written.
    pub fn new(path: &'static str, value: &str) -> Self {
        let before = fs::read(path).expect(path);
        fs::write(path, value).expect(path);
        Self { path, before }
    }

    /// These groups may make ping sockets.
    pub fn ping_groups(range: &str) -> Self {
        Self::new(PING_GROUPS, range)
    }

    /// Everybody may.
    pub fn everybody_may_ping() -> Self {
        Self::ping_groups("0 2147483647")
    }

    /// Nobody can make a user namespace.
    pub fn no_user_namespaces() -> Self {
        Self::new("/proc/sys/user/max_user_namespaces", "0")
    }

    /// Plain users may have every port.
    pub fn any_port() -> Self {
        Self::new("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0")
    }
}

impl Drop for Setting {
    fn drop(&mut self) {
        fs::write(self.path, &self.before).expect(self.path);
    }
}
