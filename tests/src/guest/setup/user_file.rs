//! Users whose sockets are in a VRF, as vrf.toml has them: applied, exported, pruned, and what the doctor says of both.

use std::fs;
use std::path::Path;

use super::guest_tests;
use super::user::{ASKS, BOB, as_alice, assert_answers, with_alice, world};
use super::{json, nothing_to_do, vrfsetup};
use crate::harness::judge::{Outcome, root};
use crate::harness::world::{Domain, World};

guest_tests! {
    users_of_a_file_are_applied_exported_and_pruned,
    a_file_gives_logins_their_files_and_takes_them_again,
    a_mistake_about_a_user_is_named_and_nothing_is_changed,
    a_user_whose_vrf_a_boot_cannot_make_has_no_network,
    a_user_of_a_line_with_a_mistake_has_no_network_after_a_boot,
    a_file_of_another_network_namespace_is_about_nobody,
    what_the_next_boot_would_make_otherwise_is_told,
}

/// The world's VRFs as a file, with these lines below `[user]`.
fn write(world: &mut World, lines: &str) -> String {
    let exported = vrfsetup(world, 0, "export").text();
    let vrfs = exported.split("\n[user]\n").next().expect("a text");
    let rest = exported.split_once("\n[user]\n").and_then(|(_, users)| users.split_once("\n[")).map(|(_, rest)| rest);
    let rest = rest.map(|rest| format!("[{rest}")).unwrap_or_default();
    let path = world.directory().join("vrf.toml");
    fs::write(&path, format!("{vrfs}\n{rest}\n[user]\n{lines}\n")).expect("a file");
    path.display().to_string()
}

fn users_of_a_file_are_applied_exported_and_pruned() {
    let mut users = world();
    let world = &mut users.0;
    let bob = root([BOB, ASKS].concat());
    let path = write(world, "user = \"blue\"\n1001 = \"red\"");
    let plan = vrfsetup(world, 3, &format!("apply {path} --dry-run")).text();
    assert!(plan.contains("  vrfsetup user 1000 blue\n"), "{plan}");
    assert_eq!(vrfsetup(world, 0, "user").text(), "");
    vrfsetup(world, 0, &format!("apply {path}"));
    assert_answers(world, &as_alice(ASKS), Domain::Blue);
    assert_answers(world, &bob, Domain::Red);
    nothing_to_do(world, &format!("apply {path}"));
    let exported = vrfsetup(world, 0, "export").text();
    assert!(exported.contains("\n[user]\nuser = \"blue\"\n1001 = \"red\"\n"), "{exported}");
    // Others are left alone, unless the rest goes: then the VRF that they were in may go, too.
    let path = write(world, "user = \"red\"");
    vrfsetup(world, 0, &format!("apply {path}"));
    assert_answers(world, &as_alice(ASKS), Domain::Red);
    assert_answers(world, &bob, Domain::Red);
    vrfsetup(world, 0, &format!("apply --prune {path}"));
    assert_answers(world, &bob, Domain::Default);
    assert_answers(world, &as_alice(ASKS), Domain::Red);
    // One that others made again.
    world.ip("link del red");
    world.ip("link add red type vrf table 20");
    vrfsetup(world, 0, &format!("apply {path}"));
    assert_eq!(json(&vrfsetup(world, 0, "user -j"))[0]["ifindex"], world.ip_json("link show red")[0]["ifindex"]);
    vrfsetup(world, 0, "rollback");
    assert!(vrfsetup(world, 0, "user").text().contains("  red\n"), "it was in red before");
}

/// What pam_namespace(8) reads.
const OF_PAM: &str = "/etc/security/namespace.d/vrfsetup.conf";

