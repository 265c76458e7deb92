//! Why names would be resolved outside the VRF, or not at all, by what the system has in /etc.

use crate::etc::daemons::{DAEMONS, Daemon};
use crate::sys::kernel;

/// The reason, if the system's way to resolve names does not go through the program's own sockets. Where the daemons are
/// masked, only the system's name servers can be one.
pub fn reason(is_masked: bool) -> Option<String> {
    let read = |path| kernel::read_plain(path).unwrap_or_default();
    let is_there = |daemon: &Daemon| !is_masked && daemon.is_there();
    find(&read("/etc/resolv.conf"), &read("/etc/nsswitch.conf"), is_there)
}

/// The reason, from the system's two files and whether a daemon is there.
fn find(resolv_conf: &[u8], nsswitch: &[u8], is_there: impl Fn(&Daemon) -> bool) -> Option<String> {
    let sources: Vec<&[u8]> = hosts_sources(nsswitch).collect();
    let is_asked = |daemon: &Daemon| sources.iter().any(|source| daemon.is_asked_by(source));
    for daemon in &DAEMONS {
        if daemon.is_asked_first() && is_there(daemon) {
            return Some(format!("{} answers from outside it", daemon.name));
        }
        if is_asked(daemon) && is_there(daemon) {
            return Some(format!("/etc/nsswitch.conf asks {}", daemon.name));
        }
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

    fn with_all(resolv_conf: &[u8], nsswitch: &[u8]) -> Option<String> {
        find(resolv_conf, nsswitch, |daemon| !daemon.is_asked_first())
    }

    #[test]
    fn a_stub_resolver_on_the_loopback_is_not_in_the_vrf() {
        let why = with_all(b"# x\nnameserver 127.0.0.53\noptions edns0\n", b"hosts: files dns\n").unwrap();
        assert_eq!(why, "the name server 127.0.0.53 of /etc/resolv.conf is not in it");
        assert!(with_all(b"nameserver ::1\n", b"").is_some());
    }

    #[test]
    fn daemons_that_resolve_for_the_program_are_named() {
        for (source, name) in [
            ("resolve [!UNAVAIL=return]", "systemd-resolved"),
            ("mdns4_minimal [NOTFOUND=return]", "avahi-daemon"),
            ("mdns", "avahi-daemon"),
            ("wins", "winbindd"),
        ] {
            let nsswitch = format!("hosts: files {source} dns\n");
            assert_eq!(with_all(b"", nsswitch.as_bytes()).unwrap(), format!("/etc/nsswitch.conf asks {name}"));
            assert_eq!(find(b"", nsswitch.as_bytes(), |_| false), None);
        }
        assert_eq!(find(b"", b"", |daemon| daemon.name == "nscd").unwrap(), "nscd answers from outside it");
    }

    #[test]
    fn an_ordinary_resolver_is_no_reason() {
        let nsswitch = b"passwd: resolve\nhosts: files myhostname dns\n";
        assert_eq!(with_all(b"nameserver 192.0.2.53\n", nsswitch), None);
    }
}
