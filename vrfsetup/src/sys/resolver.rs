//! Who resolves names in everybody's name, whatever the sockets of those who ask are bound to.

use std::fs;
use std::net::IpAddr;
use std::path::Path;

const NSCD: [&str; 2] = ["/run/nscd/socket", "/var/run/nscd/socket"];
const RESOLVED: &str = "/run/systemd/resolve/io.systemd.Resolve";

/// What answers for other programs from the default domain, or would not be reached from a VRF.
pub fn outside() -> Option<String> {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    if NSCD.iter().any(|path| Path::new(path).exists()) {
        return Some("nscd answers for all programs".to_owned());
    }
    if asks_resolved(&read("/etc/nsswitch.conf")) && Path::new(RESOLVED).exists() {
        return Some("systemd-resolved answers for all programs".to_owned());
    }
    let server = server_here(&read("/etc/resolv.conf"))?;
    Some(format!("the name server {server} is outside every VRF"))
}

fn asks_resolved(nsswitch: &str) -> bool {
    nsswitch.lines().filter_map(|line| line.strip_prefix("hosts:")).any(|line| line.contains(" resolve"))
}

/// `nameserver 127.0.0.53`
fn server_here(resolv_conf: &str) -> Option<IpAddr> {
    let address = |line: &str| line.strip_prefix("nameserver")?.trim().parse::<IpAddr>().ok();
    resolv_conf.lines().filter_map(address).find(IpAddr::is_loopback)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_server_of_this_machine_is_found_among_others() {
        assert_eq!(server_here("nameserver 192.0.2.1\n# nameserver 127.0.0.1\n"), None);
        let text = "search x\nnameserver 192.0.2.1\nnameserver 127.0.0.53\n";
        assert_eq!(server_here(text).map(|at| at.to_string()).as_deref(), Some("127.0.0.53"));
    }

    #[test]
    fn only_the_line_of_hosts_tells_who_is_asked() {
        assert!(asks_resolved("passwd: files\nhosts: files resolve [!UNAVAIL=return] dns\n"));
        assert!(!asks_resolved("passwd: files resolve\nhosts: files dns\n"));
    }
}
