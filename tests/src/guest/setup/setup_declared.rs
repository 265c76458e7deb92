//! vrfsetup apply and export: what a file declares, and what is there as a file.

use super::guest_tests;
use super::{assert_same, json, nothing_to_do, state, vrfsetup};
use crate::harness::judge::root;
use crate::harness::world::{Kind, World};

guest_tests! {
    a_setup_made_by_hand_is_exported_torn_down_and_applied_again,
    a_plan_is_shown_before_it_is_made_and_changes_nothing_twice,
    a_mistake_in_the_file_is_named_and_nothing_is_changed needs [Once],
    the_manuals_example_is_applied,
    each_part_stands_for_itself_and_what_is_missing_is_named,
    hundreds_of_vrfs_are_made_with_a_bar_and_rolled_back_if_the_last_is_refused needs [Once],
    networkd_and_ifupdown_files_name_everything needs [Once],
    rules_fix_killed_before_any_message_loses_no_packet needs [Once],
}

fn write(world: &World, text: &str) -> String {
    let path = world.directory().join("vrf.toml");
    std::fs::write(&path, text).expect("a file");
    path.display().to_string()
}

fn a_setup_made_by_hand_is_exported_torn_down_and_applied_again() {
    let mut world = World::new(Kind::Vrfs).expect("a world");
    world.ip("addr add 203.0.113.1/24 brd + dev blue0 label blue0:x");
    world.ip("route add 198.18.0.0/15 via 198.51.100.1 dev blue0 table 10 metric 7 proto static");
    world.ip("route add 192.0.2.128/25 dev red table 10");
    world.ip("route add blackhole 198.51.0.0/16 table 20");
    world.ip("route add 198.19.0.0/16 dev red metric 9");
    world.ip("-6 route add 2001:db8:98::/48 dev red");
    world.ip("addr add 127.0.0.1/8 dev blue");
    world.ip("addr add ::1/128 dev blue");
    vrfsetup(&mut world, 0, "rules fix");
    let before = state(&world);
    let exported = vrfsetup(&mut world, 0, "export").text();
    let path = write(&world, &exported);
    nothing_to_do(&mut world, &format!("apply {path}"));
    vrfsetup(&mut world, 0, &format!("apply {path} --dry-run"));
    for words in ["del blue", "del red", "rules undo"] {
        vrfsetup(&mut world, 0, words);
    }
    assert_eq!(world.ip_json("link show type vrf"), serde_json::json!([]));
    let verdict = vrfsetup(&mut world, 0, &format!("apply {path} -j"));
    assert_eq!(json(&verdict)["changed"], true);
    assert_same(&before, &state(&world));
    assert_eq!(json(&vrfsetup(&mut world, 0, &format!("apply {path} -j")))["changed"], false);
}

const FILE: &str = r#"
[sysctl]
"net.ipv4.udp_l3mdev_accept" = 1

[vrf.blue]
table = 10
ports = ["blue0"]
addresses = ["198.51.100.2/24 dev blue0", "2001:db8:1::2/64 dev blue0 nodad"]
routes = ["default via 198.51.100.1", "default via 2001:db8:1::1 dev blue0"]

[vrf.green]
unreachable = "none"

[[leak]]
from = "blue"
to = "green"
prefixes = ["192.0.2.0/24"]
"#;

fn a_plan_is_shown_before_it_is_made_and_changes_nothing_twice() {
    let mut world = World::of_machine(Kind::Bare).expect("a world");
    let path = write(&world, FILE);
    let before = state(&world);
    let plan = vrfsetup(&mut world, 3, &format!("apply {path} --dry-run")).text();
    assert!(plan.contains("ip link add blue type vrf table 10"), "{plan}");
    assert_same(&before, &state(&world));
    vrfsetup(&mut world, 0, &format!("apply {path}"));
    nothing_to_do(&mut world, &format!("apply {path}"));
    vrfsetup(&mut world, 0, &format!("apply {path} --dry-run"));
    let order = root(["vrfrun", "-m", "preload", "blue", "curl", "-sS", "http://www.vrf.test/"]);
    world.judge(&order).assert_blue();
    let green = world.ip_json("-d link show green")[0]["linkinfo"]["info_data"]["table"].clone();
    let leak = world.ip_json(&format!("-4 route show table {green} 192.0.2.0/24"));
    assert_eq!(leak[0]["dev"], "blue", "{leak}");
    // Another gateway: the route is replaced, without a moment between.
    let path = write(&world, &FILE.replace("via 198.51.100.1", "via 198.51.100.77"));
    let verdict = vrfsetup(&mut world, 0, &format!("apply {path}"));
    assert!(verdict.text().contains("ip route replace default via 198.51.100.77"), "{verdict}");
    assert_eq!(world.ip_json("-4 route show table 10 default")[0]["gateway"], "198.51.100.77");
    // The setting of the file goes with the last VRF.
    for words in ["del green", "del blue"] {
        vrfsetup(&mut world, 0, words);
    }
    let setting = world.judge(&root(["sysctl", "-n", "net.ipv4.udp_l3mdev_accept"]));
    assert_eq!(setting.text(), "0\n", "{setting}");
}

