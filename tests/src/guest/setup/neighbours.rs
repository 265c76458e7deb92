//! vrfsetup beside what others did: VRFs of one table, `ip link del`, the same addresses in two domains.

use super::guest_tests;
use super::{assert_same, json, nothing_to_do, state, vrfsetup};
use crate::harness::judge::root;
use crate::harness::world::plan::{DNS4, OWN4};
use crate::harness::world::{Kind, World};

guest_tests! {
    a_shared_table_is_left_to_the_other_vrf,
    what_ip_link_del_leaves_is_found_and_cleaned,
    a_vrf_gets_the_table_again_that_it_left,
    who_may_not_look_at_the_first_process_leaves_what_is_the_machines,
    the_same_address_in_another_domain_is_not_taken_for_this_one,
    a_connection_that_falls_through_is_not_sealed_off_unasked,
    other_names_of_interfaces_are_names,
    a_port_goes_from_one_vrf_to_another,
}

fn a_shared_table_is_left_to_the_other_vrf() {
    let mut world = World::new(Kind::Bare).expect("a world");
    vrfsetup(&mut world, 0, "add blue --table 10 --port blue0");
    world.ip("link add twin type vrf table 10");
    world.ip("link set twin up");
    world.ip("route add blackhole 198.18.0.0/16 table 10");
    let before = world.ip_json("-4 route show table 10").to_string();
    let before6 = world.ip_json("-6 route show table 10 type unreachable").to_string();
    assert!(before.contains("unreachable") && before6.contains("unreachable"), "{before} {before6}");
    vrfsetup(&mut world, 0, "del blue");
    let after = world.ip_json("-4 route show table 10").to_string();
    assert!(after.contains("unreachable") && after.contains("198.18.0.0/16"), "{after}");
    assert_eq!(world.ip_json("-6 route show table 10 type unreachable").to_string(), before6);
    vrfsetup(&mut world, 0, "del twin");
    assert_eq!(world.ip_json("-4 route show table 10"), serde_json::json!([]));
}

/// The file that names the table of a VRF.
fn name_of(vrf: &str) -> std::path::PathBuf {
    format!("/etc/iproute2/rt_tables.d/vrf-{vrf}.conf").into()
}

fn what_ip_link_del_leaves_is_found_and_cleaned() {
    let mut world = World::of_machine(Kind::Bare).expect("a world");
    for (cleaner, left) in [("add red", true), ("del blue", false)] {
        vrfsetup(&mut world, 0, "add blue --table 1234");
        assert!(name_of("blue").exists());
        world.ip("link del blue");
        assert_ne!(world.ip_json("route show table 1234"), serde_json::json!([]));
        let verdict = world.judge(&root(["vrfsetup", "doctor", "-j"]));
        let found = json(&verdict);
        let finding = found.as_array().into_iter().flatten().find(|finding| finding["finding"] == "vrf-left-over");
        let finding = finding.unwrap_or_else(|| panic!("{verdict}"));
        assert_eq!((&finding["vrf"], &finding["fix"]), (&"blue".into(), &"vrfsetup del blue".into()));
        vrfsetup(&mut world, 0, cleaner);
        for family in ["-4", "-6"] {
            assert_eq!(world.ip_json(&format!("{family} route show table 1234")), serde_json::json!([]), "{cleaner}");
        }
        assert!(!name_of("blue").exists(), "{cleaner}");
        assert!(!world.judge(&root(["vrfsetup", "doctor"])).text().contains("deleted without vrfsetup"));
        if left {
            vrfsetup(&mut world, 0, "del red");
        }
    }
    nothing_to_do(&mut world, "del blue");
}

fn a_vrf_gets_the_table_again_that_it_left() {
    let mut world = World::of_machine(Kind::Bare).expect("a world");
    vrfsetup(&mut world, 0, "add blue --table 1234");
    world.ip("link del blue");
    vrfsetup(&mut world, 0, "add blue");
    let table = &world.ip_json("-d link show dev blue")[0]["linkinfo"]["info_data"]["table"];
    assert_eq!(*table, 1234);
    // Somebody else's route makes the table somebody else's.
    world.ip("link del blue");
    world.ip("route add blackhole 198.18.0.0/16 table 1234");
    vrfsetup(&mut world, 0, "add blue");
    let table = &world.ip_json("-d link show dev blue")[0]["linkinfo"]["info_data"]["table"];
    assert_ne!(*table, 1234);
    let shown = world.ip_json("route show table 1234").to_string();
    assert!(shown.contains("198.18.0.0/16"), "{shown}");
    vrfsetup(&mut world, 0, "del blue");
    world.ip("route flush table 1234");
    world.ip("-6 route flush table 1234");
}

/// In another user namespace nobody can tell whether this network namespace is the machine's.
fn who_may_not_look_at_the_first_process_leaves_what_is_the_machines() {
    let mut world = World::of_machine(Kind::Bare).expect("a world");
    vrfsetup(&mut world, 0, "add red --table 4321");
    let inside =
        "! readlink /proc/1/ns/net; vrfsetup add blue --table 1234; vrfsetup del red; ip -j link show type vrf";
    let verdict = world.judge(&root(["unshare", "-Urn", "sh", "-ec", inside]));
    assert_eq!(verdict.code, 0, "{verdict}");
    assert!(verdict.text().contains("\"blue\"") && !verdict.text().contains("net:["), "{verdict}");
    assert_eq!(["blue", "red"].map(|vrf| name_of(vrf).exists()), [false, true]);
    vrfsetup(&mut world, 0, "del red");
}

