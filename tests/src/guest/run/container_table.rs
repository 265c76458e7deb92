//! The page about sandboxes has for each kind of container what vrfrun did in it.

use std::fs;

use super::containers::{self, Image, Inside};
use super::guest_tests;
use crate::harness::sandboxes;
use crate::harness::world::{Kind, World};

guest_tests! {
    each_container_is_as_the_page_says needs [Once],
}

/// Who runs inside, as the page calls them.
const CONTAINERS: [(&str, Inside); 6] = [
    ("root with podman's capabilities", Inside::Root),
    ("a plain user", Inside::User),
    ("a pod's restricted context", Inside::Pod),
    ("root of a user namespace (`--userns=auto`)", Inside::RootOfUserNamespace),
    ("rootless, root inside", Inside::RootOfUsers),
    ("rootless, oneself inside (`--userns=keep-id`)", Inside::UserOfUsers),
];
/// A program that the shim can enter, and one that it cannot.
const PROGRAMS: [&str; 2] = ["/bin/resolve_musl", "/bin/plain_musl_static"];

fn each_container_is_as_the_page_says() {
    let mut world = World::of_machine(Kind::Vrfs).expect("a world");
    // Later kernels need not know the switch.
    let _ = fs::write("/proc/sys/kernel/unprivileged_userns_clone", "1");
    let image = Image::musl(&world);
    let mut table = String::from("| inside | a dynamic program | a static program |\n|---|---|---|\n");
    for (name, inside) in CONTAINERS {
        let [dynamic, alone] = PROGRAMS.map(|program| {
            let verdict = containers::judge(&mut world, &image, inside, &["/bin/vrfrun", "-v", "blue", program]);
            verdict.assert_blue();
            sandboxes::mechanism(&verdict)
        });
        table += &format!("| {name} | {dynamic} | {alone} |\n");
    }
    sandboxes::assert_documented("tests/src/guest/run/container_table.rs", &table);
}
