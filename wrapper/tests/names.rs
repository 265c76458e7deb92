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

/// A system whose resolv.conf names a stub, in whose network namespace process 1 is, and whose daemons have a directory.
/// `$blue` is the index of the interface.
const STUB: &str = "mount -t tmpfs tmpfs /srv; cp -a /etc /srv/etc; mount --bind /srv/etc /etc; mount -t tmpfs tmpfs /run
    rm -f /etc/resolv.conf; echo nameserver 127.0.0.53 >/etc/resolv.conf; echo 'hosts: files dns' >/etc/nsswitch.conf
    mount -t proc proc /proc; mount --bind /proc/$$/net /proc/1/net; blue=$(ip -o link show blue | cut -d: -f1)
    mount -t tmpfs tmpfs /var/lib; mkdir -p /run/systemd/resolve/netif /run/systemd/netif/links /run/NetworkManager/devices
    mkdir -p /var/lib/dhcp /var/lib/NetworkManager; chown 101 /run/systemd/resolve /run/systemd/resolve/netif
    chown -R 102 /run/systemd/netif; chmod -R go=rX /run /var/lib; umask 022";
/// Who writes what, in the order in which they are believed.
const GIVEN: [(&str, &str); 4] = [
    (
        "systemd-resolved",
        "echo 'SERVERS=192.0.2.1 fe80::1%3:5353 [2001:db8::1]:53#dns.example' >/run/systemd/resolve/netif/$blue
         echo 'DOMAINS=~. one.example' >>/run/systemd/resolve/netif/$blue; chown 101 /run/systemd/resolve/netif/$blue",
    ),
    (
        "systemd-networkd",
        "printf 'DNS=192.0.2.2 2001:db8::1\\nDOMAINS=one.example\\n' >/run/systemd/netif/links/$blue
         chown 102 /run/systemd/netif/links/$blue",
    ),
    (
        "NetworkManager",
        "uuid=7e73a292-0051-3bb8-8369-5e9349961078
         printf \"[device]\\nconnection-uuid=$uuid\\n\" >/run/NetworkManager/devices/$blue
         printf 'DNS=192.0.2.3 2001:db8::1\\nDOMAINNAME=one.example\\n' >/var/lib/NetworkManager/internal-$uuid-blue.lease",
    ),
    (
        "dhclient",
        "printf 'lease {\\n  interface \"blue\";\\n  option domain-name-servers 192.0.2.4, 2001:db8::1;\\n  option \
         domain-name \"one.example\";\\n  expire never;\\n}\\n' >/var/lib/dhcp/dhclient.blue.leases",
    ),
];
const SHOWN: &str = "vrfrun --interface blue cat /etc/resolv.conf";
const UNREACHED: &str = "vrfrun: warning: names may not be resolved in 'blue': the name server 127.0.0.53 of \
                         /etc/resolv.conf is not in it\n\
                         hint: put the VRF's own name servers into /etc/vrf/blue/resolv.conf, or give --dns ADDR\n";

#[test]
fn where_a_stub_would_not_be_reached_the_interfaces_own_servers_are_taken_in_order() {
    for first in 0..GIVEN.len() {
        let written: Vec<&str> = GIVEN[first..].iter().map(|(_, write)| *write).collect();
        let setting = format!("{STUB}\n{}", written.join("\n"));
        let (source, number) = (GIVEN[first].0, first + 1);
        for who in EVERYBODY {
            let seen = play_after(&setting, who, &format!("{SHOWN}; cat /etc/resolv.conf"));
            seen.prints(&format!(
                "nameserver 192.0.2.{number}\nnameserver 2001:db8::1\nsearch one.example\nnameserver 127.0.0.53\n"
            ));
            assert_eq!(seen.stderr(), "", "{seen}");
            let said = play_after(&setting, who, "vrfrun -v --interface blue true").stderr();
            let line = format!(
                "vrfrun: names are resolved by 192.0.2.{number}, 2001:db8::1 (of blue, by {source})\nvrfrun: mechanism="
            );
            assert!(said.starts_with(&line), "{said}");
        }
    }
}

