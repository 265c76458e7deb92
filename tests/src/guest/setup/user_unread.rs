//! `vrfsetup user` where a file that says whose logins have files cannot be read or written: who is in a VRF is known all the
//! same, what depends on the file is refused, and a change is whole. And where /etc/passwd does not know whose login it is.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::guest_tests;
use super::user::{ASKS, BOB, as_alice, assert_answers, with_alice, world};
use super::{json, vrfsetup};
use crate::harness::judge::{root, user};
use crate::harness::world::{Domain, World};

guest_tests! {
    users_are_not_missed_where_the_file_of_pam_cannot_be_read,
    a_boot_puts_users_into_their_vrfs_where_the_file_of_pam_cannot_be_read,
    a_user_is_taken_out_with_the_file_of_pam_or_not_at_all,
    a_second_name_that_name_services_know_is_the_same_user,
}

/// What pam_namespace(8) reads.
const OF_PAM: &str = "/etc/security/namespace.d/vrfsetup.conf";

/// What stands in its place, until this value goes.
struct InItsPlace;

impl InItsPlace {
    fn directory() -> Self {
        fs::create_dir_all(OF_PAM).expect("a directory");
        Self
    }

    fn text(text: &str) -> Self {
        fs::create_dir_all(Path::new(OF_PAM).parent().expect("a directory")).expect("a directory");
        fs::write(OF_PAM, text).expect("a file");
        Self
    }
}

impl Drop for InItsPlace {
    fn drop(&mut self) {
        let _ = fs::remove_dir(OF_PAM).or_else(|_| fs::remove_file(OF_PAM));
    }
}

/// The unreadable file is a directory: root may read whatever else there is.
fn users_are_not_missed_where_the_file_of_pam_cannot_be_read() {
    const UNREAD: &str = "cannot read the users of VRFs: /etc/security/namespace.d/vrfsetup.conf: Is a directory";
    let mut users = with_alice();
    let world = &mut users.0;
    let declared = declared(world);
    let in_its_place = InItsPlace::directory();
    vrfsetup(world, 1, "del blue").assert_says(1, "all sockets of its users would fail: user");
    vrfsetup(world, 1, "user").assert_says(1, UNREAD);
    vrfsetup(world, 1, "export").assert_says(1, UNREAD);
    vrfsetup(world, 1, &format!("apply --prune {declared}")).assert_says(1, UNREAD);
    let script = "setpriv --reuid=1000 --regid=1000 --clear-groups sleep 1000 & \
                  until grep -q 'Uid:.1000' /proc/$!/status; do sleep 0.05; done; \
                  vrfsetup identify $!; vrfsetup move default $!; status=$?; kill $!; exit $status";
    let held = world.judge(&root(["sh", "-c", script]));
    assert!(held.code == 1 && held.text().starts_with("blue\n"), "{held}");
    assert!(held.text().contains("'vrfsetup user' holds its user in 'blue'"), "{held}");
    let all = json(&vrfsetup(world, 3, "doctor -j"));
    let told = all.as_array().expect("findings").iter().find(|found| found["finding"] == "user-unread");
    assert!(told.is_some_and(|told| told["what"].to_string().contains("vrfsetup.conf: Is a directory")), "{all}");
    // What changes VRFs says what it does not know, and users follow.
    let added = vrfsetup(world, 0, "add green");
    assert!(added.text().contains("whose logins have files is not known: /etc/security/"), "{added}");
    vrfsetup(world, 0, "del green");
    assert_answers(world, &as_alice(ASKS), Domain::Blue);
    vrfsetup(world, 0, "detach blue0 --force");
    vrfsetup(world, 0, "attach blue blue0 --force");
    assert_answers(world, &as_alice(ASKS), Domain::Blue);
    vrfsetup(world, 1, "user --refresh").assert_says(1, UNREAD);
    drop(in_its_place);
    assert_answers(world, &as_alice(ASKS), Domain::Blue);
    // Who may not ask the kernel is told nothing of it.
    fs::create_dir_all("/etc/vrf").expect("a directory");
    fs::write("/etc/vrf/vrf.toml", "[vrf.blue]\n[user]\nuser = \"blue\"\n").expect("a file");
    let told = world.judge(&user(["vrfsetup", "doctor", "-j"]));
    fs::remove_file("/etc/vrf/vrf.toml").expect("the file");
    assert!(told.text().starts_with('[') && !told.text().contains("\"user-"), "{told}");
}

