//! The address families of the running kernel.

use std::path::Path;

use crate::model::family::Family;

/// The families that this kernel has: one booted with `ipv6.disable=1` refuses every AF_INET6 request.
pub fn available() -> Vec<Family> {
    let has_v6 = Path::new("/proc/sys/net/ipv6").exists() || !Path::new("/proc/sys/net/ipv4").exists();
    if has_v6 { vec![Family::V4, Family::V6] } else { vec![Family::V4] }
}