#[test]
fn what_is_asked_for_or_the_vrf_has_comes_before_servers_that_are_found() {
    let setting = format!("{STUB}\n{}", GIVEN[1].1);
    let own = format!("{setting}\nmkdir -p /etc/vrf/blue; echo nameserver 192.0.2.9 >/etc/vrf/blue/resolv.conf");
    for who in EVERYBODY {
        play_after(&own, who, SHOWN).prints("nameserver 192.0.2.9\n");
        let asked = "vrfrun --dns 192.0.2.8 --interface blue cat /etc/resolv.conf";
        play_after(&own, who, asked).prints("nameserver 192.0.2.8\n");
        let left = play_after(&setting, who, "vrfrun --no-etc --interface blue cat /etc/resolv.conf");
        left.prints("nameserver 127.0.0.53\n");
        assert_eq!(left.stderr(), "", "{left}");
        play_after(&setting, who, "vrfrun default cat /etc/resolv.conf").prints("nameserver 127.0.0.53\n");
    }
    // Another file of the VRF's own is no resolver: both are put in place.
    let hosts = format!("{setting}\nmkdir -p /etc/vrf/blue; echo 192.0.2.9 own >/etc/vrf/blue/hosts");
    for who in EVERYBODY {
        play_after(&hosts, who, "vrfrun --interface blue sh -c 'cat /etc/hosts; head -n 1 /etc/resolv.conf'")
            .prints("192.0.2.9 own\nnameserver 192.0.2.2\n");
    }
}

#[test]
fn an_inner_run_has_the_servers_of_its_own_interface_or_the_systems_again() {
    let red = "red=$(ip -o link show red | cut -d: -f1); echo DNS=192.0.2.6 >/run/systemd/netif/links/$red";
    let inner = |setting: &str, run: &str| {
        let setting = format!("{STUB}\n{}\n{setting}", GIVEN[1].1);
        play_after(&setting, Who::Root, &format!("vrfrun -m bpf --interface blue {run} cat /etc/resolv.conf"))
    };
    inner(red, "vrfrun -m bpf --interface red").prints("nameserver 192.0.2.6\n");
    inner(red, "vrfrun default").prints("nameserver 127.0.0.53\n");
    inner(red, "vrfrun --interface blue").prints("nameserver 192.0.2.2\nnameserver 2001:db8::1\nsearch one.example\n");
    let mounts = "grep -c ' /etc/resolv.conf ' /proc/self/mountinfo";
    let setting = format!("{STUB}\n{}\n{red}", GIVEN[1].1);
    let counted = |runs: &str| play_after(&setting, Who::Root, &format!("{runs} {mounts}"));
    let once = counted("vrfrun -m bpf --interface blue").stdout();
    counted("vrfrun -m bpf --interface blue vrfrun -m bpf --interface red").prints(&once);
    let without = inner("", "vrfrun -m bpf --interface red");
    without.prints("nameserver 127.0.0.53\n");
    assert_eq!(without.stderr(), UNREACHED.replace("blue", "red"), "{without}");
}

/// A resolver that is reached is left as it is, whatever a port was given; but no daemon may answer from outside.
#[test]
fn servers_are_taken_where_a_daemon_would_be_asked_and_nowhere_else() {
    let setting = format!("{STUB}\n{}\necho nameserver 192.0.2.7 >/etc/resolv.conf", GIVEN[1].1);
    let asked = format!(
        "{setting}\nmkdir -p /run/avahi-daemon; chmod 755 /run/avahi-daemon
         echo 'hosts: files mdns dns' >/etc/nsswitch.conf
         python3 -c 'import os, socket; s = socket.socket(socket.AF_UNIX); s.bind(\"/run/avahi-daemon/socket\")'"
    );
    for who in EVERYBODY {
        play_after(&setting, who, SHOWN).prints("nameserver 192.0.2.7\n");
        let seen =
            play_after(&asked, who, "vrfrun --interface blue sh -c 'cat /etc/resolv.conf; ls -l /run/avahi-daemon'");
        assert!(seen.stdout().starts_with("nameserver 192.0.2.2\n") && seen.stdout().contains("\ncrw"), "{seen}");
    }
}

#[test]
fn files_that_are_not_the_systems_or_not_of_this_network_are_not_believed() {
    let state = "/run/systemd/netif/links/$blue";
    for change in [
        format!("chmod 666 {state}"),
        format!("chmod 664 {state}"),
        format!("chown 65534 {state}"),
        format!("mv {state} /srv/state; ln -s /srv/state {state}"),
        format!("rm {state}; mkfifo {state}"),
        format!("rm {state}; mkdir {state}"),
        format!("echo DNS=127.0.0.53 ::1 192.0.2.2:54 fe80::2%lo x >{state}"),
        format!("head -c 2000000 /dev/zero | tr '\\0' '\\n' >>{state}"),
        "chmod 777 /run/systemd".into(),
        "chown 65534 /run/systemd".into(),
        "umount /proc/1/net".into(),
    ] {
        let setting = format!("{STUB}\n{}\n{change}", GIVEN[1].1);
        for who in EVERYBODY {
            let seen = play_after(&setting, who, SHOWN);
            seen.prints("nameserver 127.0.0.53\n");
            assert_eq!(seen.stderr(), UNREACHED, "{change}: {seen}");
        }
    }
}