fn a_mistake_in_the_file_is_named_and_nothing_is_changed() {
    let mut world = World::new(Kind::Bare).expect("a world");
    let before = state(&world);
    for (wrong, line, words) in [
        (FILE.replace("table = 10", "tabel = 10"), 6, "unknown field `tabel`"),
        (FILE.replace("table = 10", "table = \"ten\""), 6, "table = \"ten\""),
        (FILE.replace("198.51.100.2/24 dev", "198.51.100.2/33 dev"), 8, "'198.51.100.2/33' is no address"),
        (FILE.replace("\"blue0\"]", "\"nosuch\"]").replace("dev blue0", "dev nosuch"), 7, "no such interface"),
        (FILE.replace("via 198.51.100.1\"", "via 198.51.101.1\""), 9, "no port has a network with 198.51.101.1"),
        (FILE.replace("to = \"green\"", "to = \"grene\""), 16, "no such VRF"),
    ] {
        let path = write(&world, &wrong);
        let verdict = vrfsetup(&mut world, 2, &format!("apply {path}"));
        verdict.assert_says(2, words);
        assert!(verdict.error_text().contains(&format!("{path}:{line}: ")), "{verdict}");
        assert_same(&before, &state(&world));
    }
}

/// Of vrf.toml(5), word for word: with a setting that comes with the first VRF.
fn the_manuals_example_is_applied() {
    let page = include_str!("../../../../man/vrf.toml.5");
    let example = page.split(".Bd -literal -offset indent\n").nth(1).and_then(|text| text.split(".Ed").next());
    let mut world = World::new(Kind::Bare).expect("a world");
    for port in ["eth1", "eth2"] {
        world.ip(&format!("link add {port} type dummy"));
    }
    let path = write(&world, example.expect("an example"));
    vrfsetup(&mut world, 3, &format!("apply {path} --dry-run"));
    vrfsetup(&mut world, 0, &format!("apply {path}"));
    nothing_to_do(&mut world, &format!("apply {path}"));
    assert_eq!(world.judge(&root(["sysctl", "-n", "net.vrf.strict_mode"])).text(), "1\n");
    assert_eq!(world.ip_json("-4 route show table 1001 default metric 0")[0]["gateway"], "192.0.2.254");
    assert_eq!(world.ip_json("link show eth2")[0]["master"], "red");
}

const PARTS: &str = r#"
[sysctl]
"net.ipv4.conf.good.rp_filter" = 2
"net.ipv4.conf.nosuch.rp_filter" = 2

[vrf.good]
table = 31
ports = ["eth1", "late0"]
addresses = ["203.0.113.1/24 dev eth1", "203.0.113.129/25 dev late0"]
routes = ["default via 203.0.113.2", "198.18.0.0/15 via 203.0.113.130 dev late0"]

[vrf.wrong]
tabel = 32

[vrf.refused]
table = 33
ports = ["eth2"]
addresses = ["192.0.2.1/24 dev eth2"]
routes = ["default via 198.51.100.77 dev eth2"]

[vrf.last]
unreachable = "rule"
"#;

fn each_part_stands_for_itself_and_what_is_missing_is_named() {
    let mut world = World::new(Kind::Bare).expect("a world");
    for port in ["eth1", "eth2"] {
        world.ip(&format!("link add {port} type dummy"));
    }
    let path = write(&world, PARTS);
    vrfsetup(&mut world, 2, &format!("apply {path}"));
    let made = vrfsetup(&mut world, 1, &format!("apply --each {path}"));
    for said in [
        "no interface 'late0' yet for VRF 'good'".to_owned(),
        format!("left out: {path}:13: unknown field `tabel`"),
        "left out: refused 'ip route add default via 198.51.100.77 dev eth2 table 33".to_owned(),
        format!("left out: {path}:4: this kernel has no setting 'net.ipv4.conf.nosuch.rp_filter'"),
    ] {
        assert!(made.error_text().contains(&said), "{said} is not said: {made}");
    }
    assert!(!made.error_text().contains("nothing is changed"), "{made}");
    let vrfs = world.ip_json("-br link show type vrf");
    let names: Vec<_> = vrfs.as_array().into_iter().flatten().filter_map(|vrf| vrf["ifname"].as_str()).collect();
    assert_eq!(names.len(), 2, "{vrfs}");
    assert!(names.contains(&"good") && names.contains(&"last"), "{vrfs}");
    assert_eq!(world.judge(&root(["sysctl", "-n", "net.ipv4.conf.good.rp_filter"])).text(), "2\n");
    assert_eq!(world.ip_json("-4 route show table 31 default metric 0")[0]["gateway"], "203.0.113.2");
    // The port comes later: it alone is what is done.
    world.ip("link add late0 type dummy");
    let late = vrfsetup(&mut world, 0, &format!("apply --each --port late0 {path}"));
    assert!(late.text().contains("ip link set late0 master good"), "{late}");
    assert_eq!(world.ip_json("-4 route show table 31 198.18.0.0/15")[0]["gateway"], "203.0.113.130");
    let repaired =
        PARTS.replace("tabel", "table").replace("198.51.100.77", "192.0.2.77").replace("conf.nosuch", "conf.all");
    let path = write(&world, &repaired.replace("\"late0\"]", "\"late1\"]").replace("dev late0", "dev late1"));
    let only_a_port = vrfsetup(&mut world, 3, &format!("apply --each {path}"));
    assert!(only_a_port.error_text().contains("no interface 'late1' yet for VRF 'good'"), "{only_a_port}");
    nothing_to_do(&mut world, &format!("apply --each --port nobodys {path}"));
    // A VRF that somebody has deleted does not come back with a port.
    world.ip("link add late1 type dummy");
    vrfsetup(&mut world, 0, "del good");
    nothing_to_do(&mut world, &format!("apply --each --port late1 {path}"));
}

