//! `vrfsetup oci-hook` with cgroups of the test's own, as a runtime makes them: all that comes before a VRF is looked for.

mod namespace;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Output, Stdio};

use namespace::{Namespace, assert_says};

/// A container's cgroup with others in it, the innermost last; gone with the value.
struct Cgroups(Vec<PathBuf>);

impl Cgroups {
    fn new(id: &str, below: &[&str]) -> Self {
        let outer = root().join(format!("libpod-{id}.scope"));
        let all: Vec<PathBuf> =
            [outer.clone()].into_iter().chain(below.iter().map(|below| outer.join(below))).collect();
        all.iter().for_each(|directory| fs::create_dir(directory).unwrap());
        Self(all)
    }

    fn put(&self, at: usize, process: &Process) {
        fs::write(self.0[at].join("cgroup.procs"), process.0.id().to_string()).unwrap();
    }
}

impl Drop for Cgroups {
    fn drop(&mut self) {
        // One whose last process has just ended is busy for a moment.
        for directory in self.0.iter().rev() {
            namespace::wait_until("an empty cgroup", || fs::remove_dir(directory).is_ok());
        }
    }
}

/// Where cgroup2 is mounted.
fn root() -> PathBuf {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    let mount = mounts.lines().find(|line| line.split(' ').nth(2) == Some("cgroup2")).expect("cgroup2");
    Path::new(mount.split(' ').nth(1).unwrap()).to_owned()
}

/// One that sleeps in the namespace until the value is gone.
struct Process(Child);

impl Process {
    fn new(namespace: &Namespace) -> Self {
        Self(namespace.command("sleep").arg("600").spawn().unwrap())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn hook(namespace: &Namespace, state: &str) -> Output {
    let mut command = namespace.command(env!("CARGO_BIN_EXE_vrfsetup"));
    let mut child = command.arg("oci-hook").stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(state.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn a_container_is_not_started_where_others_are_anywhere_in_its_cgroup() {
    let machine = Namespace::new();
    let id = format!("test{}", std::process::id());
    let cgroups = Cgroups::new(&id, &["container", "other", "other/deeper"]);
    let first = Process::new(&machine);
    namespace::wait_until("the namespace", || is_in(&machine, first.0.id()));
    cgroups.put(1, &first);
    let state = format!(r#"{{"id":"{id}","pid":{},"annotations":{{"io.vrfrun.vrf":"blue"}}}}"#, first.0.id());
    for (at, place) in [(0, ".scope'"), (1, ".scope/container'"), (2, ".scope/other'"), (3, ".scope/other/deeper'")] {
        let other = Process::new(&machine);
        cgroups.put(at, &other);
        assert_says(&hook(&machine, &state), 1, &format!("{place} has other processes"));
    }
    assert_says(&hook(&machine, &state), 1, "no interface 'blue'");
}

fn is_in(namespace: &Namespace, pid: u32) -> bool {
    fs::read_link(format!("/proc/{pid}/ns/net")).unwrap() == fs::read_link(namespace.path()).unwrap()
}
