//! Tunnels that name a VRF for their outside, as vrfsetup knows them: by the kernel where somebody has made them so, and by what
//! it remembers where it has.

use super::super::{assert_same, json, nothing_to_do, state, vrfsetup};
use super::scene::{here, tables};
use crate::harness::judge::root;
use crate::harness::vm::plan::DIRECTORY;
use crate::harness::world::plan::{OWN4, WEB4};
use crate::harness::world::{Kind, World};

/// A GRE tunnel that names the default domain's port.
fn world() -> World {
    let world = World::new(Kind::Vrfs).expect("a world");
    here(&format!("ip link add t0 type gre local {OWN4} remote {WEB4} dev eth0"));
    here("ip link set t0 addrgenmode none");
    here("ip link set t0 up");
    world
}

/// What the kernel says that it names.
fn named(world: &World) -> String {
    world.ip_json("link show t0")[0]["link"].as_str().unwrap_or("-").to_owned()
}

/// What is listed of it: its VRF, what it names, whether that differs.
fn listed(world: &mut World) -> Option<[String; 3]> {
    let listed = json(&vrfsetup(world, 0, "-j tunnel"));
    let entry = listed.as_array()?.iter().find(|entry| entry["tunnel"] == "t0")?.clone();
    Some(["vrf", "dev", "differs"].map(|key| entry[key].as_str().map_or_else(|| entry[key].to_string(), str::to_owned)))
}

fn found(world: &mut World) -> String {
    vrfsetup(world, 3, "doctor").text()
}

/// `apply` of this text.
fn applied(world: &World, text: &str) -> String {
    let path = world.directory().join("x.toml");
    std::fs::write(&path, text).expect("a file");
    format!("apply {}", path.display())
}

const DECLARED: &str = "\n[tunnel]\nt0 = \"blue\"\n";

pub fn one_that_names_its_vrf_is_declared_exported_and_watched_over() {
    let mut world = world();
    let world = &mut world;
    let text = vrfsetup(world, 0, "export").text();
    let apply = applied(world, &text);
    vrfsetup(world, 0, &apply);
    let before = (state(world), named(world), tables());
    // Set, rolled back, set and put back; without nft.
    vrfsetup(world, 0, "tunnel t0 --in blue");
    vrfsetup(world, 0, "rollback");
    assert_eq!((state(world), named(world), tables()), before);
    let program = format!("{DIRECTORY}/vrfsetup");
    let said = world.judge(&root(["env", "PATH=/nonexistent", &program, "tunnel", "t0", "--in", "blue"]));
    assert_eq!((said.code, named(world).as_str()), (0, "blue"), "{said}");
    vrfsetup(world, 0, "tunnel t0 --in default");
    assert_eq!((state(world), named(world), tables()), before);
    vrfsetup(world, 1, "tunnel t0 --in green").assert_says(1, "no interface 'green'");

    // Another's hand is found, and put right.
    vrfsetup(world, 0, "tunnel t0 --in blue");
    assert!(!found(world).contains("tunnel"));
    for hand in ["dev eth0", "dev blue0", "dev red"] {
        here(&format!("ip link change t0 type gre {hand}"));
        let said = found(world);
        assert!(
            said.contains("blue: the outside of tunnel 't0' is not in the VRF; fix: vrfsetup tunnel t0 --in blue"),
            "{said}"
        );
        vrfsetup(world, 0, "tunnel t0 --in blue");
        assert!(!found(world).contains("tunnel"), "{hand}");
        assert_eq!(listed(world), Some(["blue", "blue", "false"].map(str::to_owned)));
    }

    // As a file, and by a file.
    let exported = vrfsetup(world, 0, "export").text();
    assert!(exported.contains(DECLARED), "{exported}");
    let apply = applied(world, &exported);
    nothing_to_do(world, &apply);
    vrfsetup(world, 0, "tunnel t0 --remove");
    assert_eq!(named(world), "eth0");
    vrfsetup(world, 3, &format!("{apply} --dry-run"));
    vrfsetup(world, 0, &apply);
    assert_eq!(named(world), "blue");
    let apply = applied(world, &exported.replace(DECLARED, ""));
    nothing_to_do(world, &apply);
    vrfsetup(world, 0, &format!("{apply} --prune"));
    assert_eq!((named(world).as_str(), listed(world)), ("eth0", None));
    // With the VRF that it was in.
    vrfsetup(world, 0, "add green");
    vrfsetup(world, 0, "tunnel t0 --in green");
    vrfsetup(world, 0, &format!("{apply} --prune"));
    assert_eq!((state(world), named(world), tables()), before);
    vrfsetup(world, 0, "rollback");
    assert_eq!(listed(world), Some(["green", "green", "false"].map(str::to_owned)));
    vrfsetup(world, 0, &format!("{apply} --prune"));
    assert_eq!((state(world), named(world), tables()), before);

    // By the kernel alone: somebody has made it so.
    here("ip link change t0 type gre dev blue");
    assert_eq!(listed(world), Some(["blue", "blue", "false"].map(str::to_owned)));
    assert!(vrfsetup(world, 0, "show blue").text().contains("\n  tunnel t0 (its outside)\n"));
    assert_eq!(vrfsetup(world, 0, "export").text(), exported);
    nothing_to_do(world, "tunnel t0 --in blue");
    let apply = applied(world, &exported);
    nothing_to_do(world, &apply);
    here("ip link property add dev t0 altname tunnel-of-blue");
    vrfsetup(world, 0, "tunnel tunnel-of-blue --remove");
    assert_eq!((named(world).as_str(), listed(world)), ("-", None));
}

