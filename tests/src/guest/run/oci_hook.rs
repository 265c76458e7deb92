//! `vrfsetup oci-hook`: containers whose images know nothing of VRFs, started by podman with crun and with runc.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::containers::{Image, Inside, config};
use super::guest_tests;
use crate::guest::setup::{json as said, vrfsetup};
use crate::harness::judge::{Verdict, root};
use crate::harness::vm::plan::DIRECTORY;
use crate::harness::world::plan::WEB4;
use crate::harness::world::{Domain, Kind, World};

guest_tests! {
    crun_starts_a_container_in_the_vrf_that_its_annotation_names,
    podman_puts_containers_of_any_image_into_the_vrf needs [Once],
    a_container_and_what_is_executed_in_it_stay_in_the_vrf needs [Once],
    a_container_that_cannot_be_bound_does_not_start needs [Once],
}

const HOOK: &str = include_str!("../../../../dist/oci-hook.json.in");
/// Names the VRF.
pub const ANNOTATION: &str = "io.vrfrun.vrf";

/// Longer than any program here needs, however slow the machine is.
const LONG: Duration = Duration::from_secs(600);

/// podman with everything of its own in the world's directory, and an image's root file system.
pub struct Podman<'a> {
    directory: PathBuf,
    runtime: &'static str,
    /// Who makes its cgroups: cgroupfs or systemd.
    manager: &'static str,
    image: &'a Image,
}

impl<'a> Podman<'a> {
    /// With the hook that the package brings.
    pub fn new(world: &World, image: &'a Image, runtime: &'static str, manager: &'static str) -> Self {
        let directory = world.directory().join(runtime);
        fs::create_dir_all(directory.join("hooks.d")).expect("a directory");
        fs::write(directory.join("hooks.d/vrfrun.json"), HOOK.replace("@sbindir@", DIRECTORY)).expect("a hook");
        Self { directory, runtime, manager, image }
    }

    /// podman with the options that keep it there.
    pub fn own(&self) -> Vec<String> {
        let place = |name: &str| self.directory.join(name).display().to_string();
        let own = [("--root", place("storage")), ("--runroot", place("run")), ("--tmpdir", place("tmp"))];
        let own = own.into_iter().chain([("--hooks-dir", place("hooks.d")), ("--runtime", self.runtime.to_owned())]);
        let own = own.flat_map(|(option, value)| [option.to_owned(), value]);
        let fixed =
            ["--storage-driver=vfs", "--events-backend=none", "--log-level=error", "--cgroup-manager", self.manager];
        ["podman".to_owned()].into_iter().chain(own).chain(fixed.map(str::to_owned)).collect()
    }

    /// Judges a command of podman's.
    pub fn judge(&self, world: &mut World, words: &str) -> Verdict {
        world.judge(&root(self.own().into_iter().chain(words.split_whitespace().map(str::to_owned))))
    }

    /// Runs a program of the image's in a container.
    pub fn run(&self, world: &mut World, options: &str, program: &str) -> Verdict {
        let image = self.image.root.display();
        self.judge(world, &format!("run --log-driver=none {options} --rootfs {image} {program}"))
    }
}

impl Drop for Podman<'_> {
    fn drop(&mut self) {
        // conmon starts podman once more when a container has ended, and waits for nobody.
        let deadline = Instant::now() + LONG;
        while is_running(&["conmon", "podman"]) && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(50));
        }
        // The runtime's own, which it keeps for its next container.
        for group in ["libpod_parent/conmon", "libpod_parent"] {
            let _ = fs::remove_dir(Path::new("/sys/fs/cgroup").join(group));
        }
        for directory in ["/run/containers", "/run/libpod", "/run/runc"] {
            let _ = fs::remove_dir_all(directory);
        }
        // Of podman 5's.
        let _ = fs::remove_file("/run/lock/netavark.lock");
    }
}

/// Whether a process has one of these names; one that has ended and that nobody waits for has none.
fn is_running(names: &[&str]) -> bool {
    let processes = fs::read_dir("/proc").expect("/proc").flatten().map(|entry| entry.path());
    processes
        .filter(|process| fs::read(process.join("cmdline")).is_ok_and(|words| !words.is_empty()))
        .any(|process| fs::read_to_string(process.join("comm")).is_ok_and(|name| names.contains(&name.trim_end())))
}

