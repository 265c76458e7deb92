//! vrfsetup apply: what is there already is left alone, however it is written; what is not to be touched is not.

use super::guest_tests;
use super::{assert_same, nothing_to_do, state, vrfsetup};
use crate::harness::judge::root;
use crate::harness::world::{Kind, World};

guest_tests! {
    a_second_run_changes_nothing_however_things_are_written,
    what_changed_in_the_file_is_replaced,
    a_gateway_is_looked_for_on_ports_alone,
    what_the_machine_says_against_a_line_names_it,
    no_setting_leads_out_of_proc_sys,
    what_daemons_made_is_not_exported,
}

/// A vrf.toml of this text, in the world's directory; its path.
pub(super) fn write(world: &World, text: &str) -> String {
    let path = world.directory().join("vrf.toml");
    std::fs::write(&path, text).expect("a file");
    path.display().to_string()
}

const FILE: &str = r#"
[sysctl]
"net.ipv4.ping_group_range" = "0	2147483647"
"net/ipv4/tcp_rmem" = "4096	 131072  6291456"

[vrf.blue]
table = 10
ports = ["blue0"]
addresses = ["203.0.113.1/24 dev blue0", "2001:db8:77::1/64 dev blue0 nodad"]
routes = [
    "0.0.0.0/0 via 203.0.113.254",
    "::/0 via 2001:db8:77::fe",
    "198.18.0.0/16 via 203.0.113.254 metric 0",
    "2001:db8:99::7/48 via 2001:db8:77::fe metric 0",
    "local 198.19.0.0/16 dev blue0",
]

[vrf.green]
table = 30

[[leak]]
from = "blue"
to = "green"
prefixes = ["2001:db8:55::1/48", "198.51.100.0/24"]
"#;

fn a_second_run_changes_nothing_however_things_are_written() {
    let mut world = World::new(Kind::Bare).expect("a world");
    let path = write(&world, FILE);
    vrfsetup(&mut world, 0, &format!("apply {path}"));
    let before = state(&world);
    for what in ["198.18.0.0/16", "198.19.0.0/16", "2001:db8:99::/48", "2001:db8:55::/48"] {
        assert!(before.contains(what), "{what}: {before}");
    }
    nothing_to_do(&mut world, &format!("apply {path}"));
    vrfsetup(&mut world, 0, &format!("apply {path} --dry-run"));
    // What it exports says the same.
    let exported = vrfsetup(&mut world, 0, "export").text();
    let path = write(&world, &exported);
    nothing_to_do(&mut world, &format!("apply {path}"));
    assert_same(&before, &state(&world));
}

fn what_changed_in_the_file_is_replaced() {
    let mut world = World::new(Kind::Bare).expect("a world");
    world.ip("route add 198.51.100.128/25 via 198.51.100.1 dev eth0");
    let leak = "[[leak]]\nfrom = \"default\"\nto = \"blue\"\nprefixes = [\"198.51.100.128/25\"]\n";
    let file =
        format!("[vrf.blue]\ntable = 10\nports = [\"blue0\"]\naddresses = [\"2001:db8:77::1/64 dev blue0\"]\n{leak}");
    let path = write(&world, &file);
    vrfsetup(&mut world, 0, &format!("apply {path}"));
    assert_eq!(world.ip_json("route show table 10 198.51.100.128/25")[0]["gateway"], "198.51.100.1");
    // The owner's gateway is another one now.
    world.ip("route replace 198.51.100.128/25 via 198.51.100.77 dev eth0");
    vrfsetup(&mut world, 0, &format!("apply {path}"));
    let shown = world.ip_json("route show table 10 198.51.100.128/25");
    assert_eq!((&shown[0]["gateway"], &shown[1]), (&"198.51.100.77".into(), &serde_json::Value::Null), "{shown}");
    nothing_to_do(&mut world, &format!("apply {path}"));
    vrfsetup(&mut world, 0, "leak blue default 198.51.100.128/25 --remove");
    // Flags of an address.
    let path = write(&world, &file.replace("64 dev blue0", "64 dev blue0 noprefixroute"));
    let verdict = vrfsetup(&mut world, 0, &format!("apply {path}"));
    assert!(verdict.text().contains("ip addr change 2001:db8:77::1/64"), "{verdict}");
    assert_eq!(world.ip_json("-6 addr show dev blue0 to 2001:db8:77::1")[0]["addr_info"][0]["noprefixroute"], true);
    nothing_to_do(&mut world, &format!("apply {path}"));
    // A gateway, where the metric goes without saying: the kernel would take a second IPv6 route for another next hop.
    for gateway in ["2001:db8:77::fe", "2001:db8:77::fd"] {
        let route = format!("[\"2001:db8:77::/64 dev blue0\", \"default via {gateway} dev blue0\"]");
        let path = write(&world, &file.replace(leak, &format!("routes = {route}\n")));
        vrfsetup(&mut world, 0, &format!("apply {path}"));
        let shown = world.ip_json("-6 route show table 10 default metric 1024");
        assert_eq!(
            (&shown[0]["gateway"], &shown[0]["nexthops"]),
            (&gateway.into(), &serde_json::Value::Null),
            "{shown}"
        );
        nothing_to_do(&mut world, &format!("apply {path}"));
    }
}