fn a_file_gives_logins_their_files_and_takes_them_again() {
    let mut users = world();
    let world = &mut users.0;
    let path = write(world, "1001 = { vrf = \"blue\", etc = true }");
    vrfsetup(world, 2, &format!("apply {path}")).assert_says(2, "knows users by plain names");
    // At a boot it is no reason to have no network.
    let said = vrfsetup(world, 0, &format!("apply --each {path}")).text();
    assert!(said.contains("user '1001' has the machine's names: logins of '1001' can have no files"), "{said}");
    assert_answers(world, &root([BOB, ASKS].concat()), Domain::Blue);
    vrfsetup(world, 0, "user --remove 1001");
    // What `--each` waits for.
    fs::remove_dir_all("/run/vrfsetup/ports").expect("the ports that are expected");
    let path = write(world, "user = { vrf = \"blue\", etc = true }");
    vrfsetup(world, 0, &format!("apply {path}"));
    let read = || fs::read_to_string(OF_PAM).unwrap_or_default();
    assert!(read().ends_with(" ~user\n"), "{}", read());
    nothing_to_do(world, &format!("apply {path}"));
    assert_eq!(json(&vrfsetup(world, 0, "user -j"))[0]["etc"], true);
    let exported = vrfsetup(world, 0, "export").text();
    assert!(exported.contains("\nuser = { vrf = \"blue\", etc = true }\n"), "{exported}");
    // Without, and undone.
    let path = write(world, "user = \"blue\"");
    vrfsetup(world, 0, &format!("apply {path}"));
    assert_eq!((read().as_str(), &json(&vrfsetup(world, 0, "user -j"))[0]["etc"]), ("", &false.into()));
    vrfsetup(world, 0, "rollback");
    assert!(read().ends_with(" ~user\n"), "{}", read());
    assert!(vrfsetup(world, 0, "user").text().ends_with("  blue  --etc\n"));
    // Who is in no VRF any more, as after a boot.
    fs::write(OF_PAM, read().replace("~user", "~user,daemon")).expect("PAM's file");
    let found = vrfsetup(world, 3, "doctor");
    assert!(found.text().contains("has user 'daemon', who is in no VRF"), "{found}");
    vrfsetup(world, 0, "user --refresh");
    assert!(read().ends_with(" ~user\n"), "{}", read());
    assert_answers(world, &as_alice(ASKS), Domain::Blue);
    // Where the file cannot be changed, neither are the user's sockets.
    let read_only = "mount --bind $1 $1 && mount -o remount,bind,ro $1 || exit 99; exec vrfsetup user $0";
    let directory = Path::new(OF_PAM).parent().expect("a directory").display().to_string();
    for words in ["--remove user", "user red"] {
        let script = read_only.replace("$0", words);
        let refused = world.judge(&root(["unshare", "-m", "sh", "-c", &script, "sh", &directory]));
        assert_eq!(refused.code, 1, "{refused}");
        refused.assert_says(1, "nothing is changed: Read-only file system");
        assert!(vrfsetup(world, 0, "user").text().ends_with("  blue  --etc\n"), "{words}");
        assert_answers(world, &as_alice(ASKS), Domain::Blue);
    }
    vrfsetup(world, 0, "user --remove user");
    assert!(!Path::new(OF_PAM).exists());
}

fn a_mistake_about_a_user_is_named_and_nothing_is_changed() {
    let mut users = world();
    let world = &mut users.0;
    for (line, what) in [
        ("nobody-of-this-name = \"blue\"", "no user 'nobody-of-this-name'"),
        ("root = \"blue\"", "root's sockets"),
        ("user = \"nosuch\"", "no such VRF"),
        ("user = \"default\"", "reserved"),
        ("user = 7", "invalid type"),
        ("user = \"blue\"\n1000 = \"red\"", "the same user as"),
    ] {
        let path = write(world, line);
        let verdict = vrfsetup(world, 2, &format!("apply {path}"));
        verdict.assert_says(2, what);
        assert!(verdict.error_text().contains(&format!("{path}:")), "{verdict}");
        assert_eq!(vrfsetup(world, 0, "user").text(), "", "{line}");
    }
}

/// It was to be in a VRF: the default domain is none. What else the boot makes is made.
fn a_user_whose_vrf_a_boot_cannot_make_has_no_network() {
    let mut users = world();
    let world = &mut users.0;
    let path = write(world, "user = \"late\"\nnobody-of-this-name = \"blue\"\n1001 = \"red\"");
    let verdict = vrfsetup(world, 1, &format!("apply --each {path}"));
    assert!(verdict.text().contains("all sockets of user 'user' fail: there is no VRF 'late'"), "{verdict}");
    assert!(verdict.error_text().contains("no user 'nobody-of-this-name'"), "{verdict}");
    assert_eq!(world.judge(&as_alice(ASKS)).outcome, Outcome::Closed);
    assert_answers(world, &root([BOB, ASKS].concat()), Domain::Red);
    // It comes.
    vrfsetup(world, 0, "add late");
    let listed = json(&vrfsetup(world, 0, "user -j"));
    assert_eq!(listed[0]["ifindex"], world.ip_json("link show late")[0]["ifindex"]);
    vrfsetup(world, 0, "del --force late");
    // What `--each` waits for.
    fs::remove_dir_all("/run/vrfsetup/ports").expect("the ports that are expected");
}

