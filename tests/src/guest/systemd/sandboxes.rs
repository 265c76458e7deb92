//! vrfrun in units that systemd hardens: the program's packets leave by the VRF or not at all, and the page about
//! sandboxes says which.

use super::guest_tests;
use super::machine::machine;
use crate::harness::judge::{Verdict, root};
use crate::harness::sandboxes;
use crate::harness::world::plan::WEB4;
use crate::harness::world::{Kind, World};

guest_tests! {
    each_hardened_unit_is_blue_or_closed_as_the_page_says,
}

/// A plain user.
const USER: &str = "User=1000";
/// What units are hardened with: its name, and the properties of the unit.
const UNITS: [&[&str]; 16] = [
    &[],
    &[USER],
    &[USER, "NoNewPrivileges=yes"],
    &[USER, "ProtectProc=invisible", "ProcSubset=pid"],
    &["PrivateUsers=yes"],
    &[USER, "PrivateUsers=yes"],
    &["ProtectControlGroups=yes"],
    &[USER, "MemoryDenyWriteExecute=yes"],
    &[USER, "MemoryDenyWriteExecute=yes", "SystemCallFilter=~memfd_create", "SystemCallErrorNumber=EPERM"],
    &[USER, "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK"],
    &[USER, "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6"],
    &[USER, "RestrictAddressFamilies=AF_UNIX AF_NETLINK"],
    &[USER, "SystemCallFilter=@system-service"],
    &[USER, "SystemCallFilter=~seccomp", "SystemCallErrorNumber=EPERM"],
    &[USER, "SystemCallFilter=@system-service seccomp pidfd_getfd"],
    &["SystemCallFilter=@system-service seccomp pidfd_getfd"],
];

fn each_hardened_unit_is_blue_or_closed_as_the_page_says() {
    let mut world = machine(Kind::Vrfs);
    let rows: String = UNITS.iter().map(|properties| row(&mut world, properties)).collect();
    let table = sandboxes::head("properties") + &rows;
    sandboxes::assert_documented("tests/src/guest/systemd/sandboxes.rs", &table);
}

/// Its line of the table.
fn row(world: &mut World, properties: &[&str]) -> String {
    let url = format!("http://{WEB4}/");
    let dynamic = run(world, properties, &["curl", "-sS", &url]);
    let program = world.bin().join("static_client").display().to_string();
    let alone = run(world, properties, &[&program]);
    let name = if properties.is_empty() { "none".into() } else { format!("`{}`", properties.join("`, `")) };
    sandboxes::row(&name, [&dynamic, &alone])
}

fn run(world: &mut World, properties: &[&str], program: &[&str]) -> Verdict {
    let vrfrun = world.bin().join("vrfrun").display().to_string();
    let properties = properties.iter().map(|property| format!("--property={property}"));
    let words = ["systemd-run", "--quiet", "--wait", "--pipe", "--collect"].map(String::from).into_iter();
    let command = [&[vrfrun.as_str(), "-v", "blue"], program].concat().into_iter().map(String::from);
    world.judge(&root(words.chain(properties).chain(command)))
}
