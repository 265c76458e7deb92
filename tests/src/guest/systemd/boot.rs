//! What a boot with vrfsetup.service has made. These come first: a world takes the machine's own interface away.

use std::process::Command;

use serde_json::Value;

use super::guest_tests;
use crate::guest::setup::{assert_same, state_by};

guest_tests! {
    the_boot_has_made_what_the_file_declares,
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
    assert_eq!(said(&["systemctl", "is-active", "vrfsetup.service"]), "active\n");
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
        assert!(preferences.starts_with(&[&1000.into(), &2000.into(), &32765.into()]), "{family}: {rules}");
    }
}

fn applied_again_it_changes_nothing() {
    let before = state_by(ip);
    said(&["systemctl", "reload", "vrfsetup.service"]);
    assert!(said(&["vrfsetup", "apply", "/etc/vrf/vrf.toml"]).contains("unchanged: nothing to do"));
    assert_same(&before, &state_by(ip));
}
