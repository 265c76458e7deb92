//! `add --emulate` on this machine's kernel, which needs no VRF driver: `ip -j` tells what is there, pings what goes through,
//! and strace injects the faults.

mod namespace;

use namespace::scene::{ADD, Scene, sorted};
use namespace::{IDLE, Namespace, assert_says, faulty, files, text};

/// More than `add` makes of any of these calls.
const MANY: usize = 300;

#[test]
fn its_deletion_and_a_rollback_leave_everything_as_it_was() {
    let scene = Scene::new();
    let before = scene.state();
    for way_back in ["del blue", "rollback"] {
        assert_says(&scene.machine.vrfsetup(ADD), 0, "ip link property add dev eth1 altname blue");
        assert_ne!(scene.state(), before);
        assert_says(&scene.machine.vrfsetup(ADD), 0, "unchanged: nothing to do");
        assert_says(&scene.machine.vrfsetup(way_back), 0, "ip link property del dev eth1 altname blue");
        assert_eq!(scene.state(), before, "{way_back}");
    }
    assert_says(&scene.machine.vrfsetup("del blue"), 0, "nothing to do");
}

#[test]
fn the_rules_are_fixed_and_undone_with_it_and_without() {
    let scene = Scene::new();
    let before = scene.state();
    assert_says(&scene.machine.vrfsetup(ADD), 0, "changed");
    let added = scene.state();
    assert_says(&scene.machine.vrfsetup("rules fix"), 0, "pref 0 oif blue lookup");
    assert_says(&scene.machine.vrfsetup("rules check"), 0, "as it should be");
    assert_says(&scene.machine.vrfsetup(ADD), 0, "unchanged: nothing to do");
    let fixed = scene.state();
    assert_says(&scene.machine.vrfsetup("rules undo"), 0, "pref 1000 oif blue lookup");
    assert_eq!(sorted(&scene.state()), sorted(&added), "but for the order of rules at one preference");
    assert_says(&scene.machine.vrfsetup("del blue"), 0, "changed");
    assert_eq!(scene.state(), before);
    // Where they are fixed already, those of a new one come before `local`, too.
    assert_says(&scene.machine.vrfsetup("rules fix"), 0, "changed");
    assert_says(&scene.machine.vrfsetup(ADD), 0, "pref 0 oif blue lookup");
    assert_says(&scene.machine.vrfsetup("rules check"), 0, "as it should be");
    assert_eq!(scene.state().len(), fixed.len());
    assert_says(&scene.machine.vrfsetup("del blue"), 0, "changed");
    assert_says(&scene.machine.vrfsetup("rules undo"), 0, "changed");
    assert_eq!(scene.state(), before);
}

#[test]
fn packets_of_the_port_have_its_routes_and_others_do_not() {
    let scene = Scene::new();
    let (machine, [_, blue]) = (&scene.machine, &scene.peers);
    for (add, fix) in [(ADD, "rules check"), (IDLE, "rules fix")] {
        machine.vrfsetup(add);
        machine.vrfsetup(fix);
        for near in ["192.0.2.2", "203.0.113.1", "2001:db8::2", "2001:db8:1::1"] {
            assert!(Scene::pings(machine, &format!("-I eth1 {near}")), "{fix}: {near}");
        }
        // The default domain has no way to what is behind it, and its neighbours are its own.
        for (far, is_reached) in [("203.0.113.1", false), ("2001:db8:1::1", false), ("192.0.2.2", true)] {
            assert_eq!(Scene::pings(machine, far), is_reached, "{fix}: {far}");
        }
        // The port's own addresses answer by it, be the way back known from a rule or from the interface.
        for own in ["198.51.100.1", "2001:db8::1"] {
            assert!(Scene::pings(blue, own), "{fix}: {own}");
        }
        // What its table lacks does not leave by the default domain.
        let route = machine.command("ip").args("-6 route get 2001:db8:2::1 oif eth1".split(' ')).output().unwrap();
        assert_says(&route, 2, "unreachable");
    }
}

#[test]
fn what_comes_in_by_the_port_is_not_forwarded_into_the_default_domain() {
    let scene = Scene::new();
    let (machine, [default, blue]) = (&scene.machine, &scene.peers);
    machine.write_sysctl("net/ipv4/ip_forward", "1");
    default.ip("addr add 198.18.0.2/24 dev far");
    default.ip("route add 198.51.100.0/24 via 198.18.0.1");
    machine.ip("addr add 198.18.0.1/24 dev eth0");
    blue.ip("route add 198.18.0.0/24 via 198.51.100.1");
    assert!(Scene::pings(blue, "198.18.0.2"), "it is forwarded without the VRF");
    assert_says(&machine.vrfsetup(ADD), 0, "changed");
    assert!(!Scene::pings(blue, "198.18.0.2"));
    assert!(!Scene::pings(blue, "198.18.0.1"), "the default domain's own address does not answer by the port");
}

