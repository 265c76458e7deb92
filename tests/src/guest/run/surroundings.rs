//! What vrfrun may be started in: a VRF already, another one, a namespace without any, a VRF made again.

use super::guest_tests;
use super::ways;
use crate::harness::judge::{Order, root, user};
use crate::harness::wait;
use crate::harness::world::{Domain, Kind, World};

guest_tests! {
    the_same_vrf_again_is_a_plain_exec,
    a_variable_that_says_blue_proves_nothing,
    another_vrf_inside_bpf,
    another_vrf_under_a_filter_exits_125_and_says_why,
    default_leaves_bpf,
    default_under_a_filter_exits_125,
    inside_ip_vrf_exec,
    a_network_namespace_without_the_vrf_exits_125,
    a_vrf_made_again_is_bound_by_the_next_run,
    nothing_is_left_behind,
}

const CURL_LINE: &str = "curl -sS http://www.vrf.test/";
const CURL: [&str; 3] = ["curl", "-sS", "http://www.vrf.test/"];

fn world() -> World {
    World::of_machine(Kind::Vrfs).expect("a world")
}

/// `vrfrun OUTER… sh -c 'vrfrun INNER… curl …'`: a shell between them, as there mostly is.
fn nested(who: fn(Vec<String>) -> Order, outer: &str, inner: &str) -> Order {
    let words = ["vrfrun"].into_iter().chain(outer.split(' ')).chain(["sh", "-c"]).map(String::from);
    who(words.chain([format!("vrfrun {inner} {CURL_LINE}")]).collect())
}

fn as_root(words: Vec<String>) -> Order {
    root(words)
}

fn as_user(words: Vec<String>) -> Order {
    user(words)
}

fn the_same_vrf_again_is_a_plain_exec() {
    let mut world = world();
    for (who, outer) in [
        (as_root as fn(_) -> _, "-m bpf blue"),
        (as_root, "-m preload blue"),
        (as_user, "-m preload blue"),
        (as_root, "-m preload --no-supervisor blue"),
        (as_user, "-m preload --no-supervisor blue"),
    ] {
        let verdict = world.judge(&nested(who, outer, "-v blue"));
        verdict.assert_blue();
        assert!(verdict.error_text().contains("already bound"), "{verdict}");
    }
}

fn a_variable_that_says_blue_proves_nothing() {
    let mut world = world();
    for way in ways::ALL {
        world.judge(&way.order(&CURL).env("VRFRUN_VRF", "blue")).assert_blue();
        let lie = way.order(&CURL).env("VRFSHIM", "0123456789abcdef:blue");
        world.judge(&lie).assert_blue();
    }
}

fn another_vrf_inside_bpf() {
    let mut world = world();
    world.judge(&nested(as_root, "-m bpf red", "-m bpf blue")).assert_blue();
}

fn another_vrf_under_a_filter_exits_125_and_says_why() {
    let mut world = world();
    for who in [as_root as fn(_) -> _, as_user] {
        let verdict = world.judge(&nested(who, "-m preload red", "blue"));
        verdict.assert_says(125, "'red'");
        let verdict = world.judge(&nested(who, "-m preload --no-supervisor red", "blue"));
        verdict.assert_says(125, "a seccomp filter above denies inet sockets");
    }
}

fn default_leaves_bpf() {
    let mut world = world();
    let verdict = world.judge(&nested(as_root, "-m bpf blue", "default"));
    assert_eq!((verdict.code, verdict.text().trim()), (0, "default"), "{verdict}");
    assert_eq!(verdict.packets(Domain::Blue), 0, "{verdict}");
}

fn default_under_a_filter_exits_125() {
    let mut world = world();
    for who in [as_root as fn(_) -> _, as_user] {
        for outer in ["-m preload blue", "-m preload --no-supervisor blue"] {
            let verdict = world.judge(&nested(who, outer, "default"));
            verdict.assert_says(125, "vrfrun: ");
            verdict.assert_closed();
        }
    }
}

fn inside_ip_vrf_exec() {
    let mut world = world();
    for (outer, mechanism) in [("red", "bpf"), ("blue", "auto")] {
        let words = ["ip", "vrf", "exec", outer, "vrfrun", "-m", mechanism, "blue"];
        world.judge(&root(words.iter().chain(&CURL))).assert_blue();
    }
}

fn a_network_namespace_without_the_vrf_exits_125() {
    let mut world = world();
    world.ip("netns add elsewhere");
    let inside = world.judge(&root(["ip", "netns", "exec", "elsewhere", "vrfrun", "blue", "true"]));
    let entered = world.judge(&root(["vrfrun", "-n", "elsewhere", "blue", "true"]));
    let missing = world.judge(&root(["vrfrun", "-n", "nowhere", "blue", "true"]));
    world.ip("netns del elsewhere");
    inside.assert_says(125, "'blue': No such device");
    entered.assert_says(125, "'blue': No such device");
    missing.assert_says(125, "'nowhere': No such file or directory");
}

fn a_vrf_made_again_is_bound_by_the_next_run() {
    for way in ways::ALL {
        let mut world = world();
        world.judge(&way.order(&CURL)).assert_blue();
        for step in
            ["link del blue", "link add blue type vrf table 10", "link set blue up", "link set blue0 master blue"]
        {
            world.ip(step);
        }
        world.ip("route replace default via 198.51.100.1 dev blue0 table 10");
        world.judge(&way.order(&["curl", "-sS", "http://192.0.2.80/"])).assert_blue();
    }
}

fn nothing_is_left_behind() {
    let mut world = world();
    for way in ways::ALL {
        world.judge(&way.order(&CURL)).assert_blue();
    }
    // A supervisor sees a moment later that its last client has gone.
    wait::until(|| world.judge(&root(["pgrep", "-f", "vrfrun"])).text(), String::is_empty);
    let script = "find /sys/fs/cgroup -name 'vrfrun-*' | wc -l; mount | grep -c vrfrun";
    let traces = world.judge(&root(["sh", "-c", script]));
    assert_eq!(traces.text(), "1\n0\n", "{traces}");
}
