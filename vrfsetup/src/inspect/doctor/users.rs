//! Users whose sockets are in a VRF: where one is not there, what the kernel has of them is not what it should be, and what
//! the next boot would make differs from both.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;
use vrfabi::group::DEFAULT_DOMAIN;

use super::Finding;
use crate::model::place::Place;
use crate::model::ports;
use crate::model::shell::word;
use crate::model::user_line::UserLine;
use crate::plan::system::System;
use crate::sys::accounts;
use crate::sys::netlink::KernelError;
use crate::sys::users::{self, Assigned, State};

const REFRESH: &str = "vrfsetup user --refresh";
const FILE: &str = "/etc/vrf/vrf.toml";
const UNIT: &str = "/etc/systemd/system/sysinit.target.wants/vrfsetup-early.service";

/// What a boot makes: users by number, each with its place.
type Declared = BTreeMap<u32, Place>;

/// All findings about them; none where the kernel's may not be read.
pub fn all(system: &System) -> Vec<Finding> {
    let state = match users::seen() {
        Ok(Some(state)) => state,
        Ok(None) => return Vec::new(),
        Err(error) => return vec![unread(&error)],
    };
    let mut findings = of_kernel(system, &state);
    if let Some(error) = &state.unread {
        // What a boot would make cannot be compared with it.
        findings.push(unread(error));
        return findings;
    }
    if let Ok(text) = fs::read_to_string(FILE) {
        let Some(declared) = declared(&text) else { return findings };
        findings.extend(of_boot(&state, &declared));
        let boots_alone = Path::new("/run/systemd/system").exists() && fs::symlink_metadata(UNIT).is_err();
        if boots_alone && !declared.is_empty() {
            let what = "users of [user] in /etc/vrf/vrf.toml are in no VRF after a boot: vrfsetup is not enabled";
            findings.push(Finding::new("user-boot", what, "systemctl enable vrfsetup"));
        }
    }
    findings
}

fn unread(error: &KernelError) -> Finding {
    let what = format!("nobody can tell who is in a VRF, or whose logins have files: {error}");
    Finding::new("user-unread", what, "make what is named readable, then: vrfsetup user")
}

/// None of a file with a mistake: `apply` names it.
fn declared(text: &str) -> Option<Declared> {
    let table: toml::Table = text.parse().ok()?;
    let users = table.get("user").and_then(|users| users.as_table()).into_iter().flatten();
    let place = |line: &toml::Value| Some(UserLine::deserialize(line.clone()).ok()?.0);
    Some(users.filter_map(|(name, line)| Some((accounts::look_up(name)?.uid, place(line)?))).collect())
}

fn of_boot(state: &State, declared: &Declared) -> Vec<Finding> {
    let has = |uid: u32, place: &Place| state.of(uid).is_some_and(|user| user.place() == *place);
    let lacking = declared.iter().filter(|(uid, place)| !has(**uid, place)).map(|(uid, place)| {
        let name = accounts::name_of(*uid);
        let what = match state.of(*uid).is_some_and(|user| user.vrf == place.vrf) {
            false => format!("user '{name}' is not in the VRF, as {FILE} has it"),
            true => format!("what user '{name}' may, or its logins have, is not as {FILE} has it"),
        };
        Finding::new("user-not-applied", what, format!("vrfsetup apply {FILE}")).about(&place.vrf)
    });
    let is_unkept = |user: &&Assigned| !user.place().is_nowhere() && !declared.contains_key(&user.uid);
    let unkept = state.users.iter().filter(is_unkept).map(|user| {
        let name = accounts::name_of(user.uid);
        let what = format!("user '{name}' is in the VRF until the next boot: [user] in {FILE} does not have it");
        Finding::new("user-not-kept", what, format!("vrfsetup export, for the line '{name} = …'")).about(&user.vrf)
    });
    lacking.chain(unkept).collect()
}

fn of_kernel(system: &System, state: &State) -> Vec<Finding> {
    let mut findings: Vec<Finding> = state.users.iter().filter_map(|user| of(system, user)).collect();
    if state.lacks_programs {
        let what = "somebody has detached programs of 'vrfsetup user': sockets of users leave by the default domain";
        findings.push(Finding::new("user-programs", what, REFRESH));
    }
    findings.extend(of_ports(system, state));
    findings
}

/// What is said of packets, where there are users.
fn of_ports(system: &System, state: &State) -> Option<Finding> {
    if state.users.is_empty() || state.is_out_of_sight {
        return None;
    }
    let Some(known) = &state.ports else {
        let what =
            "the kernel cannot keep users' packets in their VRFs: IP_PKTINFO and others are open (vrfsetup(8), USERS)";
        return Some(Finding::new("user-unguarded", what, "a kernel from Linux 5.10 on"));
    };
    let ports = ports::of(&system.links);
    let differing =
        known.iter().filter(|port| !ports.contains(port)).chain(ports.iter().filter(|port| !known.contains(port)));
    let mut names: Vec<String> = differing.map(|(port, _)| name_of(system, *port)).collect();
    names.dedup();
    let what =
        format!("packets of users leave by the ports that the VRFs had before others changed: {}", names.join(", "));
    (!names.is_empty()).then(|| Finding::new("user-ports", what, REFRESH))
}

