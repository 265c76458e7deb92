//! `vrfsetup user --allow-default`: processes of the user whose group is `vrf-default` are left in the default domain; nobody
//! else's are, and the user's others are not.

use std::fs;

use super::guest_tests;
use super::user::{ALICE, ASKS, BOB, as_alice, assert_answers, with_alice, world};
use super::{json, nothing_to_do, vrfsetup};
use crate::harness::judge::{Order, root};
use crate::harness::world::{Domain, World};

guest_tests! {
    a_user_leaves_its_vrf_by_the_group_where_root_allows_it,
    what_leaves_is_nobody_elses_and_nothing_that_is_bound,
    who_may_leave_is_kept_undone_and_told,
    without_the_group_nobody_leaves,
    whose_primary_group_it_is_does_not_leave,
}

/// In the group, as alice and as bob.
const OUT: &[&str] = &["setpriv", "--reuid=1000", "--regid=990", "--clear-groups"];
const BOB_OUT: &[&str] = &["setpriv", "--reuid=1001", "--regid=990", "--clear-groups"];

/// The group with this number, and alice in it.
fn add_group(world: &mut World, gid: u32) {
    let mut groups = fs::read_to_string("/etc/group").expect("groups");
    assert!(!groups.contains("vrf-default:"), "{groups}");
    groups += &format!("vrf-default:x:{gid}:user\n");
    world.replace("/etc/group", groups.as_bytes()).expect("a file over the groups");
}

fn as_out(words: &[&str]) -> Order {
    root([OUT, words].concat())
}

/// As a user does it: no helper of ours, and no right but that of the group.
fn a_user_leaves_its_vrf_by_the_group_where_root_allows_it() {
    let mut users = with_alice();
    let world = &mut users.0;
    add_group(world, 990);
    let in_group: &[&str] = &["setpriv", "--reuid=1000", "--regid=1000", "--groups=990"];
    let leaves = as_alice(&["sg", "vrf-default", "-c", "vrfrun default on_use udp4 sendto answer"]);
    let refused = world.judge(&root([in_group, &["vrfrun", "default"], ASKS].concat()));
    refused.assert_says(125, "cannot leave 'blue'");
    assert!(refused.error_text().contains("hint: sg vrf-default -c 'vrfrun default"), "{refused}");
    world.judge(&leaves).assert_says(125, "cannot leave 'blue'");
    assert_answers(world, &as_out(ASKS), Domain::Blue);

    let verdict = vrfsetup(world, 0, "user user blue --allow-default");
    assert_eq!(verdict.text(), "changed:\n  vrfsetup user 1000 blue --allow-default\n", "{verdict}");
    assert_answers(world, &leaves, Domain::Default);
    for words in
        ["udp4 sendto answer", "tcp4 connect answer", "udp4 bind sendto answer", "udp4 connect unspec sendto answer"]
    {
        let words: Vec<&str> = ["on_use"].into_iter().chain(words.split(' ')).collect();
        assert_answers(world, &as_out(&words), Domain::Default);
    }
    // Root's vrfrun asks once more when it is her.
    assert_answers(world, &root([&["vrfrun", "-u", "1000:990", "default"], ASKS].concat()), Domain::Default);
    world.judge(&root([&["vrfrun", "-u", "1000", "default"], ASKS].concat())).assert_says(125, "cannot leave 'blue'");
    let explained = world.judge(&root(["vrfrun", "--explain", "-u", "1000", "default"]));
    assert!(explained.code == 125 && explained.text().contains("cannot leave 'blue'"), "{explained}");
    // Her others are in the VRF as before, and do not leave by themselves.
    assert_answers(world, &as_alice(ASKS), Domain::Blue);
    assert_answers(world, &root([in_group, ASKS].concat()), Domain::Blue);
    world.judge(&as_alice(&["vrfrun", "default", "true"])).assert_says(125, "cannot leave 'blue'");
    // A user namespace has her own group only.
    let tries = |gid: &str| as_alice(&["unshare", "-Ur", "setpriv", gid, "--keep-groups", "true"]);
    world.judge(&tries("--regid=0")).assert_says(0, "");
    let refused = world.judge(&tries("--regid=990"));
    assert!(refused.code != 0 && refused.error_text().contains("Invalid argument"), "{refused}");
}