pub fn one_that_names_a_vrf_follows_it_and_is_named_when_that_is_gone() {
    let mut world = world();
    let world = &mut world;
    vrfsetup(world, 0, "add green");
    vrfsetup(world, 0, "tunnel t0 --in green");
    vrfsetup(world, 1, "del green").assert_says(1, "hint: vrfsetup tunnel t0 --remove");
    vrfsetup(world, 0, "del green --force");
    assert!(found(world).contains("nothing leaves by tunnel 't0': its VRF is gone; fix: vrfsetup tunnel t0 --remove"));
    assert_eq!(listed(world), Some(["green", "null", "true"].map(str::to_owned)));
    vrfsetup(world, 0, "add green");
    assert_eq!((named(world).as_str(), listed(world)), ("green", Some(["green", "green", "false"].map(str::to_owned))));
    vrfsetup(world, 0, "del green --force");
    vrfsetup(world, 0, "rollback");
    assert_eq!(listed(world), Some(["green", "green", "false"].map(str::to_owned)));
    // Its VRF under another name, and somebody's hand when it is gone.
    here("ip link set green down");
    here("ip link set green name lime");
    here("ip link set lime up");
    let said = found(world);
    let now = "green: the outside of tunnel 't0' is in VRF 'lime', and VRF 'green' is gone";
    assert!(said.contains(&format!("{now}; fix: vrfsetup tunnel t0 --in lime")), "{said}");
    here("ip link change t0 type gre dev eth0");
    let said = found(world);
    let now = "green: tunnel 't0' sends by the default domain: its VRF is gone";
    assert!(said.contains(&format!("{now}; fix: vrfsetup tunnel t0 --remove")), "{said}");
    here("ip link change t0 type gre dev lime");
    here("ip link set lime down");
    here("ip link set lime name green");
    here("ip link set green up");
    vrfsetup(world, 0, "tunnel t0 --remove");
    assert_eq!(named(world), "eth0");

    // Nobody remembers what it was.
    here("ip link change t0 type gre dev green");
    here("ip link add t6 type ip6gre local ::1 remote 2001:db8::7 dev green");
    here("ip link del green");
    vrfsetup(world, 0, "del green");
    let said = found(world);
    let gone = "the device of its outside is gone; fix: vrfsetup tunnel";
    assert!(said.contains(&format!("nothing leaves by tunnel 't0': {gone} t0 --remove")), "{said}");
    assert!(said.contains(&format!("tunnel 't6' may send by the default domain: {gone} t6 --remove")), "{said}");
    for name in ["t0", "t6"] {
        vrfsetup(world, 0, &format!("tunnel {name} --remove"));
    }
    assert!(!found(world).contains("tunnel"));
    here("ip link del t6");

    // An interface of this kind, that the file calls by this name, was expected with a mark.
    let exported = vrfsetup(world, 0, "export").text();
    let rules = || here("ip rule") + &here("ip -6 rule");
    let before = (rules(), tables());
    let apply = applied(world, &(exported + DECLARED));
    here("ip link set t0 down");
    here("ip link set t0 name t9");
    vrfsetup(world, 3, &format!("{apply} --each")).assert_says(3, "no interface 't0' yet for VRF 'blue'");
    here("ip link set t9 name t0");
    here("ip link set t0 up");
    let said = found(world);
    assert!(said.contains("the outside of tunnel 't0' is not in the VRF; fix: vrfsetup tunnel t0 --in blue"), "{said}");
    // By any change, and by the command.
    vrfsetup(world, 0, "add lime");
    assert_eq!((named(world).as_str(), rules(), tables()), ("blue", before.0, before.1));
    nothing_to_do(world, "tunnel t0 --in blue");

    // What it named has another number, or another name, when it goes back.
    here("ip link add d0 type dummy");
    vrfsetup(world, 0, "tunnel t0 --remove");
    here("ip link change t0 type gre dev d0");
    vrfsetup(world, 0, "tunnel t0 --in blue");
    here("ip link del d0");
    here("ip link add d0 type dummy");
    vrfsetup(world, 0, "tunnel t0 --remove");
    assert_eq!(named(world), "d0");
    vrfsetup(world, 0, "tunnel t0 --in blue");
    here("ip link set d0 name d1");
    vrfsetup(world, 0, "tunnel t0 --remove");
    assert_eq!(named(world), "d1");
}

