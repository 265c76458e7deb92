//! The address families of the running kernel.

use std::path::Path;

use crate::model::family::Family;
use crate::sys::sysctl;

/// The families that this kernel has: one booted with `ipv6.disable=1` refuses every AF_INET6 request.
pub fn available() -> Vec<Family> {
    let has_v6 = Path::new("/proc/sys/net/ipv6").exists() || !Path::new("/proc/sys/net/ipv4").exists();
    if has_v6 { vec![Family::V4, Family::V6] } else { vec![Family::V4] }
}

/// The families in which an interface can have addresses; one that is yet to be made is born as `default` says.
pub fn of_device(name: &str) -> Vec<Family> {
    let setting = |name: &str| sysctl::read(&format!("net/ipv6/conf/{name}/disable_ipv6"));
    let is_v6_off = setting(name).or_else(|| setting("default")).is_some_and(|value| value != "0");
    available().into_iter().filter(|family| *family == Family::V4 || !is_v6_off).collect()
}
