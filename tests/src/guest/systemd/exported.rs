//! `vrfsetup export` for those that make interfaces at boot: their own programs make of the files what was there.

use std::fs;

use super::guest_tests;
use super::machine::{Machine, machine, systemctl};
use crate::guest::setup::{assert_same, vrfsetup};
use crate::harness::judge::root;
use crate::harness::wait;
use crate::harness::world::{Kind, World};

guest_tests! {
    networkd_makes_of_its_files_what_was_there,
    ifupdown_makes_of_its_files_what_was_there,
}

pub const NETWORKD: &str = "/etc/systemd/network";
const IFUPDOWN: &str = "/etc/network/interfaces.d";

fn furnished() -> Machine {
    for directory in [NETWORKD, IFUPDOWN] {
        fs::create_dir_all(directory).expect("a directory");
    }
    let mut world = machine(Kind::Vrfs);
    world.ip("addr add 203.0.113.1/24 brd + dev blue0");
    world.ip("addr add 203.0.113.2/32 dev blue0 label blue0:x");
    world.ip("addr add 2001:db8:77::1/64 dev blue0 nodad");
    world.ip("addr add 127.0.0.1/8 dev blue");
    world.ip("addr add ::1/128 dev blue nodad");
    world.ip("addr add 192.0.2.1/32 dev red");
    world.ip("route add 198.18.0.0/15 via 203.0.113.254 table 10 metric 7 proto static src 203.0.113.1");
    world.ip("route add 192.0.2.128/25 dev red table 10");
    world.ip("route add blackhole 198.51.0.0/16 table 20");
    world.ip("route add 203.0.113.128/25 dev red");
    world.ip("route add 198.19.0.0/16 table 20 nexthop via 198.51.100.77 weight 3 nexthop via 198.51.100.78");
    world.ip("-6 route add 2001:db8:99::/48 via 2001:db8:77::fe table 10 src 2001:db8:77::1");
    world.ip("route add 198.20.0.0/16 via 198.51.100.9 dev red0 table 20 mtu 1400 onlink");
    vrfsetup(&mut world, 0, "rules fix");
    world
}

/// Removes what was exported.
pub fn remove_files(directory: &str) {
    for entry in fs::read_dir(directory).expect("a directory").flatten() {
        fs::remove_file(entry.path()).expect("an exported file");
    }
}

/// The VRFs and what their ports have is gone; the ports are there, as after a boot.
pub fn tear_down(world: &mut World) {
    for words in ["link del blue", "link del red", "link set blue0 down", "link set red0 down"] {
        world.ip(words);
    }
    for words in ["addr flush dev blue0", "addr flush dev red0"] {
        world.ip(words);
    }
    for words in
        ["-4 route flush table 10", "-6 route flush table 10", "-4 route flush table 20", "-6 route flush table 20"]
    {
        world.judge(&root(["ip"].into_iter().chain(words.split(' '))));
    }
}

/// Without what a VRF's device has of IPv6 link-local addresses: the kernel gives it none, whatever its mode is.
fn state(world: &World) -> String {
    let settled = |line: &str| match line.contains("\"info_kind\":\"vrf\"") {
        true => line.replace("\"inet6_addr_gen_mode\":\"none\"", "\"inet6_addr_gen_mode\":\"eui64\""),
        false => line.to_owned(),
    };
    crate::guest::setup::state(world).lines().map(settled).collect::<Vec<_>>().join("\n")
}

fn networkd_makes_of_its_files_what_was_there() {
    let mut world = furnished();
    let before = state(&world);
    vrfsetup(&mut world, 0, &format!("export --format networkd --directory {NETWORKD}"));
    tear_down(&mut world);
    systemctl(&mut world, 0, "start systemd-networkd.service");
    wait::until(|| state(&world), |state| *state == before);
    // networkd takes away rules that are not its own, but for those of protocol kernel.
    world.ip("rule add pref 5000 lookup 99 protocol static");
    systemctl(&mut world, 0, "restart systemd-networkd.service");
    // Nothing of what was there is missing. Of networkd's own doing: v252 has a route with an MTU twice then, and v262
    // takes away the kernel's local route of ::1.
    let missing = |now: &str| -> Vec<String> {
        let is_missing = |line: &&str| !now.lines().any(|other| other == *line);
        let missing = before.lines().filter(is_missing).filter(|line| !line.contains("\"dst\":\"::1\""));
        missing.map(str::to_owned).collect()
    };
    let foreign = "\"priority\":5000";
    let look = || state(&world);
    wait::until(|| (missing(&look()), look()), |(missing, now)| missing.is_empty() && !now.contains(foreign));
    systemctl(&mut world, 0, "stop systemd-networkd.service systemd-networkd.socket");
    remove_files(NETWORKD);
}

fn ifupdown_makes_of_its_files_what_was_there() {
    let mut world = furnished();
    let before = state(&world);
    vrfsetup(&mut world, 0, &format!("export --format ifupdown --directory {IFUPDOWN}"));
    tear_down(&mut world);
    let bare = state(&world);
    let up = world.judge(&root(["ifup", "-a", "--verbose"]));
    assert_eq!(up.code, 0, "{up}");
    wait::until(|| state(&world), |state| *state == before);
    let down = world.judge(&root(["ifdown", "-a", "--exclude=lo"]));
    assert_eq!(down.code, 0, "{down}");
    world.ip("link set blue0 down");
    world.ip("link set red0 down");
    for link in ["blue0", "red0"] {
        world.ip(&format!("addr flush dev {link}"));
    }
    assert_same(&bare, &state(&world));
    remove_files(IFUPDOWN);
}
