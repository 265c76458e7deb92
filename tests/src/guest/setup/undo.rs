//! What undoes a change: `vrfsetup rollback`, the next run after one that was killed, and the files that both live by.

use std::fs;
use std::path::Path;

use super::faults::{IDLE, MANY, faulty, text, vrfsetup_idle};
use super::guest_tests;
use super::transactions::{furnished, with_blue};
use super::{assert_same, state, vrfsetup, wait_for_no_carrier};
use crate::harness::judge::root;
use crate::harness::wait;
use crate::harness::world::{Kind, World};

guest_tests! {
    a_rollback_is_resumed_wherever_it_is_killed needs [Once],
    the_names_of_tables_come_and_go_with_the_change needs [Once],
    the_last_change_is_undone_whatever_it_was,
    what_a_rollback_cannot_undo_is_named,
    a_file_is_on_the_disk_before_it_has_its_name needs [Once],
    no_address_is_probed_again_by_a_rollback needs [Once],
    where_nothing_lasts_a_vrf_is_made_without_the_name_of_its_table needs [Once],
}

fn a_rollback_is_resumed_wherever_it_is_killed() {
    let mut world = furnished();
    vrfsetup(&mut world, 0, "add blue --table 10");
    let before = state(&world);
    for at in 1..MANY {
        // All is made, and only the journal is not put away.
        faulty("rename:signal=SIGKILL:when=1", "attach blue blue0");
        assert_ne!(state(&world), before);
        let killed = faulty(&format!("sendto:signal=SIGKILL:when={at}"), IDLE);
        faulty(&format!("write:signal=SIGKILL:when={at}"), IDLE);
        let last = vrfsetup_idle();
        assert!(!text(&last).contains("could not be undone"), "{}", text(&last));
        assert_same(&before, &state(&world));
        if killed.status.success() {
            assert!(at > 4, "it sent {at} messages only");
            return;
        }
    }
    panic!("it sends more messages than this test looks at");
}

/// In the machine's own network namespace, where tables get names in /etc.
fn the_names_of_tables_come_and_go_with_the_change() {
    const NAME: &str = "/etc/iproute2/rt_tables.d/vrf-blue.conf";
    const LASTING: &str = "/var/lib/vrfsetup/files.journal";
    let mut world = World::of_machine(Kind::Bare).expect("a world");
    let before = state(&world);
    for call in ["write", "rename", "fsync", "fdatasync", "unlink"] {
        let mut halfway = 0;
        for at in 1..MANY {
            let killed = faulty(&format!("{call}:signal=SIGKILL:when={at}"), "add blue --table 10");
            if killed.status.success() {
                break;
            }
            halfway += usize::from(text(&vrfsetup_idle()).contains("is rolled back"));
            if state(&world) != before {
                // All was done when it was killed.
                vrfsetup(&mut world, 0, "rollback");
            }
            assert_same(&before, &state(&world));
            assert!(!Path::new(NAME).exists() && !Path::new(LASTING).exists(), "{call} {at}");
        }
        assert!(halfway > 0, "{call}: it was never killed halfway");
        vrfsetup(&mut world, 0, "rollback");
        assert!(!Path::new(NAME).exists() && !Path::new(LASTING).exists(), "{call}");
    }
    // The machine ends before the change is confirmed: the kernel and /run forget it, the disk does not.
    vrfsetup(&mut world, 0, "add blue --table 10 --confirm 3600");
    assert!(Path::new(NAME).exists() && Path::new(LASTING).exists());
    world.ip("link del blue");
    fs::remove_dir_all("/run/vrfsetup").expect("a directory");
    let said = text(&vrfsetup_idle());
    assert!(
        said.contains("('vrfsetup add blue --table 10 --confirm 3600') was cut off by the machine's end"),
        "{said}"
    );
    assert!(!Path::new(NAME).exists() && !Path::new(LASTING).exists());
    // The same for one that is confirmed: nothing is left to undo.
    vrfsetup(&mut world, 0, "add blue --table 10 --confirm 3600");
    vrfsetup(&mut world, 0, "confirm");
    assert!(Path::new(NAME).exists() && !Path::new(LASTING).exists());
    vrfsetup(&mut world, 0, "del blue");
    assert!(!Path::new(NAME).exists() && !Path::new(LASTING).exists());
}

fn the_last_change_is_undone_whatever_it_was() {
    let mut world = with_blue();
    vrfsetup(&mut world, 0, "leak blue default 198.18.0.0/15");
    for words in
        ["add red --table 20 --port red0", "detach blue0", "del blue", "leak blue default 198.18.0.0/15 --remove"]
    {
        let before = state(&world);
        vrfsetup(&mut world, 0, words);
        assert_ne!(state(&world), before, "{words}");
        let verdict = vrfsetup(&mut world, 0, "rollback");
        assert!(verdict.text().contains(&format!("note: 'vrfsetup {words}' is undone")), "{verdict}");
        assert_same(&before, &state(&world));
    }
    vrfsetup(&mut world, 1, "rollback").assert_says(1, "no change to undo");
}

