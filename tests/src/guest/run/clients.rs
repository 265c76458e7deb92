//! Other dynamic programs, each by every way.

use super::guest_tests;
use super::ways;
use crate::harness::world::{Kind, World};

guest_tests! {
    wget_by_name,
    python_by_name,
    dig_asks_blues_nameserver,
    a_program_that_calls_syscall_itself,
}

const PYTHON: &str = "import http.client as h; c = h.HTTPConnection('www.vrf.test', timeout=60); \
                      c.request('GET', '/'); print(c.getresponse().read().decode().strip())";

fn is_blue_by_every_way(client: &[&str]) {
    let mut world = World::of_machine(Kind::Vrfs).expect("a world");
    for way in ways::ALL {
        world.judge(&way.order(client)).assert_blue();
    }
}

fn wget_by_name() {
    is_blue_by_every_way(&["wget", "-q", "-T", "60", "-t", "1", "-O", "-", "http://www.vrf.test/"]);
}

fn python_by_name() {
    is_blue_by_every_way(&["python3", "-c", PYTHON]);
}

fn dig_asks_blues_nameserver() {
    is_blue_by_every_way(&["dig", "+short", "+tries=1", "+time=60", "TXT", "www.vrf.test"]);
}

fn a_program_that_calls_syscall_itself() {
    is_blue_by_every_way(&["syscall_socket"]);
}
