//! What vrfsetup prints for who types it: the steps of a change, typed into a shell, make that change, and the fixes of
//! `doctor` fix it, whatever other programs call their interfaces.

mod namespace;

use std::process::{Command, Output};

use namespace::{Namespace, assert_says, text};

const NAMES: [&str; 5] = ["p;x'y", "$(id)", "a\"b\\c", "p*", "eth1.10"];

fn run(namespace: &Namespace, words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_vrfsetup")).args(["-n", &namespace.path()]).args(words).output().expect("vrfsetup")
}

fn typed(namespace: &Namespace, script: &str) {
    let output = namespace.command("bash").args(["-e", "-c", script]).output().expect("bash");
    assert!(output.status.success(), "{script}\n{}", text(&output));
}

/// A machine with a port of this name, which has some of everything.
fn with_port(name: &str) -> Namespace {
    let namespace = Namespace::new();
    let add = format!("link add {name} type veth peer name far");
    for words in [&add, "link set far up"] {
        namespace.ip(words);
    }
    for words in [
        format!("link set {name} addrgenmode none up"),
        format!("addr add 192.0.2.1/24 dev {name} label {name}:1"),
        format!("addr add 2001:db8::1/64 dev {name} nodad"),
        format!("route add 203.0.113.0/24 via 192.0.2.2 dev {name}"),
        format!("-6 route add 2001:db8:1::/48 via 2001:db8::2 dev {name}"),
        format!("rule add pref 77 iif {name} lookup 99"),
    ] {
        namespace.ip(&words);
    }
    namespace.write_sysctl(&format!("net/ipv4/conf/'{}'/rp_filter", name.replace('\'', r"'\''")), "1");
    while !namespace.ip("-6 route show table local").contains("local 2001:db8::1 ") {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    namespace
}

fn state(namespace: &Namespace, name: &str) -> String {
    let routes = namespace.ip("route show table all") + &namespace.ip("-6 route show table all");
    let links = namespace.ip("-o link show dev lo") + &namespace.ip(&format!("addr show dev {name} scope global"));
    let routes = routes.lines().filter(|line| !line.contains("fe80")).collect::<Vec<_>>().join("\n");
    let filter = namespace.sysctl(&format!("net/ipv4/conf/{name}/rp_filter"));
    let links: Vec<&str> = links.lines().filter(|line| !line.contains("link/ether")).collect();
    format!("{}\n{routes}\n{}\n{filter}", namespace.rules(), links.join("\n"))
}

#[test]
fn the_steps_that_are_printed_make_the_change_when_they_are_typed() {
    for name in NAMES {
        let (made, by_hand) = (with_port(name), with_port(name));
        let output = run(&made, &["add", "blue", "--emulate", "--port", name]);
        assert_says(&output, 0, "changed:\n");
        let said = text(&output);
        let steps: Vec<&str> = said.lines().filter_map(|line| line.strip_prefix("  ")).collect();
        assert!(steps.len() > 8, "{said}");
        typed(&by_hand, &steps.join("\n"));
        let indices = |state: String| state.replace(&format!("{name}@far"), name);
        assert_eq!(indices(state(&made, name)), indices(state(&by_hand, name)), "{said}");
    }
}

#[test]
fn a_fix_names_interfaces_as_a_shell_does() {
    for name in NAMES {
        let machine = with_port(name);
        assert_says(&run(&machine, &["add", "blue", "--emulate", "--port", name]), 0, "changed:\n");
        machine.ip(&format!("link property del dev {name} altname blue"));
        let said = text(&machine.vrfsetup("doctor"));
        let lost = said.lines().find(|line| line.contains("has lost this alternative name")).unwrap_or_default();
        typed(&machine, lost.split_once("; fix: ").expect("a fix").1);
        assert!(!text(&machine.vrfsetup("doctor")).contains("alternative name"), "{said}");
    }
}
