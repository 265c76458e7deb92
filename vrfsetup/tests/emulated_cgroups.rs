//! `vrfsetup oci-hook` and `session` in VRFs that are emulated: what is in the cgroup is answered from behind the port. On this
//! machine's kernel, with cgroups of the test's own.

mod namespace;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use namespace::scene::{ADD, Scene};
use namespace::{Namespace, assert_says, wait_until};

/// What answers by the port alone.
const FAR: [&str; 2] = ["203.0.113.1", "2001:db8:1::1"];

/// Cgroups within each other, the innermost last; those that were made are gone with the value.
struct Cgroups(Vec<PathBuf>);

impl Cgroups {
    fn new(parts: &[&str]) -> Self {
        let below = |at: usize| parts[..=at].iter().fold(root(), |path, part| path.join(part));
        Self((0..parts.len()).map(below).filter(|path| fs::create_dir(path).is_ok()).collect())
    }

    fn path(&self) -> &Path {
        self.0.last().expect("a cgroup")
    }

    /// A command in the innermost one.
    fn run(&self, machine: &Namespace, environment: &str, words: &str) -> Output {
        let join = format!("echo $$ >{}/cgroup.procs; exec env {environment} {words}", self.path().display());
        machine.command("sh").args(["-c", &join]).output().expect("sh")
    }

    fn pings(&self, machine: &Namespace, address: &str) -> bool {
        self.run(machine, "", &format!("ping -n -q -c 1 -W 1 {address}")).status.success()
    }
}

impl Drop for Cgroups {
    fn drop(&mut self) {
        // One whose last process has just ended is busy for a moment.
        self.0.iter().rev().for_each(|path| wait_until("an empty cgroup", || fs::remove_dir(path).is_ok()));
    }
}

/// Where cgroup2 is mounted.
fn root() -> PathBuf {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    let mount = mounts.lines().find(|line| line.split(' ').nth(2) == Some("cgroup2")).expect("cgroup2");
    Path::new(mount.split(' ').nth(1).unwrap()).to_owned()
}

fn emulated() -> Scene {
    let scene = Scene::new();
    assert_says(&scene.machine.vrfsetup(ADD), 0, "changed");
    assert!(FAR.iter().all(|far| !Scene::pings(&scene.machine, far)), "the default domain has no way there");
    scene
}

fn hook(machine: &Namespace, state: &str) -> Output {
    let mut command = machine.command(env!("CARGO_BIN_EXE_vrfsetup"));
    let mut child = command.arg("oci-hook").stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(state.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn a_container_is_bound_to_the_port() {
    let scene = emulated();
    let machine = &scene.machine;
    let id = format!("emulated{}", std::process::id());
    let cgroups = Cgroups::new(&[&format!("libpod-{id}.scope")]);
    let script = format!("echo $$ >{}/cgroup.procs; exec sleep 600", cgroups.path().display());
    let mut first = machine.command("sh").args(["-c", &script]).spawn().unwrap();
    wait_until("the first process", || {
        fs::read_to_string(cgroups.path().join("cgroup.procs")).unwrap().trim() == first.id().to_string()
    });
    let state =
        |vrf: &str| format!(r#"{{"id":"{id}","pid":{},"annotations":{{"io.vrfrun.vrf":"{vrf}"}}}}"#, first.id());
    // Neither the port nor another name of it is a VRF.
    for name in ["eth1", "enp0s1"] {
        assert_says(&hook(machine, &state(name)), 1, &format!("'{name}' exists and is not a VRF"));
    }
    assert!(!FAR.iter().any(|far| cgroups.pings(machine, far)));
    assert_says(&hook(machine, &state("blue")), 0, "");
    assert!(FAR.iter().all(|far| cgroups.pings(machine, far)), "a container's packets do not leave by the port");
    assert_says(&machine.vrfsetup(&format!("identify {}", first.id())), 0, "blue\n");
    first.kill().unwrap();
    first.wait().unwrap();
}

#[test]
fn a_login_is_bound_to_the_port() {
    let scene = emulated();
    let machine = &scene.machine;
    let scope = format!("session-{}.scope", std::process::id());
    let cgroups = Cgroups::new(&["user.slice", "user-4294967294.slice", &scope]);
    let session = format!("{} session blue", env!("CARGO_BIN_EXE_vrfsetup"));
    for _ in 0..2 {
        assert_says(&cgroups.run(machine, "PAM_TYPE=open_session", &session), 0, "");
        assert!(FAR.iter().all(|far| cgroups.pings(machine, far)), "a login's packets do not leave by the port");
    }
    // Without the VRF its sockets are bound to the port all the same, and the next login is denied.
    assert_says(&machine.vrfsetup("del blue"), 0, "changed");
    assert_says(&cgroups.run(machine, "PAM_TYPE=open_session", &session), 1, "no interface 'blue'");
}