#[test]
fn a_refusal_at_any_message_changes_nothing() {
    let scene = Scene::new();
    for words in [ADD, "del blue"] {
        let (before, mut undone) = (scene.state(), 0);
        for at in 1..MANY {
            let output = faulty(&scene.machine, &format!("sendto:error=EOPNOTSUPP:when={at}"), words);
            if output.status.success() {
                break;
            }
            assert_says(&output, 1, "Operation not supported");
            undone += usize::from(text(&output).contains("nothing is changed"));
            assert_eq!(scene.state(), before, "{words}, message {at}: {}", text(&output));
        }
        assert!(undone >= 8, "{words}: only {undone} changes were refused");
        assert_ne!(scene.state(), before);
    }
}

#[test]
fn after_a_kill_at_any_call_the_next_run_undoes_what_was_done() {
    let scene = Scene::new();
    let before = scene.state();
    for (call, least) in [("sendto", 8), ("write", 8), ("rename", 1)] {
        let mut halfway = 0;
        for at in 1..MANY {
            let output = faulty(&scene.machine, &format!("{call}:signal=SIGKILL:when={at}"), ADD);
            halfway += usize::from(!files(&scene.machine, ".journal").is_empty() && scene.state() != before);
            let next = scene.machine.vrfsetup(IDLE);
            assert_says(&next, 0, "nothing to do");
            if scene.state() != before {
                // All of it was done before the kill.
                assert_says(&scene.machine.vrfsetup("rollback"), 0, "is undone");
            }
            assert_eq!(scene.state(), before, "{call} {at}");
            if output.status.success() {
                break;
            }
        }
        assert!(halfway >= least, "{call}: killed halfway {halfway} times");
    }
}

#[test]
fn two_at_once_get_two_tables() {
    let scene = Scene::new();
    let before = scene.state();
    let (machine, adds) = (&scene.machine, ["add red --port eth0 --emulate", ADD]);
    std::thread::scope(|scope| {
        let both = adds.map(|add| scope.spawn(move || machine.vrfsetup(add)));
        both.into_iter().for_each(|run| assert_says(&run.join().expect("a run"), 0, "changed"));
    });
    let shown = text(&machine.vrfsetup("show"));
    assert!(shown.contains("table 1001") && shown.contains("table 1002"), "{shown}");
    for port in ["eth0", "eth1"] {
        assert!(Scene::pings(machine, &format!("-I {port} 192.0.2.2")), "{port}");
    }
    for name in ["blue", "red"] {
        assert_says(&machine.vrfsetup(&format!("del {name}")), 0, "changed");
    }
    assert_eq!(sorted(&scene.state()), sorted(&before), "but for the order of routes to the same network");
}

#[test]
fn what_cannot_be_emulated_is_refused() {
    let scene = Scene::new();
    let machine = &scene.machine;
    let refused = |code, words, why| assert_says(&machine.vrfsetup(words), code, why);
    refused(2, "add blue --emulate", "an emulated VRF needs its port");
    refused(2, "add blue --emulate --port eth0 --port eth1", "an emulated VRF has one port");
    refused(2, "add blue --emulate --port eth0 --no-loopback", "cannot be used with");
    refused(1, "add eth0 --emulate --port eth1", "another interface is called 'eth0'");
    refused(1, "add blue --emulate --port lo", "'lo' cannot be a port of a VRF");
    refused(1, "add blue --emulate --port eth7", "no interface 'eth7'");
    assert_says(&machine.vrfsetup(ADD), 0, "changed");
    for words in ["add blue", "attach blue eth0", "detach eth1", "add red --emulate --port eth1"] {
        refused(1, words, "VRF 'blue' is emulated by 'eth1', its one port\nhint: vrfsetup del blue");
    }
    refused(1, "add blue --emulate --port eth0", "VRF 'blue' is emulated by 'eth1'");
    refused(1, "move blue 1", "cannot move processes: VRF 'blue' is emulated by 'eth1'");
    refused(1, "move eth1 1", "'eth1' exists and is not a VRF");
    refused(1, "add blue --emulate --table 7", "VRF 'blue' exists with table 1001");
    refused(1, "add red --emulate --port eth0 --table 1001", "table 1001 belongs to emulated VRF 'blue'");
    // Its default route would be gone from the default domain.
    assert_says(&machine.vrfsetup("del blue"), 0, "changed");
    machine.ip("route add default via 192.0.2.2 dev eth1");
    refused(1, ADD, "takes default route");
    assert_says(&machine.vrfsetup("add blue --port eth1 --emulate --force"), 0, "ip route add default via 192.0.2.2");
}

#[test]
fn a_port_that_goes_leaves_only_what_del_removes() {
    let scene = Scene::new();
    let machine = &scene.machine;
    assert_says(&machine.vrfsetup("add red --port eth0 --emulate"), 0, "changed");
    machine.ip("link del eth0");
    assert_says(&machine.vrfsetup("show"), 0, "");
    assert_says(&machine.vrfsetup("del red"), 0, "ip rule del pref 1000 oif red lookup 1001");
    assert!(!machine.rules().contains("1001"));
    assert_eq!(machine.ip("route show table all type unreachable"), "");
}