fn a_boot_puts_users_into_their_vrfs_where_the_file_of_pam_cannot_be_read() {
    let mut users = world();
    let world = &mut users.0;
    let path = declared(world);
    let vrfs = fs::read_to_string(&path).expect("a file");
    fs::write(&path, format!("{vrfs}\n[user]\nuser = {{ vrf = \"blue\", etc = true }}\n1001 = \"red\"\n"))
        .expect("a file");
    let _in_its_place = InItsPlace::directory();
    let said = vrfsetup(world, 0, &format!("apply --each {path}")).text();
    assert!(said.contains("user 'user' has the machine's names: ") && said.contains(OF_PAM), "{said}");
    assert_answers(world, &as_alice(ASKS), Domain::Blue);
    assert_answers(world, &root([BOB, ASKS].concat()), Domain::Red);
    // What `--each` waits for.
    fs::remove_dir_all("/run/vrfsetup/ports").expect("the ports that are expected");
}

/// The VRFs without their users.
fn declared(world: &mut World) -> String {
    let exported = vrfsetup(world, 0, "export").text();
    let path = world.directory().join("vrf.toml");
    fs::write(&path, exported.split("\n[user]\n").next().expect("a text")).expect("a file");
    path.display().to_string()
}

/// Where the file names others, or is not as it was written, it is put right with her, by the same change.
fn a_user_is_taken_out_with_the_file_of_pam_or_not_at_all() {
    let mut users = with_alice();
    let world = &mut users.0;
    let _in_its_place = InItsPlace::text("# by hand\n");
    let script = "mount --bind /etc/security/namespace.d /etc/security/namespace.d &&
        mount -o remount,bind,ro /etc/security/namespace.d && exec \"$@\"";
    for words in ["user --remove user", "user --refresh"] {
        let words = ["unshare", "-m", "sh", "-c", script, "sh", "vrfsetup"].into_iter().chain(words.split(' '));
        let refused = world.judge(&root(words));
        refused.assert_says(1, "Read-only file system");
        assert_answers(world, &as_alice(ASKS), Domain::Blue);
    }
    let removed = vrfsetup(world, 0, "user --remove user").text();
    assert_eq!(removed, format!("changed:\n  vrfsetup user --remove 1000\n  rm {OF_PAM}\n"));
    assert!(!Path::new(OF_PAM).exists());
    vrfsetup(world, 0, "rollback");
    assert_answers(world, &as_alice(ASKS), Domain::Blue);
}

/// As sssd or LDAP would have it: a second name of alice's, and one for which they do not answer.
const GETENT: &str = "#!/bin/sh
case $2 in second) echo second:x:1000:1000::/:;; silent) exit 3;; *) exit 2;; esac
";

fn a_second_name_that_name_services_know_is_the_same_user() {
    let mut users = with_alice();
    let world = &mut users.0;
    let in_its_place = InItsPlace::text("/run/vrfsetup-login tmpfs tmpfs ~user\n");
    world.replace("/usr/bin/getent", GETENT.as_bytes()).expect("a program over getent");
    fs::set_permissions("/usr/bin/getent", fs::Permissions::from_mode(0o755)).expect("a program");
    let mut login = |name: &str| {
        let user = format!("PAM_USER={name}");
        world.judge(&root(["env", "PAM_TYPE=open_session", &user, "vrfsetup", "session", "--etc"]))
    };
    // What denies the user's own login here, which has no mount namespace of its own, denies that by another name, too.
    for name in ["user", "second"] {
        login(name).assert_says(1, "it has no mount namespace of its own");
    }
    login("silent").assert_says(1, "cannot read who 'silent' is: getent: exit status: 3");
    // "Not found" is also what getent says while the server is away that has the name.
    login("away").assert_says(1, "cannot read who 'away' is: no name service knows it now");
    let other = login("root");
    assert_eq!((other.code, other.error_text().as_str()), (0, ""), "{other}");
    // Nobody is asked where no user's logins have files.
    drop(in_its_place);
    assert_eq!(login("silent").code, 0);
}
