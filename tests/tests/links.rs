//! The world on this machine's own kernel, with plain links in the VRFs' place: what needs no virtual
//! machine. Needs root, as each test makes network namespaces.

use vrftests::harness::judge::{Order, Outcome, root, user};
use vrftests::harness::world::{Domain, Kind, World};

const URLS: [&str; 3] = ["http://192.0.2.80/", "http://[2001:db8::80]/", "http://www.vrf.test/"];

fn world() -> World {
    World::new(Kind::Links).expect("a world")
}

fn curl(before: &[&'static str], url: &'static str) -> Vec<&'static str> {
    before.iter().copied().chain(["curl", "-sS", "--max-time", "60", url]).collect()
}

fn is_blue(as_whom: fn(Vec<&'static str>) -> Order, mechanism: &'static str) {
    let mut world = world();
    for url in URLS {
        let words = curl(&["vrfrun", "--interface", "-m", mechanism, "blue"], url);
        world.judge(&as_whom(words)).assert_blue();
    }
}

#[test]
fn curl_alone_is_answered_by_the_default_domain() {
    let mut world = world();
    for url in URLS {
        let verdict = world.judge(&root(curl(&[], url)));
        assert_eq!(verdict.outcome, Outcome::Leak, "{verdict}");
        assert_eq!(verdict.answers, [Domain::Default], "{verdict}");
    }
}

#[test]
fn bpf_binds_curl_as_root() {
    is_blue(root, "bpf");
}

#[test]
fn preload_binds_curl_as_root() {
    is_blue(root, "preload");
}

#[test]
fn preload_binds_curl_as_a_plain_user() {
    is_blue(user, "preload");
}

#[test]
fn auto_finds_a_mechanism_for_each_user() {
    is_blue(root, "auto");
    is_blue(user, "auto");
}

#[test]
fn the_gate_denies_a_static_child() {
    let mut world = world();
    let words = ["vrfrun", "--interface", "-m", "preload", "--no-supervisor", "blue", "sh", "-c", "static_client"];
    for order in [root(words), user(words)] {
        let verdict = world.judge(&order);
        verdict.assert_closed();
        verdict.assert_says(1, "socket: Network is unreachable");
    }
}

#[test]
fn a_link_is_no_vrf_without_the_option() {
    world().judge(&root(["vrfrun", "blue", "true"])).assert_says(125, "'blue'");
}
