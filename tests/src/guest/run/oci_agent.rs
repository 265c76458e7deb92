//! `vrfrun oci-agent`: a plain user's containers, started by podman with crun as docs/recipes.md has it, and root's by crun
//! and runc alone.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use super::containers::{Image, Inside, config};
use super::guest_tests;
use super::oci_hook::{fetch, image, is_blue, is_closed};
use crate::harness::judge::{Order, Running, Verdict, root, user};
use crate::harness::wait;
use crate::harness::world::{Domain, Kind, World};

guest_tests! {
    a_users_containers_of_any_image_are_in_the_vrf needs [Once],
    what_is_executed_in_a_users_container_is_in_the_vrf_and_its_restart_too needs [Once],
    when_the_agent_is_killed_a_users_container_is_closed needs [Once],
    a_users_container_that_cannot_be_bound_is_closed needs [Once],
    crun_and_runc_hand_roots_containers_over_too needs [Once],
}

const PAGE: &str = include_str!("../../../../docs/recipes.md");
/// An emulated machine starts a container in seconds.
const LONG: Duration = Duration::from_secs(1000);

/// The command of the page that begins with these words.
pub(super) fn line(beginning: &str) -> &'static str {
    let (_, recipe) = PAGE.split_once("\n## A plain user's container of any image in a VRF\n").expect("the recipe");
    let found = recipe.lines().filter_map(|line| line.strip_prefix("$ ")).find(|line| line.starts_with(beginning));
    found.unwrap_or_else(|| panic!("no line {beginning}"))
}

/// A plain user with a home and a directory for sockets, and an image that is the user's.
pub(super) struct Home {
    pub(super) directory: PathBuf,
    image: Image,
}

impl Home {
    pub(super) fn new(world: &World) -> Self {
        let home = Self { directory: world.directory().join("home"), image: image(world) };
        for name in ["", ".config", "run"] {
            fs::create_dir(home.directory.join(name)).expect("a directory");
        }
        let ours = [&home.directory, &home.image.root].map(|path| path.to_str().expect("a plain path"));
        let outcome = Command::new("chown").args(["-R", "1000:1000"]).args(ours).status();
        assert!(outcome.expect("chown").success());
        home
    }

    pub(super) fn order(&self, script: &str) -> Order {
        let directory = self.directory.display();
        let script = script.replace("$ROOTFS", self.image.root.to_str().expect("a plain path"));
        user(["sh", "-euc", &script])
            .env("HOME", directory.to_string())
            .env("XDG_RUNTIME_DIR", format!("{directory}/run"))
            .within(LONG)
    }

    /// Runs a command of podman's.
    pub(super) fn podman(&self, world: &mut World, words: &str) -> Verdict {
        let own = "podman --runtime crun --storage-driver vfs --events-backend none --log-level error \
                   --cgroup-manager cgroupfs";
        world.judge(&self.order(&format!("exec {own} {words}")))
    }

    /// Runs a program of the image's in a container, as the page says.
    pub(super) fn run(&self, world: &mut World, changes: &[(&str, &str)], options: &str, program: &str) -> Verdict {
        let mut words = line("podman run").trim_start_matches("podman ").to_owned();
        let (run, rootfs) = (format!("run --log-driver none {options} "), format!("--rootfs $ROOTFS {program}"));
        let own = [("run ", run.as_str()), ("debian apt-get update", rootfs.as_str())];
        for (from, to) in own.iter().chain(changes) {
            assert!(words.contains(from), "no '{from}' in {words}");
            words = words.replacen(from, to, 1);
        }
        self.podman(world, &words)
    }

    /// The agent, as it listens; before it, its profile.
    pub(super) fn agent(&self, world: &mut World) -> Running {
        let made = world.judge(&self.order(line("vrfrun oci-agent --profile")));
        assert_eq!(made.code, 0, "{made}");
        let agent = world.start(&self.order(&format!("exec {}", line("vrfrun oci-agent &").trim_end_matches(" &"))));
        wait_for(&self.directory.join("run/vrfrun/oci-agent.sock"));
        agent
    }

    /// What the agent has said, now that it has ended; podman's own process ends too.
    pub(super) fn end(&self, world: &mut World, mut agent: Running) -> String {
        let ended = self.podman(world, "system migrate");
        assert_eq!(ended.code, 0, "{ended}");
        agent.terminate();
        let verdict = agent.finish(world);
        assert_eq!(verdict.code, 0, "{verdict}");
        assert!(!self.directory.join("run/vrfrun").exists());
        verdict.error_text()
    }
}

