//! The tests that run inside a virtual machine, as root, on a kernel with VRFs. Each runs in a
//! process of its own, from the same state; what it leaves is its failure (`clean`).
//!
//! `run` tests vrfrun, `setup` vrfsetup, `systemd` both where a systemd is process 1, `docs` what the pages say, `capi`
//! the library. `init`, `booted`, `runner` and `clean` run them.
//! To add one: write a function in a file of one of these directories and name it in the file's `guest_tests!`;
//! a new file is one line in its directory's `mod.rs` and one in [`MODULES`], or in
//! [`AT_BOTH_ENDS`] if the kernels between have no say in it. Its name is that of file and function.
//! May use `harness` and `matrix`. Nothing here but `pairs` runs on the host, and no other room uses a test.
#![forbid(unsafe_code)]

pub mod booted;
pub mod init;

mod clean;
#[cfg(test)]
mod pairs;
mod runner;
mod slice;

mod capi;
mod docs;
mod run;
mod setup;
mod systemd;

use crate::harness::kernels::{Arch, Feature, Kernel, System};
pub use run::sequences::by_hand as sequences;

/// A registered test. It fails by panicking.
#[derive(Debug)]
pub struct Test {
    path: &'static str,
    needs: &'static [Feature],
    run: fn(),
}

/// Lists a file's tests: `guest_tests! { one, another needs [Supervisor] }`.
macro_rules! guest_tests {
    ($($name:ident $(needs [$($feature:ident),+])?),+ $(,)?) => {
        /// The tests of this file.
        pub const TESTS: &[$crate::guest::Test] = &[$(
            $crate::guest::Test::new(
                concat!(module_path!(), "::", stringify!($name)),
                &[$($($crate::harness::kernels::Feature::$feature),+)?],
                $name,
            )
        ),+];
    };
}
use guest_tests;

/// Those that ask only what no release between has answered differently: they run on the oldest kernel and on the newest, and
/// at night or by name on all.
const AT_BOTH_ENDS: &[&[Test]] = &[
    run::names::TESTS,
    docs::promises::TESTS,
    run::surroundings::TESTS,
    capi::TESTS,
    run::curl::TESTS,
    run::clients::TESTS,
    run::containers::TESTS,
    docs::recipes::TESTS,
    docs::recipes_moving::TESTS,
    docs::recipes_seeing::TESTS,
    run::explain::TESTS,
    run::each::TESTS,
    run::trace::TESTS,
    run::refusals::TESTS,
    run::sealing::TESTS,
    setup::rules::TESTS,
    setup::setup_ports::TESTS,
    setup::lockout::TESTS,
    setup::lockout_rules::TESTS,
    setup::lockout_terminals::TESTS,
    setup::port_advertised::TESTS,
    setup::port_keeps::TESTS,
    setup::port_keeps_above::TESTS,
    setup::neighbours::TESTS,
    setup::apply_again::TESTS,
    setup::apply_changes::TESTS,
    setup::apply_seals::TESTS,
    setup::encaps::TESTS,
    setup::prune::TESTS,
    setup::setup_knowing::TESTS,
    setup::setup_declared::TESTS,
    setup::doctor_logins::TESTS,
    setup::zones::TESTS,
    setup::tunnels::TESTS,
    setup::moving::TESTS,
    setup::moving_gone::TESTS,
    setup::moving_shared::TESTS,
    setup::ports_in_use::TESTS,
    setup::ports_of_moved::TESTS,
    setup::user::TESTS,
    setup::user_file::TESTS,
    setup::user_inbound::TESTS,
    setup::user_killed::TESTS,
    setup::user_leaves::TESTS,
    setup::user_limits::TESTS,
    setup::user_moved::TESTS,
    setup::user_out_of_sight::TESTS,
    setup::user_unread::TESTS,
    setup::user_ways::TESTS,
];

/// Those that run on every kernel of the list: what they ask of it differs between releases.
const MODULES: &[&[Test]] = &[
    run::escapes::TESTS,
    run::bind_on_use::TESTS,
    run::bound_cgroups::TESTS,
    run::delegated::TESTS,
    run::unusual::TESTS,
    run::without_bpf::TESTS,
    run::mp_join::TESTS,
    run::lost_programs::TESTS,
    run::sequences::TESTS,
    run::container_table::TESTS,
    run::oci_agent::TESTS,
    run::oci_doctor::TESTS,
    run::oci_hook::TESTS,
    run::oci_runtime::TESTS,
    run::own_network::TESTS,
    run::gate::TESTS,
    run::inherited::TESTS,
    docs::recipes_services::TESTS,
    docs::completions::TESTS,
    setup::transactions::TESTS,
    setup::undo::TESTS,
    setup::random_worlds::TESTS,
    setup::random_faults::TESTS,
    setup::watch::TESTS,
    run::leaks::TESTS,
    setup::at_once::TESTS,
    setup::moves_at_once::TESTS,
    setup::users_at_once::TESTS,
    // The last: what it may do to an old kernel is undone by a boot only.
    run::net_cls::TESTS,
];