/// The port has gone meanwhile: all else is undone.
fn what_a_rollback_cannot_undo_is_named() {
    let mut world = with_blue();
    vrfsetup(&mut world, 0, "detach blue0");
    world.ip("link del blue0");
    let verdict = vrfsetup(&mut world, 1, "rollback");
    verdict.assert_says(1, "could not be undone: ");
    verdict.assert_says(1, "'ip link set blue0 master blue' (No such device)");
    verdict.assert_says(1, "hint: vrfsetup rollback");
}

/// A power loss leaves no empty file in the place of one that was written.
fn a_file_is_on_the_disk_before_it_has_its_name() {
    let mut world = World::new(Kind::Bare).expect("a world");
    let traced = ["strace", "-qq", "-y", "-e", "trace=fsync,rename"];
    let change = ["vrfsetup", "add", "green", "--table", "30", "--tcp-l3mdev-accept", "on"];
    let verdict = world.judge(&root([&traced[..], &change].concat()));
    assert_eq!(verdict.code, 0, "{verdict}");
    let said = verdict.error_text();
    let calls: Vec<&str> = said.lines().filter(|line| line.contains(".new")).collect();
    assert!(matches!(calls[..], [first, then] if first.contains("fsync(") && then.contains("rename(")), "{verdict}");
    let named = said.find(calls[1]).expect("the rename");
    assert!(said[named..].contains("/run/vrfsetup>)"), "{verdict}");
    vrfsetup(&mut world, 0, "del green");
}

/// Without a carrier the kernel would wait for one before it probes what comes back.
fn no_address_is_probed_again_by_a_rollback() {
    let mut world = furnished();
    world.ip("link add v0 type veth peer v1");
    world.ip("link set v0 up");
    world.ip("link set v1 up");
    world.ip("addr add 2001:db8:78::9/64 dev v0 valid_lft 9000 preferred_lft 8000");
    let addresses = |world: &World| {
        let shown = world.ip_json("-6 addr show dev v0 scope global");
        let own = shown[0]["addr_info"].as_array().cloned().unwrap_or_default();
        let is_shown = |own: &&serde_json::Value| own["local"].is_string();
        own.iter().filter(is_shown).map(|own| format!("{} {}", own["local"], own["tentative"])).collect::<Vec<_>>()
    };
    let wanted = ["\"2001:db8:78::9\" null"];
    wait::until(|| addresses(&world), |addresses| *addresses == wanted);
    world.ip("link set v1 down");
    wait_for_no_carrier(&world, "v0");
    vrfsetup(&mut world, 0, "add blue --port v0");
    assert_eq!(addresses(&world), wanted);
    vrfsetup(&mut world, 0, "rollback");
    assert_eq!(addresses(&world), wanted);
}

/// The root file system is read-only, or yet is, and a name that could not be undone after a power loss is not given.
fn where_nothing_lasts_a_vrf_is_made_without_the_name_of_its_table() {
    const NAME: &str = "/etc/iproute2/rt_tables.d/vrf-blue.conf";
    let mut world = World::of_machine(Kind::Bare).expect("a world");
    let before = state(&world);
    let read_only = "mkdir -p /var/lib/vrfsetup; mount -t tmpfs -o ro none /var/lib/vrfsetup || exit; exec vrfsetup $0";
    let there = |world: &mut World, words: &str| {
        let verdict = world.judge(&root(["unshare", "-m", "sh", "-c", read_only, words]));
        assert_eq!(verdict.code, 0, "{verdict}");
        verdict.text()
    };
    let added = there(&mut world, "add blue --table 10 --port blue0");
    assert!(added.starts_with("changed:\n"), "{added}");
    assert!(added.contains(&format!("> {NAME}': cannot prepare its rollback: Read-only file system")), "{added}");
    assert!(!Path::new(NAME).exists());
    let again = there(&mut world, "add blue --table 10 --port blue0");
    assert_eq!(again, "unchanged: nothing to do\n");
    assert!(there(&mut world, "del blue").starts_with("changed:\n"));
    assert_same(&before, &state(&world));
    // A name that is there stays.
    vrfsetup(&mut world, 0, "add blue --table 10");
    let deleted = there(&mut world, "del blue");
    assert!(deleted.contains(&format!("left out 'rm {NAME}'")), "{deleted}");
    assert!(Path::new(NAME).exists());
    // It is what the next run tidies.
    vrfsetup(&mut world, 0, "del blue");
    assert!(!Path::new(NAME).exists());
}