fn wait_for(path: &Path) {
    wait::until(|| (path, path.exists()), |(_, is_there)| *is_there);
}

fn world() -> World {
    World::of_machine(Kind::Vrfs).expect("a world")
}

fn a_users_containers_of_any_image_are_in_the_vrf() {
    let mut world = world();
    let home = Home::new(&world);
    let agent = home.agent(&mut world);
    for program in ["/bin/plain_musl", "/bin/plain_musl_static", "/bin/plain", "/bin/go_client"] {
        is_blue(&home.run(&mut world, &[], "--rm", program));
    }
    is_blue(&home.run(&mut world, &[], "--rm --user 33 --cap-drop all", "/bin/plain"));
    // Its family cannot be seen: it does not run.
    home.image.copy_in(&world, &["plain_i386_static"], "/bin");
    is_closed(&home.run(&mut world, &[], "--rm", "/bin/plain_i386_static"));
    // Without the profile it is where everybody is.
    let open = home.podman(&mut world, &format!("run --rm --network host --rootfs $ROOTFS {}", fetch()));
    assert_eq!((open.code, open.answers.as_slice()), (0, [Domain::Default].as_slice()), "{open}");
    let log = home.end(&mut world, agent);
    assert_eq!(log.matches(" is in VRF 'blue'").count(), 6, "{log}");
}

fn what_is_executed_in_a_users_container_is_in_the_vrf_and_its_restart_too() {
    let mut world = world();
    let home = Home::new(&world);
    let agent = home.agent(&mut world);
    let started = home.run(&mut world, &[], "-d --name held", "/bin/busybox sleep 10000");
    assert_eq!(started.code, 0, "{started}");
    let execute = format!("exec held {}", fetch());
    is_blue(&home.podman(&mut world, &execute));
    let again = home.podman(&mut world, "restart -t 0 held");
    assert_eq!(again.code, 0, "{again}");
    is_blue(&home.podman(&mut world, &execute));
    world.ip("link del blue");
    is_closed(&home.podman(&mut world, &execute));
    let removed = home.podman(&mut world, "rm -f -t 0 held");
    assert_eq!(removed.code, 0, "{removed}");
    let log = home.end(&mut world, agent);
    assert!(log.contains("its inet sockets fail: ") && log.contains("'blue'"), "{log}");
}

fn when_the_agent_is_killed_a_users_container_is_closed() {
    let mut world = world();
    let home = Home::new(&world);
    let mut agent = home.agent(&mut world);
    let wait = "until [ -e /tmp/$i ]; do sleep 1; done";
    let program = format!("/bin/sh -c 'for i in 1 2 3; do {wait}; {}; echo $? >/tmp/said$i; done'", fetch());
    let started = home.run(&mut world, &[], "-d --name held", &program);
    assert_eq!(started.code, 0, "{started}");
    let tmp = home.image.root.join("tmp");
    let tmp = tmp.display();
    let go = |number: u32| {
        let said = format!("{tmp}/said{number}");
        root(["sh", "-c", &format!("touch {tmp}/{number}; until [ -s {said} ]; do sleep .1; done; cat {said}")])
            .within(LONG)
    };
    let before = world.judge(&go(1));
    assert_eq!((before.text().as_str(), before.packets(Domain::Blue) > 0), ("0\n", true), "{before}");
    // Without its VRF it has no other.
    world.ip("link del blue");
    is_silent(&world.judge(&go(2)));
    kill(Pid::from_raw(agent.pid() as i32), Signal::SIGKILL).expect("the agent");
    agent.finish(&mut world);
    is_silent(&world.judge(&go(3)));
    // Nor is anything executed in it that has sockets.
    is_closed(&home.podman(&mut world, &format!("exec held {}", fetch())));
    let agent = home.agent(&mut world);
    let removed = home.podman(&mut world, "rm -f -t 0 held");
    assert_eq!(removed.code, 0, "{removed}");
    home.end(&mut world, agent);
}

