//! VRFs that are emulated, in vrf.toml: applied, exported, pruned; what `doctor` finds of them; and names that their ports had
//! before. On this machine's kernel.

mod namespace;

use std::fs;
use std::path::PathBuf;

use namespace::scene::{ADD, Scene};
use namespace::{assert_says, files, text};

/// A file of the test's own, gone with the value.
struct Toml(PathBuf);

impl Toml {
    fn new(name: &str, content: &str) -> Self {
        let path = std::env::temp_dir().join(format!("vrfsetup-{}-{name}.toml", std::process::id()));
        fs::write(&path, content).expect("a file");
        Self(path)
    }

    fn apply(&self, options: &str) -> String {
        format!("apply {} {options}", self.0.display()).trim_end().to_owned()
    }
}

impl Drop for Toml {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn it_is_applied_exported_and_pruned() {
    let scene = Scene::new();
    let (machine, before) = (&scene.machine, scene.state());
    for (name, fix) in [("early", false), ("late", true)] {
        let text_of = format!(
            "rules.fix = {fix}\n[vrf.blue]\nemulate = true\ntable = 77\nports = [\"eth1\"]\n\
             addresses = [\"198.51.100.1/24 dev eth1\"]\nroutes = [\"198.18.0.0/15 via 198.51.100.2\"]\n"
        );
        let file = Toml::new(name, &text_of);
        assert_says(&machine.vrfsetup(&file.apply("--dry-run")), 3, "ip link property add dev eth1 altname blue");
        assert_eq!(scene.state(), before);
        assert_says(
            &machine.vrfsetup(&file.apply("")),
            0,
            "ip route add 198.18.0.0/15 via 198.51.100.2 dev eth1 table 77",
        );
        assert_says(&machine.vrfsetup(&file.apply("")), 0, "unchanged: nothing to do");
        assert!(Scene::pings(machine, "-I eth1 203.0.113.1"));
        // What is exported is what is there.
        let exported = machine.vrfsetup("export");
        assert_says(&exported, 0, "[vrf.blue]\ntable = 77\nemulate = true\nports = [\n    \"eth1\",\n]\n");
        let again = Toml::new(&format!("{name}-again"), &text(&exported));
        for options in ["--dry-run", "--dry-run --prune", "--each"] {
            assert_says(&machine.vrfsetup(&again.apply(options)), 0, "unchanged: nothing to do");
        }
        assert_says(&machine.vrfsetup("export --format networkd"), 1, "hint: vrfsetup export --format toml");
        // A file without it removes it.
        let none = Toml::new(&format!("{name}-none"), "rules.fix = false\n");
        assert_says(&machine.vrfsetup(&none.apply("")), 0, "unchanged: nothing to do");
        assert_says(&machine.vrfsetup(&none.apply("--prune")), 0, "ip link property del dev eth1 altname blue");
        machine.ip("route del 198.18.0.0/15");
        machine.vrfsetup("rules undo");
        assert_eq!(scene.state(), before);
    }
}

#[test]
fn a_name_that_the_port_had_before_stays_with_it_and_no_other() {
    let scene = Scene::new();
    let machine = &scene.machine;
    let without = scene.state();
    machine.ip("link property add dev eth1 altname blue");
    for (before, rule) in [(scene.state(), false), (scene.state(), true), (without, true)] {
        if !before.contains("blue") {
            machine.ip("link property del dev eth1 altname blue");
        }
        assert_says(&machine.vrfsetup(ADD), 0, "ip rule add pref 1000 oif blue lookup");
        if rule {
            // It is made again, and brings no name that was not there at first.
            machine.ip("rule del pref 1000 iif blue");
            assert_says(&machine.vrfsetup(ADD), 0, "ip rule add pref 1000 iif blue");
        }
        assert_says(&machine.vrfsetup("del blue"), 0, "changed");
        assert_eq!(scene.state(), before);
    }
    machine.ip("link property add dev eth1 altname blue");
    assert_says(&machine.vrfsetup(ADD), 0, "changed");
    assert_says(&machine.vrfsetup("rollback"), 0, "is undone");
    machine.ip("link property del dev eth1 altname blue");
    assert_says(&machine.vrfsetup(ADD), 0, "changed");
    assert_says(&machine.vrfsetup("del blue"), 0, "ip link property del dev eth1 altname blue");
}

#[test]
fn a_file_takes_no_name_that_the_port_had_before() {
    let scene = Scene::new();
    let machine = &scene.machine;
    machine.ip("link property add dev eth1 altname blue");
    let before = scene.state();
    let blue = Toml::new("named", "rules.fix = false\n[vrf.blue]\nemulate = true\nports = [\"eth1\"]\n");
    let none = Toml::new("unnamed", "rules.fix = false\n");
    assert_says(&machine.vrfsetup(&blue.apply("")), 0, "ip rule add pref 1000 oif blue lookup");
    assert_says(&machine.vrfsetup(&none.apply("--prune")), 0, "ip rule del pref 1000 oif blue lookup");
    assert_eq!(scene.state(), before);
    // Nothing of it is remembered afterwards.
    machine.ip("link property del dev eth1 altname blue");
    assert_says(&machine.vrfsetup(&blue.apply("")), 0, "ip link property add dev eth1 altname blue");
    assert_says(&machine.vrfsetup(&none.apply("--prune")), 0, "ip link property del dev eth1 altname blue");
}

#[test]
fn what_it_cannot_be_is_a_mistake_with_its_line() {
    let scene = Scene::new();
    let before = scene.state();
    let blue = "rules.fix = false\n[vrf.blue]\nemulate = true\n";
    for (rest, line, why) in [
        ("", 3, "an emulated VRF has one port"),
        ("ports = [\"eth0\", \"eth1\"]", 3, "an emulated VRF has one port"),
        ("ports = [\"eth7\"]", 4, "no such interface"),
        ("ports = [\"eth1\"]\nunreachable = \"none\"", 5, "an emulated VRF is sealed by routes"),
        (
            "ports = [\"eth1\"]\naddresses = [\"198.51.100.9/24 dev eth1\"]",
            5,
            "an emulated VRF has the addresses that its port has",
        ),
        (
            "ports = [\"eth1\"]\n[[leak]]\nfrom = \"blue\"\nto = \"default\"\nprefixes = [\"198.51.100.0/24\"]",
            6,
            "an emulated VRF shares no routes",
        ),
    ] {
        let file = Toml::new("mistake", &format!("{blue}{rest}\n"));
        assert_says(&scene.machine.vrfsetup(&file.apply("")), 2, &format!(":{line}: {why}"));
        assert_eq!(scene.state(), before, "{rest}");
    }
    let missing = Toml::new("missing", &format!("{blue}ports = [\"eth7\"]\n"));
    assert_says(&scene.machine.vrfsetup(&missing.apply("--each")), 3, "eth7");
    let there = Toml::new("there", &format!("{blue}ports = [\"eth1\"]\n"));
    assert_says(&scene.machine.vrfsetup(&there.apply("--boot --no-ports")), 0, "nothing to do");
    assert_says(&scene.machine.vrfsetup(&there.apply("--boot --port eth1")), 0, "altname blue");
}

#[test]
fn doctor_finds_what_a_link_that_was_down_has_undone() {
    let scene = Scene::new();
    let machine = &scene.machine;
    let found = || {
        let findings: serde_json::Value = serde_json::from_slice(&machine.vrfsetup("-j doctor").stdout).expect("JSON");
        let ours = |finding: &&serde_json::Value| finding["vrf"] == "blue";
        let texts = findings.as_array().expect("an array").iter().filter(ours).map(|finding| {
            let (name, fix) = (finding["finding"].as_str().unwrap(), finding["fix"].as_str().unwrap());
            assert!(name.starts_with("emulation-") || name.starts_with("resolver-"), "{finding}");
            if name.starts_with("emulation-") { format!("{name}: {fix}") } else { String::new() }
        });
        texts.filter(|text| !text.is_empty()).collect::<Vec<_>>()
    };
    let lacking = format!("emulation-incomplete: vrfsetup {ADD}");
    assert_says(&machine.vrfsetup(ADD), 0, "changed");
    assert_eq!(found(), [""; 0]);
    for harm in [
        "link set eth1 down",
        "rule del pref 1000 oif blue",
        "-6 rule del pref 1000 iif blue",
        "route del unreachable default table 1001",
        "addr add 198.51.100.7/24 dev eth1",
    ] {
        machine.ip(harm);
        machine.ip("link set eth1 up");
        // Without one of a family's rules, those of the other still tell.
        assert_eq!(found(), [lacking.as_str()], "{harm}");
        assert_says(&machine.vrfsetup(ADD), 0, "changed");
        assert_eq!(found(), [""; 0], "{harm}");
    }
    machine.write_sysctl("net/ipv4/conf/eth1/rp_filter", "2");
    assert_eq!(found(), ["emulation-rp-filter: sysctl -w net.ipv4.conf.eth1.rp_filter=0"]);
}

#[test]
fn doctor_finds_a_rule_that_stands_before_it_and_names_what_helps() {
    let scene = Scene::new();
    let machine = &scene.machine;
    let found = || text(&machine.vrfsetup("doctor"));
    assert_says(&machine.vrfsetup(ADD), 0, "changed");
    // Others' packets, its own local ones, and those that it stops anyway.
    for harmless in ["oif eth0 lookup 7", "iif eth1 lookup main", "lookup local", "not oif eth1 lookup 7", "prohibit"] {
        machine.ip(&format!("rule add pref 500 {harmless}"));
        assert!(!found().contains("comes before"), "{harmless}: {}", found());
        machine.ip("rule del pref 500");
    }
    for harm in ["lookup main", "oif blue fwmark 0x1 lookup 7", "not oif eth0 lookup 7", "from 192.0.2.1 lookup main"] {
        machine.ip(&format!("rule add pref 500 {harm}"));
        let before = found();
        assert!(before.contains("blue: ipv4 rule '500: "), "{harm}: {before}");
        assert!(before.contains("takes what it matches; fix: vrfsetup rules fix\n"), "{harm}: {before}");
        assert_says(&machine.vrfsetup("rules fix"), 0, "pref 0 oif blue lookup 1001");
        assert!(!found().contains("comes before"), "{harm}: {}", found());
        assert!(machine.ip("route get 203.0.113.1 oif eth1").contains("table 1001"), "{harm}");
        machine.ip("rule del pref 500");
        assert_says(&machine.vrfsetup("rules undo"), 0, "pref 1000 oif blue lookup 1001");
    }
}

#[test]
fn doctor_finds_a_port_that_has_lost_the_name_and_one_that_is_gone() {
    let scene = Scene::new();
    let machine = &scene.machine;
    assert_says(&machine.vrfsetup(ADD), 0, "changed");
    let made = scene.state();
    machine.ip("link property del dev eth1 altname blue");
    let fix = "ip link property add dev eth1 altname blue";
    let lost = format!("blue: 'eth1', whose routes table 1001 has, has lost this alternative name; fix: {fix}\n");
    assert_says(&machine.vrfsetup("doctor"), 3, &lost);
    machine.ip(fix.trim_start_matches("ip "));
    assert_eq!(scene.state(), made);
    assert!(!text(&machine.vrfsetup("doctor")).contains("blue: "));
    machine.ip("link del eth1");
    assert_says(&machine.vrfsetup("doctor"), 3, "blue: its port is gone, and its rules and its seal are left; fix: ");
    assert_says(&machine.vrfsetup("del blue"), 0, "changed");
    assert!(!text(&machine.vrfsetup("doctor")).contains("blue: "));
}

#[test]
fn a_port_that_got_another_name_gets_its_own_setting_back() {
    let scene = Scene::new();
    let machine = &scene.machine;
    machine.write_sysctl("net/ipv4/conf/eth0/rp_filter", "2");
    assert_says(&machine.vrfsetup(ADD), 0, "changed");
    for (from, to) in [("eth1", "eth9"), ("eth0", "eth1")] {
        machine.ip(&format!("link set {from} down"));
        machine.ip(&format!("link set {from} name {to}"));
        machine.ip(&format!("link set {to} up"));
    }
    assert_says(&machine.vrfsetup("add red --port eth1 --emulate"), 0, "changed");
    for (vrf, port, was) in [("blue", "eth9", "1"), ("red", "eth1", "2")] {
        assert_eq!(machine.sysctl(&format!("net/ipv4/conf/{port}/rp_filter")).trim(), "0");
        assert_says(&machine.vrfsetup(&format!("del {vrf}")), 0, "changed");
        assert_eq!(machine.sysctl(&format!("net/ipv4/conf/{port}/rp_filter")).trim(), was, "{port}");
    }
    assert!(files(machine, ".memory").is_empty());
}
