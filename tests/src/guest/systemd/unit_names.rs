//! `vrfsetup unit` and what systemd calls its units: no drop-in where nothing reads it, none over somebody else's.

use std::fs;
use std::os::unix::fs::symlink;

use super::guest_tests;
use super::machine::{Machine, machine, systemctl};
use crate::guest::setup::{json, vrfsetup};
use crate::harness::world::Kind;

guest_tests! {
    a_unit_that_systemd_does_not_know_is_refused,
    aliases_and_templates_are_resolved,
    a_drop_in_of_somebody_else_is_left_alone,
    a_dry_run_is_json_where_it_is_asked_for,
}

const UNITS: &str = "/etc/systemd/system";

/// A service, a template, and an alias of each.
fn furnished() -> Machine {
    let mut world = machine(Kind::Vrfs);
    for unit in ["vrftest-own.service", "vrftest-own@.service"] {
        fs::write(format!("{UNITS}/{unit}"), "[Service]\nExecStart=/bin/sleep 60\n").expect("a unit");
        let alias = format!("{UNITS}/{}", unit.replace("own", "alias"));
        symlink(unit, alias).expect("an alias");
    }
    systemctl(&mut world, 0, "daemon-reload");
    world
}

fn drop_in(unit: &str) -> String {
    format!("{UNITS}/{unit}.d/50-vrf.conf")
}

fn has_drop_in(unit: &str) -> bool {
    fs::exists(drop_in(unit)).expect("a directory")
}

fn a_unit_that_systemd_does_not_know_is_refused() {
    let mut world = furnished();
    for unit in ["vrftest-nosuch", "vrftest-nosuch@x.service", "vrftest-nosuch@.service", "vrftest-nosuch.socket"] {
        vrfsetup(&mut world, 2, &format!("unit blue {unit}")).assert_says(2, "systemd knows no unit 'vrftest-nosuch");
    }
    vrfsetup(&mut world, 2, "unit blue vrftest-own vrftest-nosuch");
    assert!(!has_drop_in("vrftest-own.service") && !has_drop_in("vrftest-nosuch.service"));
}

fn aliases_and_templates_are_resolved() {
    let mut world = furnished();
    for (named, own) in [
        ("vrftest-alias", "vrftest-own.service"),
        ("vrftest-alias@.service", "vrftest-own@.service"),
        ("vrftest-own@7", "vrftest-own@7.service"),
    ] {
        vrfsetup(&mut world, 0, &format!("unit blue {named}"));
        assert!(has_drop_in(own), "{named}");
        assert!(!has_drop_in("vrftest-alias.service") && !has_drop_in("vrftest-alias@.service"), "{named}");
        vrfsetup(&mut world, 0, &format!("unit --remove blue {named}"));
        assert!(!has_drop_in(own), "{named}");
    }
    // One that is gone may have left its drop-in.
    vrfsetup(&mut world, 0, "unit blue vrftest-own");
    fs::remove_file(format!("{UNITS}/vrftest-alias.service")).expect("an alias");
    fs::remove_file(format!("{UNITS}/vrftest-own.service")).expect("a unit");
    systemctl(&mut world, 0, "daemon-reload");
    vrfsetup(&mut world, 0, "unit --remove blue vrftest-own");
    assert!(!has_drop_in("vrftest-own.service"));
}

fn a_drop_in_of_somebody_else_is_left_alone() {
    let mut world = furnished();
    let path = drop_in("vrftest-own.service");
    fs::create_dir_all(format!("{UNITS}/vrftest-own.service.d")).expect("a directory");
    let foreign = "# mine\n[Service]\nNice=5\n";
    fs::write(&path, foreign).expect("a drop-in");
    vrfsetup(&mut world, 1, "unit blue vrftest-own").assert_says(1, &format!("'{path}' is not by vrfsetup"));
    vrfsetup(&mut world, 0, "unit --remove blue vrftest-own");
    assert_eq!(fs::read_to_string(&path).expect("a drop-in"), foreign);
    fs::remove_dir_all(format!("{UNITS}/vrftest-own.service.d")).expect("a directory");
}

fn a_dry_run_is_json_where_it_is_asked_for() {
    let mut world = furnished();
    let shown = json(&vrfsetup(&mut world, 3, "unit blue vrftest-own --dry-run -j"));
    let files = shown.as_array().expect("an array");
    let path = drop_in("vrftest-own.service");
    assert!(files.iter().any(|file| file["path"] == path.as_str() && file["text"].is_string()), "{shown}");
    assert!(!has_drop_in("vrftest-own.service"));
    vrfsetup(&mut world, 0, "unit blue vrftest-own");
    let shown = json(&vrfsetup(&mut world, 0, "unit blue vrftest-own --dry-run -j"));
    assert_eq!(shown, serde_json::json!([]));
    vrfsetup(&mut world, 0, "unit --remove blue vrftest-own");
}
