//! What a boot with vrfsetup.service has made. These come first: a world takes the machine's own interface away.

use std::fs;
use std::process::Command;

use serde_json::Value;

use super::guest_tests;
use crate::guest::booted::{AT_BOOT, SOCKET};
use crate::guest::setup::{assert_same, state_here};
use crate::harness::wait;

guest_tests! {
    the_boot_has_made_what_the_file_declares,
    a_user_is_in_its_vrf_before_anybody_can_log_in,
    a_rollback_after_the_boot_has_nothing_to_undo,
    the_boot_has_named_what_it_left_out,
    no_unit_is_in_an_ordering_cycle,
    a_port_that_comes_later_is_put_into_its_vrf,
    a_tunnel_that_comes_later_names_its_vrf,
    applied_again_it_changes_nothing,
}

fn ip(arguments: &str) -> Value {
    let output = Command::new("ip").arg("-j").args(arguments.split(' ')).output().expect("ip");
    assert!(output.status.success(), "ip -j {arguments}: {output:?}");
    serde_json::from_slice(&output.stdout).unwrap_or_default()
}

/// The standard output of a command that must succeed.
fn said(words: &[&str]) -> String {
    let output = Command::new(words[0]).args(&words[1..]).output().expect("a command");
    assert!(output.status.success(), "{words:?}: {output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn the_boot_has_made_what_the_file_declares() {
    assert_eq!(said(&["systemctl", "is-active", SOCKET]), "active\n");
    assert!(said(&["ss", "-Hltn", "sport = :7077"]).contains("%boot"));
    for (key, value) in
        [("vrf/strict_mode", "1"), ("ipv4/conf/boot/rp_filter", "2"), ("ipv6/conf/boot/hop_limit", "77")]
    {
        assert_eq!(fs::read_to_string(format!("/proc/sys/net/{key}")).expect(key).trim(), value, "{key}");
    }
    let vrf = &ip("-d link show dev boot")[0];
    assert_eq!(
        (vrf["linkinfo"]["info_kind"].as_str(), &vrf["linkinfo"]["info_data"]["table"]),
        (Some("vrf"), &77.into())
    );
    let port = &ip("addr show dev eth0")[0];
    assert_eq!(port["master"], "boot");
    assert!(port["flags"].as_array().is_some_and(|flags| flags.contains(&"UP".into())), "{port}");
    assert!(port["addr_info"].to_string().contains("\"203.0.113.9\""), "{port}");
    assert_eq!(ip("-4 route show table 77 default metric 0")[0]["gateway"], "203.0.113.1");
    for family in ["-4", "-6"] {
        let rules = ip(&format!("{family} rule show"));
        let preferences: Vec<_> = rules.as_array().expect("rules").iter().map(|rule| &rule["priority"]).collect();
        assert!(preferences.starts_with(&[&0.into(), &0.into(), &0.into(), &1000.into()]), "{family}: {rules}");
        assert_eq!(rules[2]["table"], "local", "{family}: {rules}");
    }
}

fn a_user_is_in_its_vrf_before_anybody_can_log_in() {
    assert_eq!(said(&["vrfsetup", "user"]), format!("{:16}  boot\n", "4711"));
    // 25 is SO_BINDTODEVICE.
    let script = r#"socket(S, PF_INET, SOCK_DGRAM, 0) or die; print unpack("Z*", getsockopt(S, SOL_SOCKET, 25)), "\n""#;
    let perl = ["perl", "-MSocket", "-e", script];
    assert_eq!(said(&[&["setpriv", "--reuid=4711", "--regid=4711", "--clear-groups"], &perl[..]].concat()), "boot\n");
    assert_eq!(said(&perl), "\n");
    let at = |unit: &str, event: &str| {
        let said = said(&["systemctl", "show", "--value", &format!("--property={event}Monotonic"), unit]);
        said.trim().parse::<u64>().expect("a time")
    };
    let made = at("vrfsetup-early.service", "ExecMainExitTimestamp");
    let logins = at("systemd-user-sessions.service", "InactiveExitTimestamp");
    assert!(0 < made && made < logins, "{made} {logins}");
}

/// What the boot has made is not the user's last change.
fn a_rollback_after_the_boot_has_nothing_to_undo() {
    let before = state_here();
    let output = Command::new("vrfsetup").arg("rollback").output().expect("vrfsetup");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("no change to undo"), "{output:?}");
    assert_same(&before, &state_here());
    let doctor = Command::new("vrfsetup").arg("doctor").output().expect("vrfsetup");
    assert!(!String::from_utf8_lossy(&doctor.stdout).contains("the change '"), "{doctor:?}");
}

