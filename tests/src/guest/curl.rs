//! curl in a VRF, and what else asks the web: by address and by name, as root and as a plain user.

use super::guest_tests;
use crate::judge::{Order, root};
use crate::world::{Kind, World};

guest_tests! {
    ip_vrf_exec_runs_curl_by_name_and_address_in_blue,
    curl_alone_is_answered_by_the_default_domain,
}

/// The three ways to ask for the same page.
const URLS: [&str; 3] = ["http://192.0.2.80/", "http://[2001:db8::80]/", "http://www.vrf.test/"];

fn curl(before: &[&str], url: &str) -> Order {
    root(before.iter().chain(&["curl", "-sS", "--max-time", "10", url]))
}

fn world() -> World {
    World::new(Kind::Vrfs).expect("a world")
}

fn ip_vrf_exec_runs_curl_by_name_and_address_in_blue() {
    let mut world = world();
    for url in URLS {
        world.judge(&curl(&["ip", "vrf", "exec", "blue"], url)).assert_blue();
    }
}

/// The judge's own proof: without any mechanism the same commands leak.
fn curl_alone_is_answered_by_the_default_domain() {
    use crate::judge::Outcome;
    use crate::world::Domain;
    let mut world = world();
    for url in URLS {
        let verdict = world.judge(&curl(&[], url));
        assert_eq!(verdict.code, 0, "{verdict}");
        assert_eq!(verdict.outcome, Outcome::Leak, "{verdict}");
        assert_eq!(verdict.answers, [Domain::Default], "{verdict}");
    }
}
