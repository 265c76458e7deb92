//! Daemons that the C library asks for names: named where they would answer, and masked where the VRF has files.

mod scene;

use scene::{EVERYBODY, Who, play_after};

/// Daemons that only listen, where the real ones do, and a system that asks them.
const DAEMONS: &str = "mount -t tmpfs tmpfs /srv; cp -a /etc /srv/etc; mount --bind /srv/etc /etc; mount -t tmpfs tmpfs /run
    rm -f /etc/resolv.conf; echo nameserver 192.0.2.1 >/etc/resolv.conf; chmod 755 /run
    cat >/srv/listen.py <<'END'
import os, socket, sys
for path in ('/run/avahi-daemon/socket', '/run/samba/winbindd/pipe', '/run/systemd/resolve/io.systemd.Resolve'):
    os.makedirs(os.path.dirname(path)); s = socket.socket(socket.AF_UNIX); s.bind(path); s.listen(); os.chmod(path, 0o666)
END
    python3 /srv/listen.py";
const SOURCES: [(&str, &str); 5] = [
    ("mdns4_minimal [NOTFOUND=return]", "avahi-daemon"),
    ("mdns", "avahi-daemon"),
    ("mdns_minimal", "avahi-daemon"),
    ("wins", "winbindd"),
    ("resolve [!UNAVAIL=return]", "systemd-resolved"),
];
const LOOK: &str = "sh -c 'for s in /run/avahi-daemon/socket /run/samba/winbindd/pipe \
                    /run/systemd/resolve/io.systemd.Resolve; do [ -S $s ] && echo $s; done; echo looked'";

#[test]
fn a_source_of_nsswitch_that_asks_a_daemon_is_named() {
    for (source, daemon) in SOURCES {
        let setting = format!("{DAEMONS}; echo 'hosts: files {source} dns' >/etc/nsswitch.conf");
        let seen = play_after(&setting, Who::User, "vrfrun --interface blue true");
        let said = format!("vrfrun: warning: names may not be resolved in 'blue': /etc/nsswitch.conf asks {daemon}\n");
        assert!(seen.code() == 0 && seen.stderr().starts_with(&said), "{seen}");
    }
    let ordinary = format!("{DAEMONS}; echo 'hosts: files myhostname dns' >/etc/nsswitch.conf");
    assert_eq!(play_after(&ordinary, Who::User, "vrfrun --interface blue true").stderr(), "");
    let absent = format!("{DAEMONS}; rm -r /run/avahi-daemon; echo 'hosts: files mdns4 dns' >/etc/nsswitch.conf");
    assert_eq!(play_after(&absent, Who::User, "vrfrun --interface blue true").stderr(), "");
}

#[test]
fn a_resolver_of_the_vrfs_own_masks_them_and_nothing_is_said() {
    for (source, _) in SOURCES {
        let setting = format!("{DAEMONS}; echo 'hosts: files {source} dns' >/etc/nsswitch.conf");
        for who in EVERYBODY {
            let seen = play_after(&setting, who, &format!("vrfrun --dns 192.0.2.5 --interface blue {LOOK}; {LOOK}"));
            let outside =
                "/run/avahi-daemon/socket\n/run/samba/winbindd/pipe\n/run/systemd/resolve/io.systemd.Resolve\n";
            seen.prints(&format!("looked\n{outside}looked\n"));
            assert_eq!(seen.stderr(), "", "{seen}");
        }
    }
}

/// Any file of the VRF's own masks them; a warning would be wrong.
#[test]
fn hosts_of_the_vrfs_own_mask_them_too() {
    let setting = format!(
        "{DAEMONS}; echo 'hosts: files mdns4_minimal dns' >/etc/nsswitch.conf
         mkdir -p /etc/vrf/blue; echo 192.0.2.9 own >/etc/vrf/blue/hosts"
    );
    let seen = play_after(&setting, Who::Root, &format!("vrfrun --interface blue {LOOK}"));
    seen.prints("looked\n");
    assert_eq!(seen.stderr(), "", "{seen}");
}
