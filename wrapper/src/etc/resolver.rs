//! Warns where names would be resolved outside the VRF, or not at all, because it has no resolver of its own.

use std::os::unix::net::UnixStream;

use nix::sys::stat::stat;

use crate::error::{text, warn};
use crate::etc::overlay::{DIRECTORY, Plan};
use crate::options::Options;
use crate::sys::kernel;

const NSCD: &str = "/run/nscd/socket";

/// One line, if the system's way to resolve names does not go through the program's own sockets.
pub fn check(plan: &Plan, options: &Options) {
    if plan.has_resolver() || options.etc.nothing {
        return;
    }
    let read = |path| kernel::read_plain(path).unwrap_or_default();
    // A socket that a daemon left behind refuses; most machines have none, and one look says so.
    let is_nscd_running = stat(NSCD).is_ok() && UnixStream::connect(NSCD).is_ok();
    if let Some(why) = find(&read("/etc/resolv.conf"), &read("/etc/nsswitch.conf"), is_nscd_running) {
        let vrf = text(&options.vrf);
        let hint = format!("put the VRF's own name servers into {DIRECTORY}/{vrf}/resolv.conf, or give --dns ADDR");
        warn(&format!("names may not be resolved in '{vrf}': {why}"), &hint);
    }
}

/// The reason, from the system's two files and whether nscd answers.
fn find(resolv_conf: &[u8], nsswitch: &[u8], is_nscd_running: bool) -> Option<String> {
    if is_nscd_running {
        return Some("nscd answers from outside it".into());
    }
    if hosts_sources(nsswitch).any(|source| source == b"resolve") {
        return Some("/etc/nsswitch.conf asks systemd-resolved".into());
    }
    let server = nameservers(resolv_conf).find(|server| server.starts_with(b"127.") || *server == b"::1")?;
    Some(format!("the name server {} of /etc/resolv.conf is not in it", String::from_utf8_lossy(server)))
}

fn nameservers(resolv_conf: &[u8]) -> impl Iterator<Item = &[u8]> {
    lines(resolv_conf).filter_map(|mut words| (words.next()? == b"nameserver").then(|| words.next())?)
}

fn hosts_sources(nsswitch: &[u8]) -> impl Iterator<Item = &[u8]> {
    lines(nsswitch).filter_map(|mut words| (words.next()? == b"hosts:").then_some(words)).flatten()
}

fn lines(file: &[u8]) -> impl Iterator<Item = impl Iterator<Item = &[u8]>> {
    file.split(|&b| b == b'\n').map(|line| line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stub_resolver_on_the_loopback_is_not_in_the_vrf() {
        let why = find(b"# x\nnameserver 127.0.0.53\noptions edns0\n", b"hosts: files dns\n", false).unwrap();
        assert_eq!(why, "the name server 127.0.0.53 of /etc/resolv.conf is not in it");
        assert!(find(b"nameserver ::1\n", b"", false).is_some());
    }

    #[test]
    fn daemons_that_resolve_for_the_program_are_named() {
        assert!(
            find(b"", b"hosts: files resolve [!UNAVAIL=return] dns\n", false).unwrap().contains("systemd-resolved")
        );
        assert!(find(b"", b"", true).unwrap().contains("nscd"));
    }

    #[test]
    fn an_ordinary_resolver_is_no_reason() {
        assert_eq!(find(b"nameserver 192.0.2.53\n", b"passwd: resolve\nhosts: files dns\n", false), None);
    }
}