fn what_leaves_is_nobody_elses_and_nothing_that_is_bound() {
    let mut users = world();
    let world = &mut users.0;
    add_group(world, 990);
    vrfsetup(world, 0, "user user blue --allow-default");
    vrfsetup(world, 0, "user 1001 red");
    assert_answers(world, &root([BOB_OUT, ASKS].concat()), Domain::Red);
    assert_answers(world, &root([BOB, ASKS].concat()), Domain::Red);
    // A socket of the VRF's that is handed over stays there; so does one of an inner vrfrun.
    let hands_over = "
import os, socket
made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
os.setresgid(990, 990, 990); os.setresuid(1000, 1000, 1000)
made.connect(('192.0.2.80', 7)); made.send(b'x\\n')
print('answer', made.recv(30).decode().strip())";
    let words = ["setpriv", "--ruid=1000", "--clear-groups", "python3", "-c", hands_over];
    let verdict = world.judge(&root(words));
    assert_eq!(verdict.packets(Domain::Default), 0, "{verdict}");
    assert!(verdict.packets(Domain::Blue) > 0, "{verdict}");
    assert_answers(world, &root([&["vrfrun", "-m", "bpf", "-u", "1000:990", "red"], ASKS].concat()), Domain::Red);
    // Whom the list calls bound is told from who is out.
    let identified = |world: &mut World, before: &[&str]| {
        // One that ends too early closes the FIFO, and `read` fails.
        let sleeps = format!(
            "mkfifo out; {} sh -c 'echo $$; exec sleep 1000' > out & read pid < out || exit 1; \
            vrfsetup identify $pid; kill $pid; rm out",
            before.join(" ")
        );
        let script = format!("cd {}; {sleeps}", world.directory().display());
        world.judge(&root(["sh", "-c", &script])).text()
    };
    assert_eq!(identified(world, ALICE), "blue\n");
    assert_eq!(identified(world, OUT), "\n");
}

fn who_may_leave_is_kept_undone_and_told() {
    let mut users = with_alice();
    let world = &mut users.0;
    add_group(world, 990);
    let leaves = as_out(ASKS);
    vrfsetup(world, 0, "user user blue --allow-default");
    nothing_to_do(world, "user user blue --allow-default");
    assert!(vrfsetup(world, 0, "user").text().ends_with("  blue  --allow-default\n"));
    let listed = json(&vrfsetup(world, 0, "user -j"));
    assert_eq!((&listed[0]["allow_default"], &listed[0]["state"]), (&true.into(), &"bound".into()), "{listed}");
    let exported = vrfsetup(world, 0, "export").text();
    assert!(exported.contains("\n[user]\nuser = { vrf = \"blue\", allow-default = true }\n"), "{exported}");
    let path = world.directory().join("vrf.toml");
    fs::write(&path, &exported).expect("a file");
    let apply = format!("apply {}", path.display());
    vrfsetup(world, 0, &apply);
    nothing_to_do(world, &apply);
    assert_answers(world, &leaves, Domain::Default);
    // Whoever is not said to may leave may not.
    vrfsetup(world, 0, "user user blue");
    assert_answers(world, &leaves, Domain::Blue);
    vrfsetup(world, 0, "rollback");
    assert_answers(world, &leaves, Domain::Default);
    vrfsetup(world, 0, "user --remove user");
    vrfsetup(world, 0, &apply);
    assert_answers(world, &leaves, Domain::Default);
    fs::write(&path, exported.replace(", allow-default = true", "")).expect("a file");
    vrfsetup(world, 0, &apply);
    assert_answers(world, &leaves, Domain::Blue);
    // A VRF that is made again brings no right along, and takes none.
    vrfsetup(world, 0, "user user red --allow-default");
    world.ip("link del red");
    world.ip("link add red type vrf table 20");
    vrfsetup(world, 0, "user --refresh");
    assert_answers(world, &leaves, Domain::Default);
    assert_eq!(json(&vrfsetup(world, 0, "user -j"))[0]["allow_default"], true);
}

