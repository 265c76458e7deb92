//! `vrfsetup user` where the root of cgroup2 is not in sight, or not where one expects it: what deletes a VRF, writes a file or
//! moves a process knows of users all the same.

use super::guest_tests;
use super::user::{ASKS, as_alice, assert_answers, with_alice, world};
use super::{json, vrfsetup};
use crate::harness::judge::{Verdict, root};
use crate::harness::world::{Domain, World};

guest_tests! {
    who_cannot_see_the_root_of_cgroup2_knows_the_users_of_a_vrf,
    cgroup2_is_found_wherever_it_is_mounted,
}

/// In a container's cgroup namespace, also with a process 1 of its own, and where cgroup2 is not mounted.
const OUT_OF_SIGHT: [&[&str]; 3] = [
    &["unshare", "--cgroup"],
    &["unshare", "--cgroup", "--pid", "--fork", "--mount-proc"],
    &["unshare", "-m", "sh", "-c", "umount -l /sys/fs/cgroup && exec \"$@\"", "sh"],
];

fn from(world: &mut World, way: &[&str], words: &str) -> Verdict {
    world.judge(&root(way.iter().copied().chain(["vrfsetup"]).chain(words.split(' '))))
}

fn who_cannot_see_the_root_of_cgroup2_knows_the_users_of_a_vrf() {
    let mut users = with_alice();
    let world = &mut users.0;
    world.ip("link add vrftest0 type dummy");
    for way in OUT_OF_SIGHT {
        from(world, way, "del blue").assert_says(1, "all sockets of its users would fail: user");
        let exported = from(world, way, "export").text();
        assert!(exported.contains("\n[user]\nuser = \"blue\"\n"), "{way:?}: {exported}");
        let found = json(&from(world, way, "doctor -j"));
        let of_users = found.as_array().expect("findings").iter().map(|found| found["finding"].clone());
        let of_users: Vec<_> = of_users.filter(|name| name.to_string().starts_with("\"user-")).collect();
        assert_eq!(of_users, [""; 0], "{way:?}: {found}");
        from(world, way, "move blue 1").assert_says(1, "cannot read the users of VRFs");
        // What they must be told of is said.
        let attached = from(world, way, "attach blue vrftest0");
        assert!(attached.code == 0 && attached.text().contains("until 'vrfsetup user --refresh'"), "{attached}");
        vrfsetup(world, 0, "detach vrftest0");
    }
    world.ip("link del vrftest0");
    assert_answers(world, &as_alice(ASKS), Domain::Blue);
    // Without users it is as ever.
    vrfsetup(world, 0, "user --remove user");
    for way in OUT_OF_SIGHT {
        assert!(!from(world, way, "export").text().contains("[user]"), "{way:?}");
    }
}

/// At a path with a blank; beside a mount whose name is no text; and under another mount, of a part of it too.
const MOUNTS: [&str; 4] = [
    "umount -l /sys/fs/cgroup; mkdir -p '/run/my cgroups'; mount -t cgroup2 none '/run/my cgroups'",
    "mkdir -p \"$(printf '/run/\\377')\"; mount -t tmpfs none \"$(printf '/run/\\377')\"",
    "mkdir -p /run/cgroups; mount -t cgroup2 none /run/cgroups; mount -t tmpfs none /sys/fs/cgroup",
    "mkdir -p /run/cgroups /sys/fs/cgroup/part; mount -t cgroup2 none /run/cgroups
     mount --bind /sys/fs/cgroup/part /sys/fs/cgroup",
];

/// A process is moved, and vrfrun's is below the cgroup that it was started in.
const USE: &str = "
sleep 600 & one=$!
vrfsetup user user blue && vrfsetup move blue $one && vrfsetup identify $one && vrfsetup move default $one &&
vrfrun -m bpf blue grep -o '^0::/vrfrun-blue' /proc/self/cgroup
told=$?; kill $one; exit $told";

fn cgroup2_is_found_wherever_it_is_mounted() {
    let mut users = world();
    let world = &mut users.0;
    for mounts in MOUNTS {
        let verdict = world.judge(&root(["unshare", "-m", "sh", "-c", &format!("{mounts}\n{USE}")]));
        let said = verdict.text();
        assert!(verdict.code == 0 && said.contains("\nblue\n") && said.ends_with("0::/vrfrun-blue\n"), "{verdict}");
        assert_answers(world, &as_alice(ASKS), Domain::Blue);
        vrfsetup(world, 0, "user --remove user");
    }
    std::fs::remove_dir("/sys/fs/cgroup/part").expect("nobody in it");
}