/// Programs of musl's, of glibc's and of Go's.
pub fn image(world: &World) -> Image {
    let image = Image::musl(world);
    image.copy_in(world, &["plain", "go_client"], "/bin");
    for file in ["/lib64/ld-linux-x86-64.so.2", "/lib/x86_64-linux-gnu/libc.so.6"] {
        let to = image.root.join(file.trim_start_matches('/'));
        fs::create_dir_all(to.parent().expect("a directory")).expect("a directory");
        fs::copy(file, to).expect("a file");
    }
    image
}

fn world() -> World {
    World::of_machine(Kind::Vrfs).expect("a world")
}

/// The VRF as the world has it, after somebody has deleted it.
pub fn make_blue(world: &World) {
    for words in [
        "link add blue type vrf table 10",
        "link set blue up",
        "link set blue0 master blue",
        "route add default via 198.51.100.1 dev blue0 table 10",
    ] {
        world.ip(words);
    }
}

/// busybox asks the world's web server.
pub fn fetch() -> String {
    format!("/bin/busybox wget -qO- http://{WEB4}/")
}

/// An answer from blue, and no packet elsewhere.
#[track_caller]
pub fn is_blue(verdict: &Verdict) {
    assert_eq!((verdict.code, verdict.answers.as_slice()), (0, [Domain::Blue].as_slice()), "{verdict}");
    assert_eq!(verdict.packets(Domain::Default) + verdict.packets(Domain::Red), 0, "{verdict}");
}

/// It failed, and no packet left elsewhere.
#[track_caller]
pub fn is_closed(verdict: &Verdict) {
    assert!(verdict.code != 0 && verdict.answers.is_empty(), "{verdict}");
    assert_eq!(verdict.packets(Domain::Default) + verdict.packets(Domain::Red), 0, "{verdict}");
}

/// Without podman, as a runtime's own caller.
fn crun_starts_a_container_in_the_vrf_that_its_annotation_names() {
    let mut world = world();
    let image = Image::musl(&world);
    let bundle = world.directory().join("hooked");
    fs::create_dir_all(&bundle).expect("a directory");
    let id = "vrfrun-test-hooked";
    let mut config = config(&world, &image, Inside::Root, &["/bin/plain_musl_static"]);
    config["linux"]["cgroupsPath"] = format!("/{id}").into();
    let hook = json!({"path": format!("{DIRECTORY}/vrfsetup"), "args": ["vrfsetup", "oci-hook"]});
    config["hooks"] = json!({"createRuntime": [hook]});
    for (vrf, expected) in [("blue", true), ("nope", false), ("blue0", false)] {
        config["annotations"] = json!({ANNOTATION: vrf});
        fs::write(bundle.join("config.json"), config.to_string()).expect("a configuration");
        let words = ["crun", "--cgroup-manager=cgroupfs", "run", "-b", bundle.to_str().expect("a plain path"), id];
        let verdict = world.judge(&root(words));
        if expected { is_blue(&verdict) } else { is_closed(&verdict) }
    }
}

/// The system's log, in a guest that has none: what a hook says, crun shows nobody.
struct Log(UnixDatagram);

impl Log {
    const PATH: &str = "/dev/log";

    fn open() -> Self {
        let socket = UnixDatagram::bind(Self::PATH).expect("no other log");
        socket.set_read_timeout(Some(LONG)).expect("a limit");
        Self(socket)
    }