pub fn what_keeps_its_outside_is_listed_and_refused() {
    let mut world = world();
    let world = &mut world;
    // By a port it is in the VRF, and stays so.
    here("ip link change t0 type gre dev blue0");
    here("ip link add x0 type xfrm dev blue if_id 7");
    here("ip link add vx0 type vxlan id 7 dstport 4789 dev blue");
    let list = vrfsetup(world, 0, "tunnel").text();
    let lines = "t0: outside in blue, gre, dev blue0\nvx0: outside in blue, vxlan, dev blue\n\
                 x0: outside in blue, xfrm, dev blue\n";
    assert_eq!(list, lines);
    vrfsetup(world, 1, "del blue").assert_says(1, ": t0, x0, vx0 (--force goes on)");
    assert!(!found(world).contains("tunnel"));
    let exported = vrfsetup(world, 0, "export").text();
    let apply = applied(world, &exported);
    vrfsetup(world, 0, &apply);
    assert_eq!(vrfsetup(world, 0, "export").text(), exported);
    for (name, kind, dev) in [("t0", "gre", "blue0"), ("x0", "xfrm", "blue"), ("vx0", "vxlan", "blue")] {
        let line = format!("# not declared, it is made so: ip link add {name} type {kind} ... dev {dev}\n");
        assert!(exported.contains(&line), "{exported}");
    }
    nothing_to_do(world, &apply);
    for (name, kind) in [("x0", "xfrm"), ("vx0", "vxlan")] {
        nothing_to_do(world, &format!("tunnel {name} --in blue"));
        let hint = format!("hint: ip link add {name} type {kind} ...");
        vrfsetup(world, 1, &format!("tunnel {name} --in red")).assert_says(1, &format!("{hint} dev red\n"));
        vrfsetup(world, 1, &format!("tunnel {name} --remove")).assert_says(1, &format!("{hint}\n"));
    }
    vrfsetup(world, 0, "tunnel t0 --in blue");
    assert_eq!(named(world), "blue");
    vrfsetup(world, 1, "tunnel eth0 --in blue").assert_says(1, "'eth0' (veth) is no tunnel");
    // A VXLAN goes with its VRF, and no rollback would make it again.
    here("ip link del x0");
    vrfsetup(world, 0, "tunnel t0 --remove");
    let refused = vrfsetup(world, 1, "del blue");
    refused.assert_says(1, "tunnels whose outside it is would send by the default domain, or nowhere: vx0 ");
    refused.assert_says(1, "hint: ip link del vx0");
    // The outside of this one is in another network namespace, where another device may have blue's number.
    here("ip netns add elsewhere");
    here(&format!("ip link add t1 link-netns elsewhere type gre local {OWN4} remote {WEB4}"));
    let refused = vrfsetup(world, 1, "tunnel t1 --in blue");
    refused.assert_says(1, "the outside of 't1' is in another network namespace");
    here("ip link del t1");
    here("ip netns del elsewhere");
}

pub fn one_that_the_kernel_refuses_costs_no_other() {
    let mut world = world();
    let world = &mut world;
    // Of these two the kernel has one only with these ends and this device.
    here(&format!("ip link add t1 type gre local {OWN4} remote {WEB4}"));
    here(&format!("ip link add t2 type ipip local {OWN4} remote {WEB4}"));
    vrfsetup(world, 0, "tunnel t0 --in blue");
    // Those whose packets say where they go name no device.
    here("ip link add t3 type gretap external");
    let before = state(world);
    vrfsetup(world, 1, "tunnel t1 --in blue").assert_says(1, "File exists");
    vrfsetup(world, 1, "tunnel t3 --in blue").assert_says(1, "Invalid argument");
    assert_same(&before, &state(world));
    let exported = vrfsetup(world, 0, "export").text();
    let apply = applied(world, &exported.replace(DECLARED, &format!("{DECLARED}t1 = \"blue\"\nt2 = \"blue\"\n")));
    vrfsetup(world, 1, &apply).assert_says(1, "File exists");
    assert_same(&before, &state(world));
    vrfsetup(world, 1, &format!("{apply} --each")).assert_says(1, "File exists");
    let list = vrfsetup(world, 0, "tunnel").text();
    assert_eq!(list, "t0: outside in blue, gre, dev blue\nt2: outside in blue, ipip, dev blue\n");
}

/// The number of a device would be taken for one of the namespace where it was made.
pub fn one_that_was_made_in_another_namespace_is_refused() {
    let mut world = world();
    let world = &mut world;
    here("ip link del t0");
    let blue = world.ip_json("link show blue")[0]["ifindex"].to_string();
    here("ip netns add made");
    here(&format!("ip -n made link add other index {blue} type dummy"));
    here(&format!("ip -n made link add t0 type gre local {OWN4} remote {WEB4}"));
    here(&format!("ip -n made link set t0 netns {}", std::process::id()));
    let before = here("ip -d link show t0");
    vrfsetup(world, 1, "tunnel t0 --in blue")
        .assert_says(1, "the outside of 't0' is in another network namespace: the one that it was made in");
    assert_eq!((here("ip -d link show t0"), listed(world)), (before, None));
    nothing_to_do(world, "tunnel t0 --remove");
    here("ip link del t0");
    here("ip netns del made");
}
