//! A plain user's vrfrun where AppArmor keeps user namespaces from programs that have no profile, as Ubuntu does. Debian's
//! kernel has no such switch: here the user's programs begin in a profile that forbids the same, and each program that has
//! one of its own gets that, as it would in Ubuntu.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::mount::{MsFlags, mount};

use super::guest_tests;
use super::machine::{Machine, machine};
use crate::harness::judge::{Verdict, user};
use crate::harness::sandboxes;
use crate::harness::vm::plan::DIRECTORY;
use crate::harness::world::Kind;
use crate::harness::world::plan::WEB4;

guest_tests! {
    vrfrun_has_the_user_namespace_that_its_profile_gives_it,
}

/// What the packages install.
const PACKAGED: &str = include_str!("../../../../dist/apparmor.in");
/// All but user namespaces, as in Ubuntu 23.10; and with those, but powerless in them, as from 24.04 on. A capability is
/// the same to AppArmor in whatever user namespace, and a plain user has none outside.
const USERS: &str = "abi <abi/4.0>,
profile vrftest-none flags=(attach_disconnected) {
  capability, network, mount, umount, pivot_root, ptrace, signal, unix, dbus, mqueue, io_uring, change_profile,
  /{,**} rwlkm,
  /** pix,
}
profile vrftest-powerless flags=(attach_disconnected) {
  network, mount, umount, pivot_root, ptrace, signal, unix, dbus, mqueue, io_uring, change_profile, userns,
  /{,**} rwlkm,
  /** pix,
}
";
const SWITCH: &str = "apparmor_restrict_unprivileged_userns";
/// A name that only programs in blue know, if their /etc is the VRF's.
const NAME: &str = "only.blue.test";
const FILES: &str = "/etc/vrf/blue";

/// A file's profiles in the kernel, as long as this lives.
struct Profiles(PathBuf);

impl Profiles {
    fn written(world: &Machine, name: &str, text: &str) -> Self {
        let file = world.directory().join(name);
        fs::write(&file, text).expect("profiles");
        let status = Command::new("apparmor_parser").args(["--skip-cache", "--replace"]).arg(&file).status();
        assert!(status.is_ok_and(|status| status.success()), "{text}");
        Self(file)
    }
}

impl Drop for Profiles {
    fn drop(&mut self) {
        // One that stays would make the next test's vrfrun another.
        let status = Command::new("apparmor_parser").arg("--remove").arg(&self.0).status();
        assert!(std::thread::panicking() || status.is_ok_and(|status| status.success()));
    }
}

/// What stands in /etc/vrf, as long as this lives.
struct Files;

impl Drop for Files {
    fn drop(&mut self) {
        // What stays is found by who looks at what is left.
        let _ = fs::remove_dir_all(FILES);
    }
}

fn vrfrun_has_the_user_namespace_that_its_profile_gives_it() {
    let mut world = machine(Kind::Vrfs);
    let _files = Files;
    fs::create_dir_all(FILES).expect("a directory");
    fs::write(Path::new(FILES).join("hosts"), format!("{WEB4} {NAME}\n")).expect("a file");
    show_the_switch(&world);
    let _users = Profiles::written(&world, "users", USERS);
    let mut table = sandboxes::head("programs without a profile");
    let kinds = [("no user namespace", "vrftest-none"), ("powerless in their user namespaces", "vrftest-powerless")];
    for (name, profile) in kinds {
        table += &row(&mut world, name, profile, &["vrfrun", "-v", "blue"], NAME);
        let without = format!("{name}; `vrfrun --no-etc`");
        table += &row(&mut world, &without, profile, &["vrfrun", "-v", "--no-etc", "blue"], &WEB4.to_string());
    }
    let packaged = PACKAGED.replace("@bindir@", DIRECTORY);
    let _packaged = Profiles::written(&world, "vrfrun", &packaged);
    for (name, profile) in kinds {
        let with = format!("{name}; vrfrun has its profile");
        table += &row(&mut world, &with, profile, &["vrfrun", "-v", "blue"], NAME);
        // What is told in SECURITY.md: it is handed on.
        let kept = run(&mut world, profile, &["vrfrun", "blue", "cat", "/proc/self/attr/current"]);
        assert_eq!((kept.code, kept.text().as_str()), (0, "vrfrun (unconfined)\n"), "{kept}");
    }
    sandboxes::assert_documented("tests/src/guest/systemd/apparmor.rs", &table);
}

/// Its line of the table.
fn row(world: &mut Machine, name: &str, profile: &str, vrfrun: &[&str], host: &str) -> String {
    let url = format!("http://{host}/");
    let dynamic = run(world, profile, &[vrfrun, &["curl", "-sS", &url]].concat());
    let alone = run(world, profile, &[vrfrun, &["static_client"]].concat());
    sandboxes::row(name, [&dynamic, &alone])
}

/// Runs it as a plain user whose programs have this profile: env has it, and what env starts may have one of its own.
fn run(world: &mut Machine, profile: &str, words: &[&str]) -> Verdict {
    world.judge(&user([&["aa-exec", "-p", profile, "--", "env"], words].concat()))
}

/// Ubuntu's, set: vrfrun reads it for what it advises.
fn show_the_switch(world: &Machine) {
    let (real, shown) = (Path::new("/proc/sys/kernel"), world.directory().join("kernel"));
    fs::create_dir(&shown).expect("a directory");
    for entry in fs::read_dir(real).expect("settings").flatten() {
        // Some are for writing only, some directories.
        if let Ok(value) = fs::read(entry.path()) {
            fs::write(shown.join(entry.file_name()), value).expect("a file");
        }
    }
    fs::write(shown.join(SWITCH), "1\n").expect("a file");
    mount(Some(&shown), real, None::<&str>, MsFlags::MS_BIND, None::<&str>).expect("a mount");
}
