//! Hostile input for everything that reads foreign bytes: declared state, names of tables, /proc, sock_diag.
//!
//! `make test` tries ten thousand cases of each; PROPTEST_CASES in the environment is another number.

use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::change::apply::source::Source;
use crate::model::name;
use crate::model::syntax;
use crate::plan::unit_files;
use crate::sys::rt_tables;

const CASES: u32 = 10_000;

/// Runs a test with many values. It fails by panicking; the smallest value that makes it panic is shown.
pub fn check<S: Strategy>(values: S, test: impl Fn(S::Value)) {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|number| number.parse().ok()).unwrap_or(CASES);
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&values, |value| {
        test(value);
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}

/// Bytes in which these words stand now and then.
pub fn around(words: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let known = prop::sample::select(words).prop_map(|word| word.as_bytes().to_vec());
    let any = vec(any::<u8>(), 0..4);
    vec(prop_oneof![5 => known, 1 => any], 0..16).prop_map(|parts| parts.concat())
}

/// The same as text.
fn text_around(words: &'static [&'static str]) -> impl Strategy<Value = String> {
    around(words).prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

const ROUTE: &[&str] = &[
    "default ",
    "-6 ",
    "192.0.2.0/24 ",
    "2001:db8::/32 ",
    "192.0.2.1 ",
    "/33 ",
    "via ",
    "dev ",
    "blue0 ",
    "metric ",
    "-1 ",
    "4294967295 ",
    "4294967296 ",
    "nexthop ",
    "weight ",
    "0 ",
    "256 ",
    "257 ",
    "src ",
    "proto ",
    "static ",
    "scope ",
    "link ",
    "mtu ",
    "lock ",
    "onlink ",
    "unreachable ",
    "blackhole ",
    "table ",
    "10 ",
    "pref ",
    "high ",
    "advmss ",
];

/// What is read can be named in a message.
#[test]
fn no_text_makes_the_reader_of_routes_panic() {
    check((text_around(ROUTE), any::<u32>()), |(text, table)| {
        if let Ok(route) = syntax::route::parse(&text, table) {
            assert!(!route.to_string().is_empty());
        }
    });
}

const ADDRESS: &[&str] = &[
    "192.0.2.1/24 ",
    "2001:db8::1/64 ",
    "192.0.2.1 ",
    "/129 ",
    "peer ",
    "brd ",
    "+ ",
    "- ",
    "dev ",
    "blue0 ",
    "label ",
    "blue0:x ",
    "scope ",
    "global ",
    "valid_lft ",
    "forever ",
    "0 ",
    "4294967296 ",
    "nodad ",
    "noprefixroute ",
    "metric ",
];

#[test]
fn no_text_makes_the_reader_of_addresses_panic() {
    check(text_around(ADDRESS), |text| drop(syntax::address::parse(&text)));
}

#[test]
fn no_text_makes_the_readers_of_names_and_prefixes_panic() {
    check(text_around(&["192.0.2.0", "/", "24", "::", "-", "..", "vrf", "default", " ", "\n", "\0"]), |text| {
        let _ = syntax::prefix(&text);
        assert!(name::vrf(&text).map_or(0, |name| name.len()) < 16);
        for checked in [name::device(&text), name::vrf(&text)].into_iter().flatten() {
            assert!(checked.len() < 128 && !checked.contains(['/', '\0', '\n', ' ']), "{checked:?}");
            assert!(!Path::new(&checked).is_absolute() && checked != "." && checked != "..", "{checked:?}");
        }
    });
}

const VRF_TOML: &[&str] = &[
    "[rules]\n",
    "[sysctl]\n",
    "[vrf.blue]\n",
    "[vrf.\"..\"]\n",
    "[[leak]]\n",
    "fix = true\n",
    "unreachable = ",
    "\"route\"\n",
    "table = ",
    "10\n",
    "0\n",
    "-1\n",
    "4294967296\n",
    "ports = ",
    "[\"eth1\"]\n",
    "[\"\"]\n",
    "addresses = ",
    "[\"192.0.2.1/24 dev eth1\"]\n",
    "routes = ",
    "[\"default via 192.0.2.254\"]\n",
    "loopback = ",
    "false\n",
    "[",
    "]",
    "\"",
    "=",
];

/// Errors quote the line that they are about, wherever it is.
#[test]
fn no_declared_state_makes_a_panic() {
    check(text_around(VRF_TOML), |text| {
        if let Err(error) = Source::new(Path::new("vrf.toml"), &text).read() {
            assert!(error.to_string().contains("vrf.toml"), "{error}");
        }
    });
}

#[test]
fn no_file_of_tables_makes_a_panic() {
    check(around(&["10\tblue\n", "0x", "ffffffff ", "4294967296 ", "#", "\n", " ", "-1 ", "red"]), |bytes| {
        assert!(rt_tables::entries(&bytes).len() <= bytes.split(|&b| b == b'\n' || b == b'\r').count());
    });
}

#[test]
fn no_property_of_systemd_makes_a_panic() {
    check(
        around(&[
            "egress:",
            "/sys/fs/bpf/",
            "vrfsetup",
            "cgroup/",
            "sock_create:",
            ":",
            "\n",
            "# made by vrfsetup",
            " ",
            "blue",
        ]),
        |bytes| {
            let _ = unit_files::vrf_of_program(&bytes);
            let text = String::from_utf8_lossy(&bytes);
            let _ = unit_files::vrf_of_drop_in(&text);
            let _ = unit_files::version(&text);
            let _ = unit_files::full_name(&text);
        },
    );
}