#[test]
fn it_is_shown_with_its_port_and_known_to_pids() {
    let scene = Scene::new();
    assert_says(&scene.machine.vrfsetup(ADD), 0, "changed");
    let shown = scene.machine.vrfsetup("show blue --sockets");
    assert_says(&shown, 0, "blue (emulated, table 1001, up)\n");
    assert!(text(&shown).contains("  port eth1 (up)"), "{}", text(&shown));
    let json: serde_json::Value = serde_json::from_slice(&scene.machine.vrfsetup("-j show").stdout).expect("JSON");
    assert_eq!((&json[0]["ifname"], &json[0]["emulated"]), (&"blue".into(), &true.into()));
    assert_eq!(json[0]["ports"][0]["ifname"], "eth1");
    assert_says(&scene.machine.vrfsetup("pids blue"), 0, "");
    assert_says(&scene.machine.vrfsetup("pids enp0s1"), 1, "exists and is not a VRF");
}

const ALONE: &str = "198.51.100.1";

/// Gives eth0 the address that only eth1 had, and its peer one in the same network.
fn share_address(scene: &Scene) {
    scene.machine.ip(&format!("addr add {ALONE}/24 dev eth0"));
    scene.peers[0].ip("addr add 198.51.100.2/24 dev far");
}

#[test]
fn two_of_the_same_address_keep_their_packets_apart() {
    let scene = Scene::new();
    let machine = &scene.machine;
    assert_says(&machine.vrfsetup(ADD), 0, "changed");
    share_address(&scene);
    assert_says(&machine.vrfsetup("add red --port eth0 --emulate"), 0, "changed");
    for (port, table) in [("eth0", "1002"), ("eth1", "1001")] {
        let way = machine.ip(&format!("route get 198.51.100.2 from {ALONE} oif {port}"));
        assert!(way.contains(&format!("dev {port} table {table}")), "{way}");
        assert!(Scene::pings(machine, &format!("-I {port} -I {ALONE} 198.51.100.2")), "{port}");
    }
}

#[test]
fn rules_of_an_earlier_version_go_behind_those_of_other_vrfs() {
    let scene = Scene::new();
    let machine = &scene.machine;
    assert_says(&machine.vrfsetup(ADD), 0, "changed");
    let made = machine.rules();
    let from = format!("from {ALONE} iif lo lookup 1001 protocol kernel");
    machine.ip(&format!("rule add pref 1000 {from}"));
    machine.ip(&format!("rule del pref 1001 {from}"));
    let found = text(&machine.vrfsetup("doctor"));
    let early =
        format!("blue: rule '1000: from {ALONE}/32 iif lo lookup 1001' stands before those of other VRFs; fix: ");
    assert!(found.contains(&early), "{found}");
    assert_says(&machine.vrfsetup("add blue --emulate"), 0, &format!("ip rule del pref 1000 from {ALONE}/32 iif lo"));
    assert_eq!(machine.rules(), made);
    // One that somebody else made stays.
    machine.ip("rule add pref 1000 from 198.51.100.9 iif lo lookup 1001 protocol static");
    assert_says(&machine.vrfsetup("add blue --emulate"), 0, "unchanged: nothing to do");
}

/// Doctor tells of a rule that takes the default domain's packets, and `add` removes it.
fn assert_stale(machine: &Namespace) {
    let found = text(&machine.vrfsetup("doctor"));
    let stale = format!("blue: rule '1001: from {ALONE}/32 iif lo lookup 1001' takes packets of the default domain");
    assert!(found.contains(&stale) && found.contains("fix: vrfsetup add blue --port eth1 --emulate"), "{found}");
    assert_says(&machine.vrfsetup("add blue --emulate"), 0, &format!("ip rule del pref 1001 from {ALONE}/32"));
    assert!(!machine.rules().contains(ALONE));
    assert!(!text(&machine.vrfsetup("doctor")).contains("fix: vrfsetup add"));
}

#[test]
fn a_rule_for_an_address_that_another_interface_has_too_goes() {
    let scene = Scene::new();
    let machine = &scene.machine;
    machine.ip("route add 203.0.113.0/24 via 192.0.2.2 dev eth0 metric 7");
    assert_says(&machine.vrfsetup(ADD), 0, "changed");
    let made = machine.rules();
    share_address(&scene);
    let sends = || machine.ip(&format!("route get 203.0.113.1 from {ALONE}"));
    assert!(sends().contains("dev eth1 table 1001"), "{}", sends());
    assert_stale(machine);
    assert!(sends().contains("dev eth0"), "{}", sends());
    assert!(Scene::pings(machine, &format!("-I {ALONE} 203.0.113.1")));
    machine.ip(&format!("addr del {ALONE}/24 dev eth0"));
    assert_says(&machine.vrfsetup("add blue --emulate"), 0, "ip rule add pref 1001 from");
    assert_eq!(machine.rules(), made);
}

#[test]
fn a_rule_for_an_address_that_the_port_has_no_more_goes() {
    let scene = Scene::new();
    assert_says(&scene.machine.vrfsetup(ADD), 0, "changed");
    scene.machine.ip(&format!("addr del {ALONE}/24 dev eth1"));
    assert_stale(&scene.machine);
}
