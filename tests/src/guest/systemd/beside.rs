//! vrfsetup beside those that configure networks themselves, the real programs: docs/beside-daemons.md tells what came
//! out. Before and after their reloads and restarts a VRF's table stays sealed, the rules stay as they are, and the
//! machine answers by its own addresses.

use std::fs;
use std::process::Command;
use std::time::Duration;

use super::guest_tests;
use super::machine::{Machine, machine, systemctl};
use crate::guest::setup::rules::{FIXED, assert_vrf_holds, rules, while_local_delivery_holds};
use crate::guest::setup::{json, vrfsetup};
use crate::harness::judge::{Verdict, root};
use crate::harness::wait;
use crate::harness::world::{Kind, World};

guest_tests! {
    networkd_leaves_seals_and_rules_alone,
    networkmanager_leaves_seals_and_rules_alone,
    frr_leaves_seals_and_rules_alone,
    wg_quick_takes_neither_local_delivery_nor_a_vrf,
}

const NETWORKD: &str = "/etc/systemd/network";

/// systemctl's exit status for a unit that is not installed.
const NOT_LOADED: i32 = 5;

/// None of the daemons runs any more.
pub fn quiet() -> Machine {
    for unit in ["NetworkManager.service", "frr.service"] {
        // Its rules and routes go with the machine's others below.
        let stopped = Command::new("systemctl").args(["stop", unit]).status().expect("systemctl");
        assert!(matches!(stopped.code(), Some(0 | NOT_LOADED)), "{unit}");
    }
    machine(Kind::Vrfs)
}

/// VRFs as ip(8) made them, with the seals of an earlier vrfsetup, which this one takes over.
pub fn sealed() -> Machine {
    let mut world = quiet();
    vrfsetup(&mut world, 0, "rules fix");
    assert_untouched(&world, "vrfsetup");
    world
}

#[track_caller]
pub fn assert_untouched(world: &World, by: &str) {
    for family in ["-4", "-6"] {
        assert_eq!(rules(world, family)[..3], FIXED[..3], "{family} after {by}");
        for table in [10, 20] {
            let seal = world.ip_json(&format!("{family} route show table {table} type unreachable default"));
            assert_eq!(seal[0]["protocol"], "kernel", "{family} table {table} after {by}: {seal}");
        }
    }
}

/// The other order: the rules come while the daemon runs and has its own.
#[track_caller]
fn fix_again(world: &mut World, by: &str) {
    vrfsetup(world, 0, "rules undo");
    vrfsetup(world, 0, "rules fix");
    assert_untouched(world, by);
}

#[track_caller]
pub fn run(world: &mut World, words: &str) -> Verdict {
    let verdict = world.judge(&root(words.split_whitespace()));
    assert_eq!(verdict.code, 0, "{words}: {verdict}");
    verdict
}

#[track_caller]
pub fn wait_for_address(world: &World, device: &str, address: &str) {
    let (shown, wanted) = (format!("addr show dev {device}"), format!("\"{address}\""));
    wait::until(|| world.ip_json(&shown), |addresses| addresses.to_string().contains(&wanted));
}