/// One of vrfsetup.service; several at once come in an order that differs between releases.
fn property(name: &str) -> String {
    said(&["systemctl", "show", &format!("--property={name}"), "--value", "vrfsetup.service"])
}

/// A boot takes an interface that is not there for one that comes later; a mistake is a failure.
fn the_boot_has_named_what_it_left_out() {
    let journal = said(&["journalctl", "--boot", "--no-pager", "--output=cat", "--unit=vrfsetup.service"]);
    for wanted in ["no interface 'late0' yet for VRF 'late'", "left out: /etc/vrf/vrf.toml:17: unknown field `tabel`"] {
        assert!(journal.contains(wanted), "{wanted} is not in the journal: {journal}");
    }
    assert_eq!((property("Result"), property("ExecMainStatus")), ("exit-code\n".into(), "1\n".into()));
    assert_eq!(ip("-d link show dev late")[0]["linkinfo"]["info_data"]["table"], 78);
    let output = Command::new("ip").args(["link", "show", "dev", "broken"]).output().expect("ip");
    assert!(!output.status.success(), "{output:?}");
    // The same without the mistake.
    fs::write("/etc/vrf/vrf.toml", AT_BOOT.replace("tabel", "table")).expect("the file");
    said(&["systemctl", "restart", "vrfsetup.service"]);
    assert_eq!((property("ActiveState"), property("ExecMainStatus")), ("active\n".into(), "3\n".into()));
}

/// systemd breaks a cycle by not starting one of its units, and says so in the journal only.
fn no_unit_is_in_an_ordering_cycle() {
    let journal = said(&["journalctl", "--boot", "--no-pager", "--output=cat"]);
    assert!(!journal.contains("ordering cycle"), "{journal}");
    // What the socket was booted with is what is made of it.
    assert_eq!(said(&["vrfsetup", "unit", "boot", SOCKET, "--dry-run"]), "");
    said(&["vrfsetup", "unit", "boot", "systemd-timesyncd", "ssh"]);
    let units = [
        SOCKET,
        "systemd-timesyncd.service",
        "ssh.service",
        "vrfsetup.service",
        "vrfsetup-early.service",
        "vrfsetup-port@late0.service",
        "NetworkManager.service",
        "systemd-networkd.service",
        "networking.service",
        "multi-user.target",
    ];
    let verify = ["systemd-analyze", "verify", "--man=no"];
    let output = Command::new(verify[0]).args(&verify[1..]).args(units).output().expect("systemd-analyze");
    let said_of_them = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!said_of_them.contains("cycle"), "{said_of_them}");
    for unit in ["vrfsetup", "vrftest"] {
        let lines: Vec<&str> = said_of_them.lines().filter(|line| line.contains(unit)).collect();
        assert!(lines.is_empty(), "{lines:?}");
    }
    said(&["systemctl", "start", "systemd-timesyncd"]);
    assert_eq!(said(&["systemctl", "is-active", "systemd-timesyncd"]), "active\n");
    said(&["systemctl", "stop", "systemd-timesyncd"]);
    said(&["vrfsetup", "unit", "boot", "systemd-timesyncd", "ssh", "--remove"]);
}

/// Those of ports that are in this state.
fn units(state: &str) -> String {
    let state = format!("--state={state}");
    said(&["systemctl", "list-units", "--plain", "--no-legend", &state, "vrfsetup-port@*"])
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    wait::until(|| (is_so(), what, ip("addr show")), |(is_so, ..)| *is_so);
}