/// And the others of the section are where it has them.
fn a_user_of_a_line_with_a_mistake_has_no_network_after_a_boot() {
    let mut users = world();
    let world = &mut users.0;
    let bob = root([BOB, ASKS].concat());
    for wrong in ["user = blue", "user = \"red\"\nuser = \"blue\"", "\"user\" = 7", "user.x = \"red\""] {
        let path = write(world, &format!("{wrong}\n1001 = \"red\""));
        let verdict = vrfsetup(world, 1, &format!("apply --each {path}"));
        let is_told =
            |name: &str| verdict.text().contains(&format!("all sockets of user '{name}' fail until its line"));
        assert!(is_told("user") || wrong.starts_with("user.x") && is_told("user.x"), "{wrong}\n{verdict}");
        assert!(verdict.error_text().contains(&format!("{path}:")), "{wrong}\n{verdict}");
        assert_eq!(world.judge(&as_alice(ASKS)).outcome, Outcome::Closed, "{wrong}");
        assert_answers(world, &bob, Domain::Red);
        let listed = vrfsetup(world, 0, "user").text();
        assert!(listed.contains("  -  (closed: its line in vrf.toml has a mistake)"), "{listed}");
        let listed = json(&vrfsetup(world, 0, "user -j"));
        let told = ["vrf", "state", "reason"].map(|key| listed[0][key].clone());
        assert_eq!(told, [serde_json::Value::Null, "closed".into(), "mistake".into()], "{listed}");
        vrfsetup(world, 0, "user --remove user");
    }
    // Who is in a VRF already stays there; and the line is put right.
    vrfsetup(world, 0, "user user blue");
    let path = write(world, "user = red\n1001 = \"red\"");
    vrfsetup(world, 1, &format!("apply --each {path}"));
    assert_answers(world, &as_alice(ASKS), Domain::Blue);
    vrfsetup(world, 0, "user --remove user");
    vrfsetup(world, 1, &format!("apply --each {path}"));
    let path = write(world, "user = \"blue\"\n1001 = \"red\"");
    vrfsetup(world, 0, &format!("apply --each {path}"));
    assert_answers(world, &as_alice(ASKS), Domain::Blue);
    // A mistake before the first section leaves nobody in the default domain either.
    vrfsetup(world, 0, "user --remove user");
    fs::write(&path, "nonsense\n[user]\nuser = \"blue\"\n").expect("a file");
    vrfsetup(world, 1, &format!("apply --each {path}"));
    assert_eq!(world.judge(&as_alice(ASKS)).outcome, Outcome::Closed);
    assert_answers(world, &bob, Domain::Red);
    // Nor does one that is written without a section, nor a byte that is no UTF-8.
    for text in [&b"user = { user = 7 }\n"[..], b"user.user = 7\n", b"[user]\nuser = \"blue\" # caf\xe9\n"] {
        vrfsetup(world, 0, "user --remove user");
        fs::write(&path, text).expect("a file");
        vrfsetup(world, 1, &format!("apply --each {path}"));
        assert_eq!(world.judge(&as_alice(ASKS)).outcome, Outcome::Closed, "{}", String::from_utf8_lossy(text));
    }
    let exported = vrfsetup(world, 0, "export").text();
    assert!(exported.contains("\n# user has no VRF and no network\n"), "{exported}");
    // What `--each` waits for.
    fs::remove_dir_all("/run/vrfsetup/ports").expect("the ports that are expected");
}

/// And its ports are none of the machine's. Whatever is wrong with the file, users stay where they are.
fn a_file_of_another_network_namespace_is_about_nobody() {
    let mut users = with_alice();
    let world = &mut users.0;
    let bob = root([BOB, ASKS].concat());
    let before = vrfsetup(world, 0, "user -j").text();
    world.ip("netns add vrftest");
    let path = world.directory().join("vrf.toml");
    for lines in ["1001 = \"inner\"", "1001 = inner", "user = 7\n1001 = \"late\""] {
        fs::write(&path, format!("[vrf.inner]\ntable = 77\n[user]\n{lines}\n")).expect("a file");
        let verdict = vrfsetup(world, 1, &format!("-n vrftest apply --each {}", path.display()));
        assert!(verdict.error_text().contains("left out: users are put into VRFs of the machine's own"), "{verdict}");
        assert!(!verdict.text().contains("all sockets of user"), "{verdict}");
        assert_eq!(vrfsetup(world, 0, "user -j").text(), before, "{lines}");
    }
    assert_eq!(world.ip_json("-n vrftest link show inner")[0]["ifname"], "inner");
    for words in ["user user inner", "user --remove user", "user --refresh"] {
        vrfsetup(world, 2, &format!("-n vrftest {words}")).assert_says(2, "the machine's own network namespace only");
    }
    // A port of a VRF in there.
    world.ip("-n vrftest link add eth7 type veth peer eth8");
    vrfsetup(world, 0, "-n vrftest attach inner eth7");
    nothing_to_do(world, "user --refresh");
    assert_answers(world, &as_alice(ASKS), Domain::Blue);
    assert_answers(world, &bob, Domain::Default);
    let script = "rm -f /run/vrfsetup/netns-$(stat -Lc %i /proc/self/ns/net)-*";
    world.judge(&root(["ip", "netns", "exec", "vrftest", "sh", "-c", script]));
    world.ip("netns del vrftest");
}

/// /etc/vrf, gone with this value.
struct Declared;

impl Declared {
    fn write(users: &str) -> Self {
        fs::create_dir_all("/etc/vrf").expect("a directory");
        fs::write("/etc/vrf/vrf.toml", users).expect("a file");
        Self
    }
}

impl Drop for Declared {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all("/etc/vrf");
    }
}

fn what_the_next_boot_would_make_otherwise_is_told() {
    let mut users = with_alice();
    let world = &mut users.0;
    let mut findings = |users: &str| {
        let _declared = Declared::write(users);
        let all = json(&vrfsetup(world, 3, "doctor -j"));
        let names = all.as_array().expect("findings").iter().filter_map(|found| found["finding"].as_str());
        names.filter(|name| name.starts_with("user-")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(findings("[user]\nuser = \"blue\"\n"), [""; 0]);
    assert_eq!(findings("[user]\nuser = \"red\"\n"), ["user-not-applied"]);
    assert_eq!(findings("[vrf.blue]\n"), ["user-not-kept"]);
}