/// The world's links all have one address, and the peer of each has that of every other.
fn the_same_address_in_another_domain_is_not_taken_for_this_one() {
    let mut world = World::new(Kind::Vrfs).expect("a world");
    let client = format!("exec 3<>/dev/tcp/{DNS4}/7; read line <&3; echo $line; sleep 600");
    let mut connected = world.start(&root(["ip", "vrf", "exec", "blue", "bash", "-c", &client]));
    connected.wait_for("blue");
    let before = state(&world);
    // The address of the connection is on another interface, too: that is none of its business.
    for words in ["link add other type dummy", "link set other up", &format!("addr add {OWN4}/32 dev other")] {
        world.ip(words);
    }
    vrfsetup(&mut world, 0, "attach red other");
    world.ip("link del other");
    let verdict = vrfsetup(&mut world, 1, "detach blue0");
    assert!(verdict.error_text().contains(&format!("{DNS4}:7")), "{verdict}");
    // Nor does it help that this machine has the peer's address, but in another VRF.
    world.ip(&format!("addr add {DNS4}/32 dev red"));
    vrfsetup(&mut world, 1, "detach blue0").assert_says(1, &format!("{DNS4}:7"));
    world.ip(&format!("addr del {DNS4}/32 dev red"));
    vrfsetup(&mut world, 1, "del blue").assert_says(1, &format!("to {OWN4}"));
    assert_same(&before, &state(&world));
    drop(connected);
}

fn a_connection_that_falls_through_is_not_sealed_off_unasked() {
    let mut world = World::of_machine(Kind::Bare).expect("a world");
    world.ip("link add open type vrf table 33");
    world.ip("link set open up");
    world.ip("link set blue0 master open");
    world.ip(&format!("addr add {OWN4}/24 dev blue0"));
    // Nothing in the VRF's own table: the default domain's knows a way, and that is by the VRF's port.
    world.ip(&format!("route add {DNS4}/32 via 198.51.100.1 dev blue0 onlink"));
    let client = format!("exec 3<>/dev/tcp/{DNS4}/7; read line <&3; echo $line; sleep 600");
    let mut connected = world.start(&root(["ip", "vrf", "exec", "open", "bash", "-c", &client]));
    connected.wait_for("blue");
    let before = state(&world);
    vrfsetup(&mut world, 1, "add open").assert_says(1, "uses 'open' and would break");
    vrfsetup(&mut world, 1, "rules fix").assert_says(1, "uses 'open' and would break");
    let file = world.directory().join("vrf.toml");
    std::fs::write(&file, "[vrf.open]\n").expect("a file");
    vrfsetup(&mut world, 1, &format!("apply {}", file.display())).assert_says(1, "uses 'open' and would break");
    assert_same(&before, &state(&world));
    vrfsetup(&mut world, 0, "add open --force");
    drop(connected);
    vrfsetup(&mut world, 0, "del open --force");
}

fn other_names_of_interfaces_are_names() {
    let mut world = World::new(Kind::Bare).expect("a world");
    world.ip("link property add dev blue0 altname customer-of-the-blue-network");
    world.ip("link property add dev blue0 altname bluealt");
    vrfsetup(&mut world, 1, "add bluealt").assert_says(1, "exists and is not a VRF");
    vrfsetup(&mut world, 0, "add blue --port bluealt");
    assert_eq!(world.ip_json("link show dev blue0")[0]["master"], "blue");
    nothing_to_do(&mut world, "attach blue bluealt");
    nothing_to_do(&mut world, "attach blue customer-of-the-blue-network");
    vrfsetup(&mut world, 0, "detach customer-of-the-blue-network");
    assert!(world.ip_json("link show dev blue0")[0]["master"].is_null());
    vrfsetup(&mut world, 2, "add blue%d").assert_says(2, "not a name that an interface can have");
    let shown = world.ip_json("link show").to_string();
    assert!(!shown.contains("blue1") && !shown.contains("\"blue%d\""), "{shown}");
}

fn a_port_goes_from_one_vrf_to_another() {
    let mut world = World::new(Kind::Bare).expect("a world");
    vrfsetup(&mut world, 0, "add blue --table 10");
    vrfsetup(&mut world, 0, "add red --table 20");
    world.ip("addr add 203.0.113.1/24 dev blue0");
    world.ip("addr add 2001:db8:77::1/64 dev blue0 nodad");
    vrfsetup(&mut world, 0, "attach blue blue0");
    world.ip("route add default via 203.0.113.254 table 10");
    world.ip("-6 route add 2001:db8:99::/48 via 2001:db8:77::fe table 10");
    let before = state(&world);
    vrfsetup(&mut world, 0, "attach red blue0");
    assert_eq!(world.ip_json("link show dev blue0")[0]["master"], "red");
    for (family, words) in [("-4", "203.0.113.254"), ("-6", "2001:db8:77::fe")] {
        let shown = world.ip_json(&format!("{family} route show table 20")).to_string();
        assert!(shown.contains(words), "{shown}");
        let shown = world.ip_json(&format!("{family} route show table 10")).to_string();
        assert!(!shown.contains(words), "{shown}");
        let shown = world.ip_json(&format!("{family} route show table main")).to_string();
        assert!(!shown.contains(words), "{shown}");
    }
    vrfsetup(&mut world, 0, "attach blue blue0");
    assert_same(&before, &state(&world));
    // A bridge's port stays the bridge's.
    world.ip("link add br0 type bridge");
    world.ip("link set red0 master br0");
    vrfsetup(&mut world, 1, "attach red red0").assert_says(1, "'red0' is a port of 'br0'");
}