/// Once it configures any interface it removes routes and rules that are not its own.
fn networkd_leaves_seals_and_rules_alone() {
    let mut world = sealed();
    fs::create_dir_all(NETWORKD).expect("a directory");
    world.ip("link add net0 type dummy");
    let rule = "[RoutingPolicyRule]\nFamily=both\nFirewallMark=7\nTable=52\n";
    let network = |address: &str| format!("[Match]\nName=net0\n\n[Network]\nAddress={address}/24\n\n{rule}");
    let file = format!("{NETWORKD}/50-beside.network");
    fs::write(&file, network("203.0.113.50")).expect("a file");
    while_local_delivery_holds(&mut world, |world| {
        systemctl(world, 0, "start systemd-networkd.service");
        wait_for_address(world, "net0", "203.0.113.50");
        std::thread::sleep(Duration::from_secs(2));
        assert_untouched(world, "the start");
        // The test's own: what networkd removes shows that it has looked.
        world.ip("route add unreachable 198.18.9.0/24 table 10 proto boot");
        fs::write(&file, network("203.0.113.51")).expect("a file");
        run(world, "networkctl reload");
        wait_for_address(world, "net0", "203.0.113.51");
        std::thread::sleep(Duration::from_secs(2));
        assert_untouched(world, "networkctl reload");
        systemctl(world, 0, "restart systemd-networkd.service");
        wait::until(|| world.ip_json("route show table 10 198.18.9.0/24"), |left| *left == serde_json::json!([]));
        assert_untouched(world, "the restart");
        fix_again(world, "rules fix beside networkd");
    });
    // Its rule without a preference stands behind ours, once: networkd chooses one itself, from 32765 downwards.
    for family in ["-4", "-6"] {
        let theirs =
            || rules(&world, family).into_iter().filter(|rule| rule.ends_with("lookup 52")).collect::<Vec<_>>();
        wait::until(theirs, |theirs| matches!(&theirs[..], [one] if one.starts_with("3276")));
    }
    assert_vrf_holds(&mut world, "networkd");
    vrfsetup(&mut world, 0, "rules fix");
    fs::remove_file(&file).expect("the file");
    systemctl(&mut world, 0, "stop systemd-networkd.service systemd-networkd.socket");
}

fn networkmanager_leaves_seals_and_rules_alone() {
    let mut world = sealed();
    // No DHCP on what nobody has configured.
    fs::write("/etc/NetworkManager/conf.d/beside.conf", "[main]\nno-auto-default=*\n").expect("a file");
    while_local_delivery_holds(&mut world, |world| {
        systemctl(world, 0, "start NetworkManager.service");
        run(
            world,
            "nmcli connection add type dummy con-name beside ifname nm0 ipv4.method manual ipv4.addresses 203.0.113.60/24 ipv6.method disabled",
        );
        let rule = "priority 200 from 203.0.113.60 table 52";
        let modified = world.judge(&root(["nmcli", "connection", "modify", "beside", "ipv4.routing-rules", rule]));
        assert_eq!(modified.code, 0, "{modified}");
        run(world, "nmcli connection up beside");
        wait_for_address(world, "nm0", "203.0.113.60");
        assert_untouched(world, "the start");
        run(world, "nmcli general reload");
        assert_untouched(world, "nmcli general reload");
        systemctl(world, 0, "restart NetworkManager.service");
        // The address stays while it is away.
        let state = ["nmcli", "-g", "GENERAL.STATE", "connection", "show", "beside"];
        wait::until(|| world.judge(&root(state)).text(), |state| state == "activated\n");
        assert_untouched(world, "the restart");
        fix_again(world, "rules fix beside NetworkManager");
    });
    wait::until(|| rules(&world, "-4"), |rules| rules.contains(&"200: lookup 52".to_owned()));
    assert_vrf_holds(&mut world, "NetworkManager");
    run(&mut world, "nmcli connection delete beside");
    systemctl(&mut world, 0, "stop NetworkManager.service");
}