/// By udev, as often as it comes, and by its new name if it is renamed.
fn a_port_that_comes_later_is_put_into_its_vrf() {
    let is_in = || {
        ip("link show")
            .as_array()
            .into_iter()
            .flatten()
            .any(|link| link["ifname"] == "late0" && link["master"] == "late")
    };
    let has_route = || ip("-4 route show table 78 default metric 0")[0]["gateway"] == "192.0.2.1";
    said(&["vrfsetup", "add", "mine"]);
    for name in ["late0", "late0", "other0"] {
        said(&["ip", "link", "add", name, "type", "dummy"]);
        if name != "late0" {
            said(&["ip", "link", "set", name, "name", "late0"]);
        }
        wait_until("the port", || is_in() && has_route());
        // One that is still at its end would be the next one's.
        said(&["udevadm", "settle"]);
        wait_until("the end of its unit", || units("activating").is_empty());
        said(&["ip", "link", "del", "late0"]);
    }
    // Nobody's interface starts nothing.
    said(&["ip", "link", "add", "nobodys0", "type", "dummy"]);
    said(&["udevadm", "settle"]);
    let started = said(&["systemctl", "list-units", "--all", "--plain", "--no-legend", "vrfsetup-port@*"]);
    assert!(!started.contains("nobodys0"), "{started}");
    said(&["ip", "link", "del", "nobodys0"]);
    said(&["ip", "link", "add", "late0", "type", "dummy"]);
    wait_until("the port", || is_in() && has_route());
    // The user's last change is the last one still.
    assert!(said(&["vrfsetup", "rollback"]).contains("'vrfsetup add mine' is undone"));
    assert!(is_in() && has_route());
}

/// By udev, too. Until then nobody knows of what kind it is, and it is expected as if it were WireGuard's.
fn a_tunnel_that_comes_later_names_its_vrf() {
    let before = (state_here(), said(&["nft", "list", "ruleset"]));
    let right = fs::read_to_string("/etc/vrf/vrf.toml").expect("the file");
    let declared = "\n[tunnel]\nlater0 = \"boot\"\nlater1 = \"boot\"\nlater2 = \"boot\"\n";
    fs::write("/etc/vrf/vrf.toml", format!("{right}{declared}")).expect("the file");
    said(&["systemctl", "restart", "vrfsetup.service"]);
    let marks = || said(&["ip", "rule"]).matches("fwmark").count();
    assert_eq!(marks(), 6);
    let names = |name: &str| ip(&format!("link show {name}"))[0]["link"].as_str().unwrap_or_default().to_owned();
    let ends = ["local", "203.0.113.9", "remote", "203.0.113.1"];
    // Both at once, the second one up before anybody asks; one that was made for its VRF; nothing is done for WireGuard's.
    for (name, kind) in [("later0", "gre"), ("later1", "ipip")] {
        said(&[&["ip", "link", "add", name, "up", "type", kind], &ends[..]].concat());
    }
    wait_until("the tunnels", || names("later0") == "boot" && names("later1") == "boot");
    said(&["ip", "link", "add", "later2", "type", "wireguard"]);
    said(&["udevadm", "settle"]);
    wait_until("the end of its unit", || units("activating").is_empty() && marks() == 2);
    assert_eq!(units("failed"), "");
    let listed = said(&["vrfsetup", "tunnel"]);
    let named = "later0: outside in boot, gre, dev boot\nlater1: outside in boot, ipip, dev boot\nlater2: ";
    assert!(listed.starts_with(named) && listed.ends_with(", differs\n"), "{listed}");
    for name in ["later0", "later1", "later2"] {
        said(&["vrfsetup", "tunnel", name, "--remove"]);
        said(&["ip", "link", "del", name]);
    }
    fs::write("/etc/vrf/vrf.toml", right).expect("the file");
    said(&["systemctl", "restart", "vrfsetup.service"]);
    assert_same(&before.0, &state_here());
    assert_eq!(said(&["nft", "list", "ruleset"]), before.1);
}

fn applied_again_it_changes_nothing() {
    let before = state_here();
    said(&["systemctl", "reload", "vrfsetup.service"]);
    assert_same(&before, &state_here());
    // A mistake costs its own section only.
    said(&["ip", "route", "del", "default", "via", "203.0.113.1", "table", "77"]);
    let right = fs::read_to_string("/etc/vrf/vrf.toml").expect("the file");
    fs::write("/etc/vrf/vrf.toml", AT_BOOT).expect("the file");
    let reload = Command::new("systemctl").args(["reload", "vrfsetup.service"]).output().expect("systemctl");
    assert!(!reload.status.success(), "{reload:?}");
    fs::write("/etc/vrf/vrf.toml", right).expect("the file");
    assert!(said(&["vrfsetup", "apply", "/etc/vrf/vrf.toml"]).contains("unchanged: nothing to do"));
    assert_same(&before, &state_here());
}