fn a_gateway_is_looked_for_on_ports_alone() {
    let mut world = World::new(Kind::Bare).expect("a world");
    let good = "[vrf.red]\ntable = 20\n[vrf.blue]\ntable = 10\nports = [\"blue0\"]\naddresses = [\"203.0.113.1/24 dev blue0\"]\n";
    let path = write(&world, good);
    vrfsetup(&mut world, 0, &format!("apply {path}"));
    // A leak: what is behind it is red's.
    world.ip("route add 198.18.0.0/16 dev red table 10");
    let before = state(&world);
    let path = write(&world, &format!("{good}routes = [\"default via 198.18.0.1\"]\n"));
    let verdict = vrfsetup(&mut world, 2, &format!("apply {path}"));
    assert!(verdict.error_text().contains(&format!("{path}:7: no port has a network with 198.18.0.1")), "{verdict}");
    assert_same(&before, &state(&world));
}

fn what_the_machine_says_against_a_line_names_it() {
    let mut world = World::new(Kind::Bare).expect("a world");
    world.ip("link add other type vrf table 10");
    world.ip("link add br0 type bridge");
    world.ip("link set red0 master br0");
    let file = "# [vrf.blue]\n[vrf.blue2]\nports = []\n[vrf.blue]\ntable = 9\nports = [\n\"blue0\",\n\"X\"]\n";
    for (text, line, words) in [
        (file.replace("table = 9", "table = 10").replace("\"X\"", ""), 5, "table 10 belongs to VRF 'other'"),
        (file.replace('X', "red0"), 8, "'red0' is a port of 'br0'"),
        (
            file.replace("\"X\"", "").replace("[vrf.blue]\ntable", "[vrf.br0]\ntable"),
            4,
            "'br0' exists and is not a VRF",
        ),
        (
            format!("{}[default]\nroutes = [\n\"203.0.113.0/24 dev eth0\"]\n", file.replace("\"X\"", "")),
            11,
            "leads into no VRF",
        ),
        (format!("{}[sysctl]\n\"net.ipv4.nosuch\" = 1\n", file.replace("\"X\"", "")), 10, "no setting"),
        (
            format!(
                "{}[[leak]]\nfrom = \"default\"\nto = \"blue\"\nprefixes = [\n\"203.0.113.0/24\"]\n",
                file.replace("\"X\"", "")
            ),
            13,
            "203.0.113.0/24",
        ),
    ] {
        let path = write(&world, &text);
        let verdict = vrfsetup(&mut world, 2, &format!("apply {path}"));
        let said = verdict.error_text();
        assert!(said.contains(&format!("{path}:{line}: ")) && said.contains(words), "{line} {words}: {verdict}");
    }
}

fn no_setting_leads_out_of_proc_sys() {
    let mut world = World::new(Kind::Bare).expect("a world");
    let victim = world.directory().join("victim");
    std::fs::write(&victim, "as it was\n").expect("a file");
    let absolute = victim.display().to_string();
    for key in [absolute.clone(), absolute.replace('/', "."), format!("net/ipv4/../../../..{absolute}")] {
        let path = write(&world, &format!("[sysctl]\n\"{key}\" = \"overwritten\"\n"));
        let verdict = world.judge(&root(["vrfsetup", "apply", &path]));
        assert_ne!(verdict.code, 0, "{key}: {verdict}");
        assert!(verdict.error_text().contains("no setting"), "{key}: {verdict}");
        assert_eq!(std::fs::read_to_string(&victim).expect("a file"), "as it was\n", "{key}");
    }
}

fn what_daemons_made_is_not_exported() {
    let mut world = World::new(Kind::Bare).expect("a world");
    vrfsetup(&mut world, 0, "add blue --table 10 --port blue0");
    world.ip("addr add 203.0.113.1/24 dev blue0 valid_lft 9000 preferred_lft 8000");
    world.ip("route add default via 203.0.113.254 table 10 proto dhcp");
    world.ip("route add 198.18.0.0/16 via 203.0.113.254 table 10 proto bgp");
    world.ip("route add 198.19.0.0/16 via 203.0.113.254 table 10 proto static");
    world.ip("-6 route add default via fe80::9 dev blue0 table 10 proto ra");
    for format in ["toml", "networkd", "ifupdown"] {
        let text = vrfsetup(&mut world, 0, &format!("export --format {format}")).text();
        assert!(text.contains("198.19.0.0/16"), "{format}: {text}");
        assert!(!text.contains("198.18.0.0/16") && !text.contains("203.0.113.1/"), "{format}: {text}");
        assert!(!text.contains("fe80::9"), "{format}: {text}");
        assert_eq!(text.contains("DHCP=ipv4"), format == "networkd", "{format}: {text}");
        assert_eq!(text.matches("203.0.113.254").count(), 1, "{format}: {text}");
    }
    // One of a router advertisement comes by itself, and one of a server is single.
    for (address, shown) in [("2001:db8:77::9/64", "DHCP=ipv4\n"), ("2001:db8:77::8/128", "DHCP=yes\n")] {
        world.ip(&format!("addr add {address} dev blue0 nodad valid_lft 9000 preferred_lft 8000"));
        let text = vrfsetup(&mut world, 0, "export --format networkd").text();
        assert!(text.contains(shown) && !text.contains("2001:db8:77::"), "{text}");
    }
}