    /// The next line that is not podman's own.
    fn next(&self) -> String {
        let mut bytes = [0; 1024];
        loop {
            let length = self.0.recv(&mut bytes).expect("a line");
            let line = String::from_utf8_lossy(&bytes[..length]);
            if !line.contains("conmon") {
                return line.into_owned();
            }
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        fs::remove_file(Self::PATH).expect("the log");
    }
}

fn podman_puts_containers_of_any_image_into_the_vrf() {
    let mut world = world();
    let image = image(&world);
    for runtime in ["crun", "runc"] {
        let podman = Podman::new(&world, &image, runtime, "cgroupfs");
        let host = "--rm --network host";
        let blue = format!("{host} --annotation {ANNOTATION}=blue");
        for program in ["/bin/plain_musl", "/bin/plain_musl_static", "/bin/plain", "/bin/go_client"] {
            is_blue(&podman.run(&mut world, &blue, program));
        }
        is_blue(&podman.run(&mut world, &format!("{blue} --user 1000 --cap-drop all"), "/bin/plain"));
        // One that asks for nothing is left alone.
        let other = podman.run(&mut world, host, &fetch());
        assert_eq!((other.code, other.answers.as_slice()), (0, [Domain::Default].as_slice()), "{other}");
    }
}

fn a_container_and_what_is_executed_in_it_stay_in_the_vrf() {
    let mut world = world();
    let image = image(&world);
    for runtime in ["crun", "runc"] {
        let podman = Podman::new(&world, &image, runtime, "cgroupfs");
        let options = format!("-d --name held --network host --annotation {ANNOTATION}=blue");
        let started = podman.run(&mut world, &options, "/bin/busybox sleep 10000");
        assert_eq!(started.code, 0, "{started}");
        let execute = format!("exec held {}", fetch());
        is_blue(&podman.judge(&mut world, &execute));
        let known = said(&vrfsetup(&mut world, 0, "pids blue -j"));
        assert_eq!((known[0]["command"].as_str(), known[0]["mechanism"].as_str()), (Some("busybox"), Some("oci-hook")));
        let again = podman.judge(&mut world, "restart -t 0 held");
        assert_eq!(again.code, 0, "{again}");
        is_blue(&podman.judge(&mut world, &execute));
        // Without its VRF it has no other, and does not start again.
        world.ip("link del blue");
        is_closed(&podman.judge(&mut world, &execute));
        is_closed(&podman.judge(&mut world, "restart -t 0 held"));
        make_blue(&world);
        let again = podman.judge(&mut world, "start held");
        assert_eq!(again.code, 0, "{again}");
        is_blue(&podman.judge(&mut world, &execute));
        let removed = podman.judge(&mut world, "rm -f -t 0 held");
        assert_eq!(removed.code, 0, "{removed}");
    }
}

fn a_container_that_cannot_be_bound_does_not_start() {
    let (mut world, log) = (world(), Log::open());
    let image = image(&world);
    for runtime in ["crun", "runc"] {
        let podman = Podman::new(&world, &image, runtime, "cgroupfs");
        let started = "/bin/busybox echo started";
        for (options, vrf, why) in [
            ("--network host", "nope", "no interface 'nope'"),
            ("--network host", "blue0", "'blue0' exists and is not a VRF"),
            ("--network host", "default", "no interface 'default'"),
            ("--network host", "a/b", "annotation io.vrfrun.vrf: not a name"),
            // With a network or without a cgroup of its own, which crun alone can start.
            ("--network none", "blue", "it has a network of its own (--network host)"),
            ("--network host --cgroups disabled", "blue", "it has no cgroup of its own"),
        ] {
            if runtime == "runc" && options.contains("disabled") {
                continue;
            }
            let options = format!("--rm {options} --annotation {ANNOTATION}={vrf}");
            let verdict = podman.run(&mut world, &options, started);
            assert!(!verdict.text().contains("started"), "{options}: {verdict}");
            is_closed(&verdict);
            let said = log.next();
            assert!(said.contains(why), "'{why}' is not in '{said}': {verdict}");
        }
    }
    // By hand.
    for (state, why) in [
        ("{}", "no state of a container"),
        (r#"{"id":"x","pid":0}"#, "no process yet"),
        (r#"{"id":"x","pid":1,"annotations":{"io.vrfrun.vrf":"blue"}}"#, "it has no cgroup of its own"),
    ] {
        let refused = world.judge(&root(["sh", "-c", &format!("echo '{state}' | vrfsetup oci-hook")]));
        assert!(refused.code != 0 && refused.error_text().contains(why), "{refused}");
    }
}