/// Enough for steps that are sent together, and for a bar on a terminal.
const MANY: usize = 300;

fn hundreds_of_vrfs_are_made_with_a_bar_and_rolled_back_if_the_last_is_refused() {
    let mut world = World::new(Kind::Bare).expect("a world");
    let before = state(&world);
    let good: String = (0..MANY).map(|number| format!("[vrf.v{number}]\n")).collect();
    // The interface does not lead to the gateway: the kernel refuses the very last step.
    let path = write(&world, &format!("{good}routes = [\"default via 203.0.113.1 dev blue0\"]\n"));
    let refused = vrfsetup(&mut world, 1, &format!("apply {path} --force"));
    assert!(refused.error_text().starts_with("vrfsetup: refused 'ip route add default via 203.0.113.1"), "{refused}");
    assert!(!refused.error_text().contains(" steps"), "a bar without a terminal: {refused}");
    // The rules that came with the first VRF stay, as after `ip link del`.
    let vrfs = |world: &World| world.ip_json("link show type vrf").as_array().map_or(0, Vec::len);
    assert_eq!(vrfs(&world), 0);
    let links = |state: &str| state.lines().take_while(|line| !line.contains("rule show")).count();
    assert_eq!(links(&before), links(&state(&world)));

    let path = write(&world, &good);
    // However fast this machine is, and without a terminal: it is asked for.
    let shown = vrfsetup(&mut world, 0, &format!("apply {path} --force --progress always"));
    assert!(shown.error_text().contains(" steps") && shown.error_text().ends_with("\r\x1b[K"), "{shown}");
    assert_eq!(vrfs(&world), MANY);
    for family in ["-4", "-6"] {
        let seals = world.ip_json(&format!("{family} route show table all type unreachable"));
        let seals = seals.as_array().into_iter().flatten().filter(|route| route["metric"] == 4_278_198_272_u32);
        assert_eq!(seals.count(), MANY, "{family}");
    }
    nothing_to_do(&mut world, &format!("apply {path}"));
}

fn networkd_and_ifupdown_files_name_everything() {
    let mut world = World::new(Kind::Vrfs).expect("a world");
    let networkd = vrfsetup(&mut world, 0, "export --format networkd").text();
    for words in ["10-blue.netdev", "Kind=vrf", "Table=10", "20-blue0.network", "VRF=blue", "Gateway=198.51.100.1"] {
        assert!(networkd.contains(words), "{words}: {networkd}");
    }
    let ifupdown = vrfsetup(&mut world, 0, "export --format ifupdown").text();
    for words in ["iface red inet manual", "ip link add red type vrf table 20", "ip link set red0 master red"] {
        assert!(ifupdown.contains(words), "{words}: {ifupdown}");
    }
}

/// Every change is a message to the kernel; `vrfsetup/tests/kill.rs` does the same for all system calls.
fn rules_fix_killed_before_any_message_loses_no_packet() {
    let mut world = World::new(Kind::Vrfs).expect("a world");
    let targets = ["127.0.0.1", "::1", "198.51.100.2", "198.51.100.1"];
    let mut pings: Vec<_> =
        targets.iter().map(|target| world.start(&root(["ping", "-n", "-i", "0.02", target]))).collect();
    pings.iter_mut().for_each(|ping| ping.wait_for(" icmp_seq="));
    vrfsetup(&mut world, 0, "rules fix");
    let rules = |world: &World| [world.ip_json("-4 rule show"), world.ip_json("-6 rule show")];
    let fixed = rules(&world);
    vrfsetup(&mut world, 0, "rules undo");
    let mut ended = false;
    // The first six messages only ask.
    for at in 6..40 {
        let inject = format!("inject=sendto,sendmsg:signal=SIGKILL:when={at}");
        let words = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", &inject, "vrfsetup", "rules", "fix"];
        ended = world.judge(&root(words)).code == 0;
        vrfsetup(&mut world, 0, "rules fix");
        assert_eq!(rules(&world), fixed, "fixed after a kill before message {at}");
        vrfsetup(&mut world, 0, "rules undo");
        if ended {
            break;
        }
    }
    assert!(ended, "it sends more messages than this test looks at");
    for (ping, target) in pings.iter_mut().zip(targets) {
        ping.interrupt();
        let verdict = ping.finish(&mut world);
        assert!(verdict.text().contains(" 0% packet loss"), "{target}: {verdict}");
    }
}