fn without_the_group_nobody_leaves() {
    let mut users = world();
    let world = &mut users.0;
    let verdict = vrfsetup(world, 1, "user user blue --allow-default");
    verdict.assert_says(1, "no group 'vrf-default' in /etc/group");
    assert!(verdict.error_text().contains("hint: groupadd --system vrf-default"), "{verdict}");
    assert_eq!(vrfsetup(world, 0, "user").text(), "");
    let path = world.directory().join("vrf.toml");
    let exported = vrfsetup(world, 0, "export").text();
    fs::write(&path, exported + "\n[user]\nuser = { vrf = \"blue\", allow-default = true }\n").expect("a file");
    vrfsetup(world, 2, &format!("apply {}", path.display())).assert_says(2, "no group 'vrf-default'");
    // At boot she has a network, in the VRF.
    let verdict = vrfsetup(world, 0, &format!("apply --each {}", path.display()));
    assert!(verdict.text().contains("user 'user' cannot leave the VRF"), "{verdict}");
    assert_answers(world, &as_out(ASKS), Domain::Blue);
    fs::remove_dir_all("/run/vrfsetup/ports").expect("the ports that are expected");
    // A number that is another group's by now leads nobody out.
    add_group(world, 990);
    vrfsetup(world, 0, "user user blue --allow-default");
    assert_answers(world, &as_out(ASKS), Domain::Default);
    let groups = fs::read_to_string("/etc/group").expect("groups").replace("vrf-default:x:990:", "vrf-default:x:991:");
    world.replace("/etc/group", groups.as_bytes()).expect("a file over the groups");
    let found = json(&vrfsetup(world, 3, "doctor -j"));
    let names = found.as_array().expect("findings").iter().map(|found| found["finding"].clone());
    assert!(names.collect::<Vec<_>>().contains(&"user-group".into()), "{found}");
    let renumbered = root([&["setpriv", "--reuid=1000", "--regid=991", "--clear-groups"], ASKS].concat());
    assert_answers(world, &renumbered, Domain::Blue);
    vrfsetup(world, 0, "user --refresh");
    assert_answers(world, &as_out(ASKS), Domain::Blue);
    assert_answers(world, &renumbered, Domain::Default);
    // Once it is gone, root has to allow it again.
    let groups = groups.replace("vrf-default:x:991:", "vrf-other:x:991:");
    world.replace("/etc/group", groups.as_bytes()).expect("a file over the groups");
    vrfsetup(world, 0, "user --refresh");
    assert_answers(world, &renumbered, Domain::Blue);
    add_group(world, 991);
    vrfsetup(world, 0, "user --refresh");
    assert_answers(world, &renumbered, Domain::Blue);
    vrfsetup(world, 0, "user user blue --allow-default");
    assert_answers(world, &renumbered, Domain::Default);
}

/// Gives alice this primary group.
fn set_primary_group(world: &mut World, gid: u32) {
    let passwd = fs::read_to_string("/etc/passwd").expect("users");
    let line = |line: &str| {
        let mut fields: Vec<String> = line.split(':').map(str::to_owned).collect();
        if fields[2] == "1000" {
            fields[3] = gid.to_string();
        }
        fields.join(":") + "\n"
    };
    let changed: String = passwd.lines().map(line).collect();
    assert!(changed.contains(&format!(":1000:{gid}:")), "{changed}");
    world.replace("/etc/passwd", changed.as_bytes()).expect("a file over the users");
}

/// All of her processes would be outside.
fn whose_primary_group_it_is_does_not_leave() {
    let mut users = world();
    let world = &mut users.0;
    add_group(world, 990);
    set_primary_group(world, 990);
    let login = as_out(ASKS);
    let verdict = vrfsetup(world, 1, "user user blue --allow-default");
    verdict.assert_says(1, "'vrf-default' is the primary group of 'user'");
    vrfsetup(world, 1, "user 1000 blue --allow-default");
    assert_eq!(vrfsetup(world, 0, "user").text(), "");
    let path = world.directory().join("vrf.toml");
    let exported = vrfsetup(world, 0, "export").text();
    fs::write(&path, exported + "\n[user]\nuser = { vrf = \"blue\", allow-default = true }\n").expect("a file");
    vrfsetup(world, 2, &format!("apply {}", path.display())).assert_says(2, "primary group");
    let verdict = vrfsetup(world, 0, &format!("apply --each {}", path.display()));
    assert!(verdict.text().contains("user 'user' cannot leave the VRF"), "{verdict}");
    assert_answers(world, &login, Domain::Blue);
    fs::remove_dir_all("/run/vrfsetup/ports").expect("the ports that are expected");
    // One that she is given later.
    set_primary_group(world, 1000);
    vrfsetup(world, 0, "user user blue --allow-default");
    set_primary_group(world, 990);
    assert_answers(world, &login, Domain::Default);
    let found = json(&vrfsetup(world, 3, "doctor -j"));
    let is_told =
        |found: &serde_json::Value| found["finding"] == "user-group" && found["what"].to_string().contains("primary");
    assert!(found.as_array().expect("findings").iter().any(is_told), "{found}");
    vrfsetup(world, 0, "user --refresh");
    assert_answers(world, &login, Domain::Blue);
}
