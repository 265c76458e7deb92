//! `vrfsetup doctor`, asked by a plain user, of containers that are to be in a VRF: what is half set up, each by its name, and
//! nothing of what is whole.

use std::fs;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::guest_tests;
use super::oci_agent::{Home, line};
use super::oci_hook::{fetch, is_blue, is_closed, make_blue};
use crate::guest::setup::json;
use crate::harness::judge::root;
use crate::harness::world::{Domain, Kind, World};

guest_tests! {
    doctor_names_what_is_half_set_up needs [Once],
}

/// The names of the findings that concern containers and their agent.
fn found(world: &mut World, home: &Home) -> Vec<String> {
    let said = json(&world.judge(&home.order("vrfsetup doctor -j || [ $? = 3 ]")));
    let names = said.as_array().expect("findings").iter().filter_map(|one| one["finding"].as_str());
    names.filter(|name| name.starts_with("agent-") || name.starts_with("container-")).map(str::to_owned).collect()
}

#[track_caller]
fn finds(world: &mut World, home: &Home, expected: &[&str]) {
    assert_eq!(found(world, home), expected);
}

fn doctor_names_what_is_half_set_up() {
    let mut world = World::of_machine(Kind::Vrfs).expect("a world");
    let home = Home::new(&world);
    finds(&mut world, &home, &[]);
    let profile = world.judge(&home.order(line("vrfrun oci-agent --profile")));
    assert_eq!(profile.code, 0, "{profile}");
    finds(&mut world, &home, &["agent-missing"]);
    is_closed(&home.run(&mut world, &[], "--rm", &fetch()));
    let mut agent = home.agent(&mut world);
    finds(&mut world, &home, &[]);
    let started = home.run(&mut world, &[], "-d --name held", "/bin/busybox sleep 10000");
    assert_eq!(started.code, 0, "{started}");
    is_blue(&home.podman(&mut world, &format!("exec held {}", fetch())));
    finds(&mut world, &home, &[]);
    world.ip("link del blue");
    finds(&mut world, &home, &["container-vrf-missing"]);
    make_blue(&world);
    finds(&mut world, &home, &[]);
    kill(Pid::from_raw(agent.pid() as i32), Signal::SIGKILL).expect("the agent");
    agent.finish(&mut world);
    finds(&mut world, &home, &["agent-missing", "container-agent-gone"]);
    remove(&mut world, &home);
    without_profile(&mut world, &home);
    of_another_user(&mut world, &home);
    let ended = home.podman(&mut world, "system migrate");
    assert_eq!(ended.code, 0, "{ended}");
}

fn remove(world: &mut World, home: &Home) {
    let removed = home.podman(world, "rm -f -t 0 held");
    assert_eq!(removed.code, 0, "{removed}");
}

/// Its annotation says blue, and nobody reads it: the packets prove that there is something to be found.
fn without_profile(world: &mut World, home: &Home) {
    let annotated = "--network host --annotation io.vrfrun.vrf=blue --rootfs $ROOTFS";
    let open = home.podman(world, &format!("run --rm {annotated} {}", fetch()));
    assert_eq!(open.answers.as_slice(), [Domain::Default].as_slice(), "{open}");
    let started =
        home.podman(world, &format!("run --log-driver none -d --name held {annotated} /bin/busybox sleep 10000"));
    assert_eq!(started.code, 0, "{started}");
    finds(world, home, &["agent-missing", "container-unbound"]);
    remove(world, home);
    finds(world, home, &["agent-missing"]);
}

fn of_another_user(world: &mut World, home: &Home) {
    let file = home.directory.join(".config/vrfrun-seccomp.json");
    let profile: Value = serde_json::from_slice(&fs::read(&file).expect("the profile")).expect("JSON");
    let socket = profile["listenerPath"].as_str().expect("a socket").to_owned();
    let mut others = world.start(&root(["vrfrun", "oci-agent", "--socket", &socket]));
    while found(world, home) != ["agent-user"] {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    others.terminate();
    others.finish(world);
    let mut pathless = profile;
    pathless.as_object_mut().expect("a profile").remove("listenerPath");
    fs::write(&file, pathless.to_string()).expect("a file");
    finds(world, home, &["agent-unnamed"]);
}