/// As systemd has it, resolved's files are closed to plain users, who ask it by the bus.
#[test]
fn a_bus_that_is_not_there_or_does_not_answer_keeps_no_program_from_running() {
    let closed = format!("{STUB}\n{}\n{}\nchmod 700 /run/systemd/resolve/netif", GIVEN[0].1, GIVEN[1].1);
    // It ends with the scene's shell, whose child it is.
    let bus = |then: &str| {
        format!(
            "{closed}\nmkdir -m 755 /run/dbus; python3 -c 'if True:
                import ctypes, os, socket, time
                ctypes.CDLL(None).prctl(1, 9); os.umask(0)
                s = socket.socket(socket.AF_UNIX); s.bind(\"/run/dbus/system_bus_socket\"); s.listen(0); {then}
                open(\"/run/listens\", \"w\"); time.sleep(600)' >/dev/null 2>&1 &
             until [ -e /run/listens ]; do sleep 0.01; done"
        )
    };
    let full = "c = socket.socket(socket.AF_UNIX); c.connect(s.getsockname())";
    let (stuck, full) = (bus(""), bus(full));
    for setting in [closed, stuck, full] {
        let first = format!("{SHOWN} | head -n 1");
        play_after(&setting, Who::Root, &first).prints("nameserver 192.0.2.1\n");
        play_after(&setting, Who::User, &first).prints("nameserver 192.0.2.2\n");
    }
}

/// Nobody asked for them: a program that would be worse off, or a system that forbids it, does without.
#[test]
fn servers_that_cannot_be_put_in_place_keep_no_program_from_running() {
    let setting = format!("{STUB}\n{}", GIVEN[1].1);
    let found = "vrfrun: warning: names may not be resolved in 'blue': the name server 127.0.0.53 of /etc/resolv.conf is \
                 not in it; 192.0.2.2, 2001:db8::1 (of blue, by systemd-networkd) is not used: ";
    // What a system says that forbids user namespaces.
    let forbid = "strace -qq -o /dev/null -f -e trace=unshare -e inject=unshare:error=EPERM";
    let ssh =
        format!("{setting}\nmkdir -p /etc/ssh/ssh_config.d; echo >/etc/ssh/ssh_config.d/a.conf; cp /bin/cat /srv/ssh");
    let told = [
        (&setting, forbid, "cat", "cannot make a user namespace: Operation not permitted\nhint: vrfrun --no-etc …\n"),
        (&ssh, "", "/srv/ssh", "ssh would refuse '/etc/ssh/ssh_config.d/a.conf'\nhint: vrfrun --dns ADDR … ssh -F"),
    ];
    for (setting, how, program, why) in told {
        let script = format!("vrfrun --interface blue {program} /etc/resolv.conf");
        let seen = play_after(setting, Who::User, &format!("{how} {script}"));
        seen.prints("nameserver 127.0.0.53\n");
        assert!(seen.stderr().starts_with(&format!("{found}{why}")), "{seen}");
        play_after(setting, Who::Root, &script)
            .prints("nameserver 192.0.2.2\nnameserver 2001:db8::1\nsearch one.example\n");
    }
}

#[test]
fn explain_says_which_servers_would_be_taken() {
    let setting = format!("{STUB}\n{}", GIVEN[0].1);
    for who in EVERYBODY {
        let seen = play_after(&setting, who, "vrfrun --explain --interface blue; cat /etc/resolv.conf");
        let line = "\n  names would be resolved by 192.0.2.1, 2001:db8::1 (of blue, by systemd-resolved)\n";
        assert!(seen.stdout().contains(line) && seen.stdout().ends_with("nameserver 127.0.0.53\n"), "{seen}");
        let seen = play_after(&setting, who, "vrfrun --explain -j --interface blue");
        let json: serde_json::Value = serde_json::from_str(&seen.stdout()).unwrap();
        assert_eq!(json["name_servers"], serde_json::json!(["192.0.2.1", "2001:db8::1"]), "{seen}");
        let seen = play_after(&setting, who, "vrfrun --explain -j --no-etc --interface blue");
        assert!(serde_json::from_str::<serde_json::Value>(&seen.stdout()).unwrap()["name_servers"].is_null(), "{seen}");
    }
}
