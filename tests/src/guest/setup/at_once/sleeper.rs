//! A process with a listener and a datagram socket for `vrfsetup move`, and where the kernel says that it is.

use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::process::{Child, Command, Stdio};

use nix::net::if_::if_nametoindex;

use crate::harness::vm::plan::DIRECTORY;

/// Ends with this value.
pub struct Sleeper(Child);

impl Sleeper {
    /// In the network namespace of this thread, bound to nothing.
    pub fn start() -> Self {
        let listener = TcpListener::bind("0.0.0.0:4001").expect("a listener");
        let socket = UdpSocket::bind("0.0.0.0:4002").expect("a socket");
        let mut sleep = Command::new("sleep");
        sleep.arg("600").stdin(OwnedFd::from(listener)).stdout(OwnedFd::from(socket));
        Self(sleep.spawn().expect("sleep"))
    }

    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Its cgroup, the devices of its sockets, and of a new socket that is made in that cgroup.
    pub fn state(&self) -> String {
        let cgroups = fs::read_to_string(format!("/proc/{}/cgroup", self.pid())).expect("its cgroup");
        let path = cgroups.lines().find_map(|line| line.strip_prefix("0::")).expect("one of version 2");
        let makes = format!("echo 0 > /sys/fs/cgroup{path}/cgroup.procs && exec {DIRECTORY}/on_use udp4 sendto");
        let new = output(&makes);
        let sockets = output("ss -Htuln");
        let field = |line: &str, at: usize| line.split_whitespace().nth(at).unwrap_or_default().to_owned();
        let mut sockets: Vec<String> =
            sockets.lines().map(|line| format!("socket {} {}\n", field(line, 0), field(line, 4))).collect();
        sockets.sort();
        format!("cgroup {}\n{}new socket: {new}", settled(path), sockets.concat())
    }
}

/// `vrfrun-blue-7-4026531840` has the numbers of a device and of a network namespace, which are others each time.
fn settled(path: &str) -> String {
    let fields: Vec<&str> = path.rsplitn(3, '-').collect();
    let [netns, ifindex, name] = fields[..] else { return path.to_owned() };
    let device = name.rsplit('-').next().unwrap_or_default();
    let is_current = if_nametoindex(device).is_ok_and(|current| ifindex == current.to_string());
    let own = fs::metadata("/proc/thread-self/ns/net").expect("the network namespace").ino();
    format!("{name}, of this device: {is_current}, of this network namespace: {}", netns == own.to_string())
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a shell's command prints, which must succeed.
pub fn output(command: &str) -> String {
    let output = Command::new("sh").args(["-c", command]).stdin(Stdio::null()).output().expect("sh");
    assert!(output.status.success(), "{command}: {output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