impl Test {
    /// What [`guest_tests!`] makes of a name.
    const fn new(path: &'static str, needs: &'static [Feature], run: fn()) -> Self {
        Self { path, needs, run }
    }

    /// Whether one machine is named for it.
    fn has_a_place(&self) -> bool {
        self.needs.iter().any(|need| Feature::PLACES.contains(need))
    }

    /// Its name: file and function.
    fn name(&self) -> &'static str {
        self.path.rmatch_indices("::").nth(1).map_or(self.path, |(at, _)| &self.path[at + 2..])
    }
}

/// Those that want a systemd as process 1.
const UNDER_SYSTEMD: &[&[Test]] = &[
    systemd::boot::TESTS,
    systemd::units::TESTS,
    systemd::logins::TESTS,
    systemd::moved::TESTS,
    systemd::session::TESTS,
    systemd::session_at_once::TESTS,
    systemd::session_names::TESTS,
    systemd::scopes::TESTS,
    systemd::resolved::TESTS,
    systemd::rollback::TESTS,
    systemd::sandboxes::TESTS,
    systemd::exported::TESTS,
    systemd::unit_names::TESTS,
    systemd::unit_faults::TESTS,
    systemd::units_at_once::TESTS,
    systemd::beside::TESTS,
    systemd::beside_bgp::TESTS,
    systemd::beside_port::TESTS,
    systemd::beside_port_nm::TESTS,
    systemd::beside_tunnel::TESTS,
];

/// The same, of machines alone whose line in `tests/kernels.toml` names them: they have the daemon.
const BESIDE_ONE_DAEMON: &[&[Test]] = &[
    systemd::beside_dhclient::TESTS,
    systemd::beside_ifupdown2::TESTS,
    systemd::exported_lease::TESTS,
    systemd::docker::TESTS,
    systemd::docker_rootless::TESTS,
    systemd::managers::TESTS,
    systemd::apparmor::TESTS,
    systemd::selinux::TESTS,
    systemd::hybrid::TESTS,
];

/// The names of the tests that must run, and pass, under this systemd.
pub fn expected_under_systemd(system: &System) -> impl Iterator<Item = String> {
    let named = |name: &str| system.tests.iter().any(|beginning| name.starts_with(beginning.as_str()));
    let usual = UNDER_SYSTEMD.iter().copied().flatten().map(Test::name);
    let usual = usual.filter(|name| system.tests.is_empty() || named(name));
    let of_one = BESIDE_ONE_DAEMON.iter().copied().flatten().map(Test::name).filter(|name| named(name));
    usual.chain(of_one).map(str::to_owned).collect::<Vec<_>>().into_iter()
}

/// The names of the tests that must run, and pass, on `kernel`: on a foreign architecture a slice of them.
pub fn expected_on(kernel: &Kernel) -> impl Iterator<Item = String> {
    let is_whole = kernel.arch == Arch::default();
    let is_end = kernel.works.contains(&Feature::End);
    let is_skipped =
        |name: &str| AT_BOTH_ENDS.iter().copied().flatten().any(|test| test.name() == name && !test.has_a_place());
    let beginnings = &kernel.tests;
    let is_named = |name: &str| beginnings.is_empty() || beginnings.iter().any(|beginning| name.starts_with(beginning));
    let is_expected = |name: &String| match is_whole {
        true => is_end || !is_skipped(name),
        false => slice::SLICE.contains(&name.as_str()) && is_named(name),
    };
    known_on(kernel).filter(is_expected).collect::<Vec<_>>().into_iter()
}

/// The names of all that can be run on `kernel`.
pub fn known_on(kernel: &Kernel) -> impl Iterator<Item = String> {
    let tests = AT_BOTH_ENDS.iter().chain(MODULES).copied().flatten();
    tests.filter(|test| test.needs.iter().all(|need| kernel.works.contains(need))).map(|test| test.name().to_owned())
}

/// Runs one test in this process. Says whether there is one of that name.
pub fn run(name: &str) -> bool {
    let Some(test) = all().find(|test| test.name() == name) else { return false };
    (test.run)();
    let left = clean::processes_left();
    assert!(left.is_empty(), "it left behind:\n  {}", left.join("\n  "));
    true
}

fn all() -> impl Iterator<Item = &'static Test> {
    AT_BOTH_ENDS.iter().chain(MODULES).chain(UNDER_SYSTEMD).chain(BESIDE_ONE_DAEMON).copied().flatten()
}

#[cfg(test)]
mod tests;
