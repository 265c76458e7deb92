//! Kernel settings below /proc/sys, which shows those of the thread's network namespace.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use crate::model::step::Step;

const ROOT: &str = "/proc/sys";

/// The value of `net/ipv4/ip_forward`, say, with one space between its words, where the kernel may have tabs; None where
/// the kernel has no such setting.
pub fn read(key: &str) -> Option<String> {
    fs::read_to_string(file(key)?).ok().map(|value| words(&value))
}

/// The same by the name that sysctl(8) uses.
pub fn read_named(name: &str) -> Option<String> {
    read(&key_of(name))
}

/// Whether TCP's bound ports are in one list of all domains: a listener keeps its port wherever it goes.
pub fn tcp_has_one_list() -> bool {
    read("net/ipv4/tcp_l3mdev_accept").as_deref() == Some("1")
}

/// A value with one space between its words.
pub fn words(value: &str) -> String {
    value.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The key of a name of sysctl(8): in `net.ipv4.conf.eth0/10.rp_filter` dots and slashes change places, but where the
/// first of them is a slash.
pub fn key_of(name: &str) -> String {
    if name.find(['.', '/']).is_some_and(|at| name[at..].starts_with('/')) {
        return name.to_owned();
    }
    swapped(name)
}

/// The name of a key.
pub fn name_of(key: &str) -> String {
    swapped(key)
}

fn swapped(text: &str) -> String {
    let swapped = |c| match c {
        '.' => '/',
        '/' => '.',
        other => other,
    };
    text.chars().map(swapped).collect()
}

/// Sets one.
///
/// # Errors
/// The kernel's own: ENOENT if there is no such setting, EINVAL for a value that it cannot have.
pub fn write(key: &str, value: &str) -> io::Result<()> {
    fs::write(file(key).ok_or(io::ErrorKind::NotFound)?, value)
}

/// The file of a key; None for what would lead out of the directory.
fn file(key: &str) -> Option<PathBuf> {
    let stays = Path::new(key).components().all(|part| matches!(part, Component::Normal(_)));
    (stays && !key.is_empty()).then(|| Path::new(ROOT).join(key))
}

/// The step that has the kernel keep the other IPv4 addresses of a network when the first one goes; None where it does.
pub fn promotion(device: &str) -> Option<Step> {
    let key = |of: &str| format!("net/ipv4/conf/{of}/promote_secondaries");
    let is_on = [key("all"), key(device)].iter().any(|key| read(key).is_some_and(|value| value != "0"));
    (!is_on).then(|| Step::SetSysctl { key: key(device), from: "0".to_owned(), to: "1".to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_and_slashes_change_places_as_for_sysctl() {
        assert_eq!(key_of("net.ipv4.conf.eth0/10.rp_filter"), "net/ipv4/conf/eth0.10/rp_filter");
        assert_eq!(key_of("net/ipv4/conf/eth0.10/rp_filter"), "net/ipv4/conf/eth0.10/rp_filter");
        assert_eq!(name_of("net/ipv4/conf/eth0.10/rp_filter"), "net.ipv4.conf.eth0/10.rp_filter");
    }

    #[test]
    fn no_key_leads_out_of_the_directory() {
        for key in ["/etc/hostname", "../../etc/hostname", "net/../../../etc/hostname", ""] {
            assert_eq!((file(key), read(key)), (None, None), "{key}");
            assert!(write(key, "x").is_err(), "{key}");
        }
        for name in [".etc.hostname", "/etc/hostname", "//.//.etc.hostname", "net/../../etc/hostname"] {
            assert_eq!(file(&key_of(name)), None, "{name}");
        }
        assert!(file("net/ipv4/ip_forward").is_some());
    }
}