/// The container's program failed, and no packet is anywhere.
#[track_caller]
fn is_silent(verdict: &Verdict) {
    assert_ne!(verdict.text(), "0\n", "{verdict}");
    assert_eq!(Domain::ALL.map(|domain| verdict.packets(domain)), [0; 3], "{verdict}");
}

/// Two more profiles: one for an agent that is not there, and one that names none.
fn other_profiles(home: &Home) {
    let place = |name: &str| home.directory.join(".config").join(name);
    let profile = fs::read(place("vrfrun-seccomp.json")).expect("the profile");
    let mut profile: Value = serde_json::from_slice(&profile).expect("JSON");
    profile["listenerPath"] = "/nobody.sock".into();
    fs::write(place("nobody.json"), profile.to_string()).expect("a file");
    profile.as_object_mut().expect("a profile").remove("listenerPath");
    fs::write(place("pathless.json"), profile.to_string()).expect("a file");
}

fn a_users_container_that_cannot_be_bound_is_closed() {
    let mut world = world();
    let home = Home::new(&world);
    let agent = home.agent(&mut world);
    other_profiles(&home);
    let (annotation, blue) = ("io.vrfrun.vrf=blue", "--annotation io.vrfrun.vrf=blue");
    for changes in [
        (annotation, "io.vrfrun.vrf=nope"),
        (annotation, "io.vrfrun.vrf=blue0"),
        (annotation, "io.vrfrun.vrf=default"),
        (blue, ""),
        ("--network host", "--network none"),
        // No agent, or nobody that knows of it.
        ("vrfrun-seccomp.json", "nobody.json"),
        ("vrfrun-seccomp.json", "pathless.json"),
    ] {
        let verdict = home.run(&mut world, &[changes], "--rm", &fetch());
        assert_ne!(verdict.code, 0, "{changes:?}: {verdict}");
        is_closed(&verdict);
    }
    let receiver = "--annotation run.oci.seccomp.receiver=$XDG_RUNTIME_DIR/vrfrun/oci-agent.sock --rm";
    is_blue(&home.run(&mut world, &[("vrfrun-seccomp.json", "pathless.json")], receiver, &fetch()));
    let log = home.end(&mut world, agent);
    for why in [
        "cannot bind to VRF 'nope': No such device",
        "cannot bind to VRF 'blue0': the interface is not a VRF",
        "'default' is no VRF",
        "no annotation io.vrfrun.vrf names a VRF",
        "it has a network namespace of its own",
    ] {
        assert!(log.contains(&format!("its inet sockets fail: {why}")), "'{why}' is not in\n{log}");
    }
}

/// By listenerPath, and by listenerMetadata where no annotation names a VRF.
fn crun_and_runc_hand_roots_containers_over_too() {
    let mut world = world();
    let image = image(&world);
    let bundle = world.directory().join("bundle");
    fs::create_dir(&bundle).expect("a directory");
    let place = |name: &str| bundle.join(name).display().to_string();
    let mut config = config(&world, &image, Inside::Root, &["/bin/go_client"]);
    fs::write(bundle.join("base.json"), config["linux"]["seccomp"].to_string()).expect("a file");
    let profile = ["vrfrun", "oci-agent", "--socket", &place("agent"), "--profile", &place("base.json")];
    let made = world.judge(&root(profile));
    config["linux"]["seccomp"] = serde_json::from_str(&made.text()).expect("a profile");
    let mut agent = world.start(&root(["vrfrun", "oci-agent", "--socket", &place("agent")]).within(LONG));
    wait_for(&bundle.join("agent"));
    for (runtime, key, value) in
        [("crun", "annotations", json!({"io.vrfrun.vrf": "blue"})), ("runc", "annotations", Value::Null)]
    {
        config[key] = value;
        config["linux"]["seccomp"]["listenerMetadata"] = "blue".into();
        let id = format!("vrfrun-test-agent-{runtime}");
        config["linux"]["cgroupsPath"] = format!("/{id}").into();
        fs::write(bundle.join("config.json"), config.to_string()).expect("a configuration");
        let words = [runtime, "--root", &place(runtime), "run", "-b", bundle.to_str().expect("a plain path"), &id];
        is_blue(&world.judge(&root(words)));
    }
    agent.terminate();
    let verdict = agent.finish(&mut world);
    assert_eq!((verdict.code, verdict.error_text().matches(" is in VRF 'blue'").count()), (0, 2), "{verdict}");
}