fn name_of(system: &System, ifindex: u32) -> String {
    system.link_by_index(ifindex).map_or_else(|| format!("interface {ifindex}"), |link| link.name.clone())
}

fn of(system: &System, user: &Assigned) -> Option<Finding> {
    let name = accounts::name_of(user.uid);
    if user.place().is_nowhere() {
        let what = format!("user '{name}' is closed, all its sockets fail: its line in [user] of {FILE} has a mistake");
        return Some(Finding::new("user-closed", what, format!("vrfsetup apply {FILE}, which names it")));
    }
    let index = system.link(&user.vrf).filter(|link| link.is_vrf() && link.name == user.vrf).map(|link| link.ifindex);
    let (finding, what, fix) = match index {
        None => {
            let fix = format!("vrfsetup add {}; or vrfsetup user --remove {}", word(&user.vrf), word(&name));
            ("user-without-vrf", format!("all sockets of user '{name}' fail: there is no such VRF"), fix)
        }
        Some(_) if index != user.ifindex => {
            let what = format!("all sockets of user '{name}' fail: the VRF was made again since");
            ("user-stale", what, REFRESH.to_owned())
        }
        Some(_) if user.has_stale_group() => {
            let is_own = user.group.is_some_and(|gid| accounts::is_primary_group(user.uid, gid).unwrap_or_default());
            let what = match is_own {
                true => format!("user '{name}' has all of its processes outside the VRF, by its primary group"),
                false => format!("a group that is no more '{DEFAULT_DOMAIN}' leads user '{name}' out of the VRF"),
            };
            ("user-group", what, REFRESH.to_owned())
        }
        Some(_) => return None,
    };
    Some(Finding::new(finding, what, fix).about(&user.vrf))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::link::Link;
    use crate::model::place::NOWHERE;

    #[test]
    fn each_way_of_being_cut_off_is_told_apart() {
        let system = System::new(vec![Link::plain(7, "blue", Some(10)), Link::plain(8, "red", None)], vec![]);
        let finding = |vrf: &str, ifindex, lacks_programs| {
            let users =
                vec![Assigned { uid: 4_294_967_000, vrf: vrf.to_owned(), ifindex, group: None, has_etc: false }];
            of_kernel(&system, &State { users, lacks_programs, ports: Some(Vec::new()), ..State::default() })
                .into_iter()
                .map(|finding| finding.finding)
                .collect::<Vec<_>>()
        };
        assert_eq!(finding("blue", Some(7), false), [""; 0]);
        assert_eq!(finding("blue", Some(6), false), ["user-stale"]);
        assert_eq!(finding("blue", None, true), ["user-stale", "user-programs"]);
        assert_eq!(finding("red", Some(8), false), ["user-without-vrf"]);
        assert_eq!(finding("green", None, false), ["user-without-vrf"]);
        assert_eq!(finding(NOWHERE, None, false), ["user-closed"]);
    }

    #[test]
    fn ports_that_others_have_changed_and_a_kernel_without_a_guard_are_told() {
        let port = Link { master: Some(7), ..Link::plain(3, "eth1", None) };
        let system = System::new(vec![Link::plain(7, "blue", Some(10)), port], vec![]);
        let users = vec![Assigned {
            uid: 4_294_967_000,
            vrf: "blue".to_owned(),
            ifindex: Some(7),
            group: None,
            has_etc: false,
        }];
        let said = |ports| {
            let state = State { users: users.clone(), ports, ..State::default() };
            of_kernel(&system, &state).pop().map(|found| (found.finding, found.what))
        };
        assert_eq!(said(Some(vec![(3, 7)])), None);
        assert_eq!(said(None).map(|found| found.0), Some("user-unguarded"));
        for (known, name) in [(vec![], "eth1"), (vec![(3, 7), (9, 7)], "interface 9"), (vec![(3, 8)], "eth1")] {
            let (finding, what) = said(Some(known)).expect("a finding");
            assert!(finding == "user-ports" && what.ends_with(&format!("changed: {name}")), "{what}");
        }
    }

    #[test]
    fn what_the_next_boot_would_make_otherwise_is_told() {
        let user =
            |uid, vrf: &str| Assigned { uid, vrf: vrf.to_owned(), ifindex: Some(7), group: None, has_etc: false };
        let users = vec![user(4_294_967_000, "blue"), user(4_294_967_001, "blue"), user(4_294_967_002, NOWHERE)];
        let state = State { users, ..State::default() };
        let said = |text: &str| {
            of_boot(&state, &declared(text).expect("TOML")).into_iter().map(|said| said.finding).collect::<Vec<_>>()
        };
        let both = "[user]\n4294967000 = \"blue\"\n4294967001 = \"blue\"\n";
        assert_eq!(said(both), [""; 0]);
        assert_eq!(said(&both.replace("7001 = \"blue\"", "7001 = \"red\"")), ["user-not-applied"]);
        assert_eq!(said(&both.replace("7001 = \"blue\"", "7001 = { vrf = \"blue\" }")), [""; 0]);
        let leaves = both.replace("7001 = \"blue\"", "7001 = { vrf = \"blue\", allow-default = true }");
        assert_eq!(said(&leaves), ["user-not-applied"]);
        assert_eq!(said("[user]\n4294967000 = \"blue\"\n"), ["user-not-kept"]);
        assert_eq!(said("[vrf.blue]\n"), ["user-not-kept"; 2]);
    }
}
