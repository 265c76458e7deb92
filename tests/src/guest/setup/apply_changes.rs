//! vrfsetup apply of a file that has changed: what goes, and what moves, is one step, or none.

use super::apply_again::write;
use super::guest_tests;
use super::{assert_same, nothing_to_do, state, vrfsetup};
use crate::harness::judge::root;
use crate::harness::world::{Kind, World};

guest_tests! {
    what_is_no_longer_declared_is_pruned_and_shown_first,
    a_port_and_a_table_are_changed_in_one_step,
    a_vrf_goes_while_another_changes_its_table,
    settings_of_a_vrf_to_be_made_are_made_with_it,
    a_setting_that_comes_with_a_vrf_costs_itself_alone,
    what_an_export_has_no_words_for_is_a_comment,
}

fn what_is_no_longer_declared_is_pruned_and_shown_first() {
    let mut world = World::new(Kind::Bare).expect("a world");
    world.ip("link add first type vrf table 9");
    world.ip("link del first");
    let less = "[rules]\nfix = false\n[vrf.blue]\ntable = 10\nports = [\"blue0\"]\naddresses = [\"203.0.113.1/24 dev blue0\"]\nroutes = [\"198.18.0.0/16 via 203.0.113.254\"]\n";
    let path = write(&world, less);
    vrfsetup(&mut world, 0, &format!("apply {path}"));
    let wanted = state(&world);
    nothing_to_do(&mut world, &format!("apply {path} --prune"));
    // All of it somebody configured, after the file was written.
    vrfsetup(&mut world, 0, "add green --table 30 --port red0");
    for words in [
        "link add spare type dummy",
        "link set spare up",
        "link set spare master blue",
        "addr add 192.168.7.1/24 dev spare",
        "addr add 203.0.113.2/24 dev blue0",
        "addr add 2001:db8:77::1/64 dev blue0 nodad",
        "route add 198.19.0.0/16 via 203.0.113.253 table 10",
        "-6 route add 2001:db8:99::/48 via 2001:db8:77::fe table 10",
        "route add 192.168.9.0/24 dev green table 10",
        "route add 203.0.113.0/24 dev blue",
    ] {
        world.ip(words);
    }
    // What daemons made is theirs, and comes on loan.
    world.ip("route add 198.20.0.0/16 via 203.0.113.254 table 10 proto bgp");
    let before = state(&world);
    vrfsetup(&mut world, 3, &format!("apply {path} --prune --dry-run"));
    let shown = vrfsetup(&mut world, 3, &format!("apply {path} --prune --dry-run")).text();
    for words in
        ["ip link del green", "ip link set spare nomaster", "ip addr del 203.0.113.2/24", "ip route del 198.19.0.0/16"]
    {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    assert!(!shown.contains("198.20.0.0/16") && !shown.contains("del 198.18.0.0/16"), "{shown}");
    assert_same(&before, &state(&world));
    nothing_to_do(&mut world, &format!("apply {path}"));
    vrfsetup(&mut world, 0, &format!("apply {path} --prune"));
    world.ip("route del 198.20.0.0/16 table 10");
    assert_eq!(world.ip_json("addr show dev spare")[0]["addr_info"][0]["local"], "192.168.7.1");
    world.ip("link del spare");
    assert_same(&wanted, &state(&world));
}

fn a_port_and_a_table_are_changed_in_one_step() {
    let mut world = World::new(Kind::Bare).expect("a world");
    let file = |table: u32, of_blue: &str, of_red: &str| {
        format!("[vrf.blue]\ntable = {table}\nports = [{of_blue}]\n[vrf.red]\ntable = 20\nports = [{of_red}]\n")
    };
    let path = write(&world, &file(10, "\"blue0\", \"red0\"", ""));
    for words in [
        "addr add 203.0.113.1/24 dev blue0",
        "addr add 203.0.114.1/24 dev red0",
        "addr add 2001:db8:77::1/64 dev blue0 nodad",
    ] {
        world.ip(words);
    }
    vrfsetup(&mut world, 0, &format!("apply {path}"));
    for words in [
        "route add default via 203.0.113.254 table 10",
        "-6 route add default via 2001:db8:77::fe table 10",
        "route add 198.19.0.0/16 via 203.0.114.254 table 10",
        "route add blackhole 198.18.0.0/16 table 10",
        "route add 198.20.0.0/16 dev blue table 20",
        "route add 198.21.0.0/16 dev red table 10",
    ] {
        world.ip(words);
    }
    // A port goes from VRF to VRF, with its routes.
    let path = write(&world, &file(10, "\"blue0\"", "\"red0\""));
    vrfsetup(&mut world, 0, &format!("apply {path}"));
    assert_eq!(world.ip_json("link show dev red0")[0]["master"], "red");
    assert_eq!(world.ip_json("route show table 20 198.19.0.0/16")[0]["dev"], "red0");
    // The table is another one.
    let before = state(&world);
    let path = write(&world, &file(77, "\"blue0\"", "\"red0\""));
    vrfsetup(&mut world, 3, &format!("apply {path} --dry-run"));
    assert_same(&before, &state(&world));
    vrfsetup(&mut world, 0, &format!("apply {path}"));
    let table = &world.ip_json("-d link show dev blue")[0]["linkinfo"]["info_data"]["table"];
    assert_eq!(*table, 77);
    for family in ["-4", "-6"] {
        assert_eq!(world.ip_json(&format!("{family} route show table 10")), serde_json::json!([]), "{family}");
    }
    let shown = world.ip_json("-4 route show table 77").to_string();
    for words in ["203.0.113.254", "198.18.0.0/16", "198.21.0.0/16", "unreachable"] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    assert!(world.ip_json("-6 route show table 77").to_string().contains("2001:db8:77::fe"));
    assert_eq!(world.ip_json("route show table 20 198.20.0.0/16")[0]["dev"], "blue");
    nothing_to_do(&mut world, &format!("apply {path}"));
    let path = write(&world, &file(10, "\"blue0\"", "\"red0\""));
    vrfsetup(&mut world, 0, &format!("apply {path}"));
    assert_same(&before, &state(&world));
}

/// The one that goes has a route into the other, whose device is made again.
fn a_vrf_goes_while_another_changes_its_table() {
    let mut world = World::new(Kind::Bare).expect("a world");
    let file = |table: u32| {
        format!("[vrf.blue]\ntable = {table}\nports = [\"blue0\"]\naddresses = [\"203.0.113.1/24 dev blue0\"]\n")
    };
    let leak = "[vrf.red]\ntable = 20\n[[leak]]\nfrom = \"blue\"\nto = \"red\"\nprefixes = [\"203.0.113.0/24\"]\n";
    let inbound = "[default]\nroutes = [\"198.51.100.128/25 dev blue\"]\n";
    let path = write(&world, &(file(10) + leak + inbound));
    vrfsetup(&mut world, 0, &format!("apply {path}"));
    let before = state(&world);
    let path = write(&world, &file(77));
    let shown = vrfsetup(&mut world, 3, &format!("apply {path} --prune --dry-run")).text();
    let made = vrfsetup(&mut world, 0, &format!("apply {path} --prune")).text();
    assert_eq!(shown.replace("to do:", "changed:"), made);
    assert_eq!(world.ip_json("route show table 20"), serde_json::json!([]));
    // What is left of the old table goes with the next run.
    vrfsetup(&mut world, 0, &format!("apply {path} --prune"));
    nothing_to_do(&mut world, &format!("apply {path} --prune"));
    assert_eq!(world.ip_json("route show 198.51.100.128/25"), serde_json::json!([]));
    let path = write(&world, &(file(10) + leak + inbound));
    vrfsetup(&mut world, 0, &format!("apply {path}"));
    assert_same(&before, &state(&world));
}

/// They are there when the VRF is, of both families; one of them takes an address away that the VRF is made with.
fn settings_of_a_vrf_to_be_made_are_made_with_it() {
    let mut world = World::new(Kind::Bare).expect("a world");
    let settings = [
        ("net.ipv4.conf.blue.rp_filter", "2", "ipv4/conf/blue/rp_filter"),
        ("net.ipv4.conf.blue/1.arp_filter", "1", "ipv4/conf/blue.1/arp_filter"),
        ("net.ipv6.conf.blue.hop_limit", "77", "ipv6/conf/blue/hop_limit"),
        ("net/ipv6/conf/blue.1/hop_limit", "78", "ipv6/conf/blue.1/hop_limit"),
        ("net.ipv6.conf.blue.forwarding", "1", "ipv6/conf/blue/forwarding"),
        ("net.ipv6.conf.blue/1.disable_ipv6", "1", "ipv6/conf/blue.1/disable_ipv6"),
    ];
    let lines: String = settings.iter().map(|(name, value, _)| format!("\"{name}\" = {value}\n")).collect();
    let path = write(&world, &format!("[sysctl]\n{lines}[vrf.blue]\nports = [\"blue0\"]\n[vrf.\"blue.1\"]\n"));
    for how in ["", "--each", "--boot"] {
        if how.is_empty() {
            let shown = vrfsetup(&mut world, 3, &format!("apply {path} --dry-run")).text();
            for (_, value, file) in settings {
                assert!(shown.contains(&format!("sysctl -w net/{file}={value}")), "{file}: {shown}");
            }
        }
        vrfsetup(&mut world, 0, &format!("apply {path} {how}"));
        for (name, value, file) in settings {
            let there = world.judge(&root(["cat", &format!("/proc/sys/net/{file}")])).text();
            assert_eq!(there.trim(), value, "{name} {how}");
        }
        nothing_to_do(&mut world, &format!("apply {path} {how}"));
        for vrf in ["blue", "blue.1"] {
            vrfsetup(&mut world, 0, &format!("del {vrf}"));
        }
    }
}

/// Whether the kernel has it, and takes the value, is known only when the VRF is there.
fn a_setting_that_comes_with_a_vrf_costs_itself_alone() {
    let mut world = World::new(Kind::Bare).expect("a world");
    let settings = [
        ("net.ipv4.conf.blue.no_such", "1", "this kernel has no setting 'net.ipv4.conf.blue.no_such'"),
        ("net.ipv4.conf.blue/1.no_such", "1", "this kernel has no setting 'net.ipv4.conf.blue/1.no_such'"),
        ("net.ipv4.conf.blue.forwarding", "much", "refused 'sysctl -w net/ipv4/conf/blue/forwarding=much'"),
        ("net/ipv4/conf/blue.1/forwarding", "much", "refused 'sysctl -w net/ipv4/conf/blue.1/forwarding=much'"),
        ("net.vrf.strict_mode", "7", "refused 'sysctl -w net/vrf/strict_mode=7'"),
    ];
    let lines: String = settings.iter().map(|(name, value, _)| format!("\"{name}\" = \"{value}\"\n")).collect();
    let good = "\"net.ipv4.conf.blue.rp_filter\" = 2\n[vrf.blue]\nports = [\"blue0\"]\n[vrf.\"blue.1\"]\n";
    let path = write(&world, &format!("[sysctl]\n{lines}{good}"));
    let made = vrfsetup(&mut world, 1, &format!("apply {path} --each"));
    for (_, _, words) in settings {
        made.assert_says(1, &format!("left out: {words}"));
    }
    assert_eq!(world.ip_json("link show dev blue0")[0]["master"], "blue");
    assert_eq!(world.ip_json("link show type vrf").as_array().map(Vec::len), Some(2));
    let filter = world.judge(&root(["cat", "/proc/sys/net/ipv4/conf/blue/rp_filter"])).text();
    assert_eq!(filter, "2\n");
}

/// As a line it would make another route, for more packets.
fn what_an_export_has_no_words_for_is_a_comment() {
    let mut world = World::new(Kind::Bare).expect("a world");
    world.ip("addr add 203.0.113.1/24 dev blue0");
    world.ip("addr add 2001:db8:77::1/64 dev blue0 nodad");
    vrfsetup(&mut world, 0, "add blue --table 10 --port blue0");
    for words in [
        "route add 198.18.0.0/15 tos 0x10 via 203.0.113.254 table 10",
        "-6 route add 2001:db8:99::/48 from 2001:db8:1::/64 via 2001:db8:77::fe table 10",
        "-6 route add 2001:db8:98::/48 via 2001:db8:77::fe table 10 pref high",
        "route add 198.20.0.0/16 via 203.0.113.254 table 10 realms 5",
    ] {
        world.ip(words);
    }
    let exported = vrfsetup(&mut world, 0, "export").text();
    for words in [
        "198.18.0.0/15 tos 0x10 via 203.0.113.254 dev blue0 table 10",
        "2001:db8:99::/48 from 2001:db8:1::/64 via 2001:db8:77::fe dev blue0 table 10",
        "2001:db8:98::/48 via 2001:db8:77::fe dev blue0 table 10",
        "198.20.0.0/16 via 203.0.113.254 dev blue0 table 10",
    ] {
        assert!(exported.contains(&format!("\n# not declared, it has no words here: {words}")), "{words}: {exported}");
    }
    assert!(!exported.contains("\nroutes = ["), "{exported}");
    let before = state(&world);
    let moved = vrfsetup(&mut world, 0, "detach blue0").text();
    assert!(moved.contains("ip -6 route add 2001:db8:99::/48 from 2001:db8:1::/64 via"), "{moved}");
    vrfsetup(&mut world, 0, "rollback");
    assert_same(&before, &state(&world));
}