/// zebra with a static route in a VRF, and a policy of pbrd.
fn frr_leaves_seals_and_rules_alone() {
    let mut world = sealed();
    let daemons = fs::read_to_string("/etc/frr/daemons").expect("FRR's daemons");
    fs::write("/etc/frr/daemons", daemons.replace("pbrd=no", "pbrd=yes")).expect("the file");
    let config = "vrf blue\n ip route 198.18.0.0/15 198.51.100.1\nexit-vrf\n\
                  nexthop-group out\n nexthop 198.51.100.1 eth0\nexit\n\
                  pbr-map beside seq 5\n match dst-ip 203.0.113.0/24\n set nexthop 198.51.100.1 eth0\nexit\n\
                  interface eth0\n pbr-policy beside\nexit\n";
    fs::write("/etc/frr/frr.conf", config).expect("the file");
    // Without the port zebra (10.7) finds the gateway by the seal, and makes it an unreachable route.
    let route = |world: &World| world.ip_json("-4 route show table 10 198.18.0.0/15");
    let is_route = |shown: &serde_json::Value| shown[0]["dev"] == "blue0";
    while_local_delivery_holds(&mut world, |world| {
        for verb in ["start", "restart"] {
            systemctl(world, 0, &format!("{verb} frr.service"));
            wait::until(|| route(world), is_route);
            wait::until(|| rules(world, "-4"), |rules| rules.iter().any(|rule| rule.starts_with("30")));
            assert_untouched(world, verb);
        }
        fix_again(world, "rules fix beside FRR");
    });
    assert_vrf_holds(&mut world, "FRR");
    // zebra's route leads to a nexthop object of its own; it makes both again when the port comes back.
    let theirs = world.ip_json("-4 route show table 10 198.18.0.0/15");
    assert!(theirs[0]["nhid"].is_u64(), "{theirs}");
    vrfsetup(&mut world, 0, "detach blue0 --force");
    assert!(!is_route(&route(&world)), "{}", route(&world));
    vrfsetup(&mut world, 0, "attach blue blue0 --force");
    wait::until(|| route(&world), is_route);
    assert_untouched(&world, "the port's return");
    assert_vrf_holds(&mut world, "FRR and the port's return");
    systemctl(&mut world, 0, "stop frr.service");
    assert_untouched(&world, "the stop");
}

/// A tunnel for everything: two rules without a preference, of which wg-quick means the second to come first.
const TUNNEL: &str = "[Interface]
PrivateKey = yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=
Address = 10.9.0.2/32, fd00:9::2/128

[Peer]
PublicKey = xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=
Endpoint = 192.0.2.80:51820
AllowedIPs = 0.0.0.0/0, ::/0
";

fn wg_quick_takes_neither_local_delivery_nor_a_vrf() {
    for comes_first in [false, true] {
        let mut world = quiet();
        let path = "/run/beside0.conf";
        fs::write(path, TUNNEL).expect("a file");
        while_local_delivery_holds(&mut world, |world| {
            for step in if comes_first { ["up", "fix"] } else { ["fix", "up"] } {
                match step {
                    "up" => drop(run(world, &format!("wg-quick up {path}"))),
                    _ => drop(vrfsetup(world, 0, "rules fix")),
                }
            }
            std::thread::sleep(Duration::from_millis(500));
            vrfsetup(world, 0, "rules fix");
            assert_untouched(world, "wg-quick up");
        });
        assert_vrf_holds(&mut world, "wg-quick");
        let leaves_by = |world: &World| world.ip_json("route get 198.51.100.77")[0]["dev"].clone();
        if comes_first {
            assert_eq!(leaves_by(&world), "eth0");
        } else {
            // At 0 the one that was added last is tried last: the neighbours are in the tunnel until the doctor's line
            // is typed.
            assert_eq!(leaves_by(&world), "beside0");
            let findings = json(&vrfsetup(&mut world, 3, "doctor -j"));
            let reversed = findings.as_array().into_iter().flatten().filter(|one| one["finding"] == "rules-reversed");
            let fixes: Vec<String> = reversed.filter_map(|one| one["fix"].as_str().map(str::to_owned)).collect();
            assert_eq!(fixes.len(), 2, "{findings}");
            for fix in fixes {
                let typed = world.judge(&root(["sh", "-ec", &fix]));
                assert_eq!(typed.code, 0, "{fix}: {typed}");
            }
            assert_eq!(leaves_by(&world), "eth0");
        }
        while_local_delivery_holds(&mut world, |world| {
            run(world, &format!("wg-quick down {path}"));
            assert_untouched(world, "wg-quick down");
        });
        assert_eq!(rules(&world, "-4"), FIXED);
    }
}
