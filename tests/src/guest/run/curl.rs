//! curl by IPv4 address, by IPv6 address and by name, whose DNS then has to be in the VRF too.

use super::guest_tests;
use super::ways::{self, Way};
use crate::harness::judge::Outcome;
use crate::harness::world::{Domain, Kind, World};

guest_tests! {
    vrfrun_as_root_with_bpf,
    vrfrun_as_root_with_preload,
    vrfrun_as_a_plain_user_with_preload,
    ip_vrf_exec_gives_the_same_answers,
    curl_alone_is_answered_by_the_default_domain,
}

/// The three ways to ask for the same page.
const URLS: [&str; 3] = ["http://192.0.2.80/", "http://[2001:db8::80]/", "http://www.vrf.test/"];

fn client(url: &str) -> [&str; 5] {
    ["curl", "-sS", "--max-time", "60", url]
}

fn is_blue_by(way: Way) {
    let mut world = World::of_machine(Kind::Vrfs).expect("a world");
    for url in URLS {
        let verdict = world.judge(&way.order(&client(url)));
        verdict.assert_blue();
        assert_eq!(verdict.error_text(), "", "{way:?} {url}");
    }
}

fn vrfrun_as_root_with_bpf() {
    is_blue_by(ways::ALL[0]);
}

fn vrfrun_as_root_with_preload() {
    is_blue_by(ways::ALL[1]);
}

fn vrfrun_as_a_plain_user_with_preload() {
    is_blue_by(ways::ALL[2]);
}

fn ip_vrf_exec_gives_the_same_answers() {
    is_blue_by(ways::IP_VRF_EXEC);
}

/// The judge's own proof: without any mechanism the same commands leak, and the judge sees it.
fn curl_alone_is_answered_by_the_default_domain() {
    let mut world = World::of_machine(Kind::Vrfs).expect("a world");
    for url in URLS {
        let verdict = world.judge(&ways::NONE.order(&client(url)));
        assert_eq!((verdict.code, verdict.outcome), (0, Outcome::Leak), "{verdict}");
        assert_eq!(verdict.answers, [Domain::Default], "{verdict}");
    }
}
