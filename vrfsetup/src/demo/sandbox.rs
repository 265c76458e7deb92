//! The sandbox: a network namespace of our own with a link into each of two networks. It ends with this process and the
//! peers, which end when their standard input does.

use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, unshare};

use super::peer::PEER;
use crate::error::Error;
use crate::model::device::Device;
use crate::model::step::Step;
use crate::sys::netlink::Kernel;
use crate::sys::run_dir;

/// The networks by the names of their servers, and the links to them.
const NETWORKS: [(&str, &str); 2] = [("default", "eth0"), ("blue", "blue0")];

/// How long a peer may take to be ready.
const START: Duration = Duration::from_secs(10);
/// How long a datagram may be on its way.
const TRAVEL: Duration = Duration::from_millis(500);

/// The two peers.
pub struct Sandbox {
    peers: Vec<Peer>,
}

struct Peer {
    name: &'static str,
    process: Child,
    orders: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Sandbox {
    /// Builds it.
    ///
    /// # Errors
    /// Not root, or `ip` fails.
    pub fn build() -> io::Result<Self> {
        unshare(CloneFlags::CLONE_NEWNET)?;
        let mut sandbox = Self { peers: Vec::new() };
        ip("link set lo up")?;
        for (name, link) in NETWORKS {
            let mut peer = Command::new("/proc/self/exe");
            peer.arg(PEER).arg(name).stdin(Stdio::piped()).stdout(Stdio::piped());
            let mut process = peer.spawn()?;
            let (pid, orders, stdout) = (process.id(), process.stdin.take(), process.stdout.take());
            let lines = listen(stdout.ok_or(io::ErrorKind::BrokenPipe)?);
            sandbox.peers.push(Peer { name, process, orders, lines });
            let Some(peer) = sandbox.peers.last_mut() else { continue };
            peer.wait_for_line(START)?;
            ip(&format!("link add {link} type veth peer name eth0 netns {pid}"))?;
            peer.orders.iter_mut().try_for_each(|orders| orders.write_all(b"\n"))?;
            peer.wait_for_line(START)?;
        }
        Ok(sandbox)
    }

    /// In whose network a datagram arrives, if it does.
    pub fn arrival(&self) -> Option<String> {
        let deadline = Instant::now() + TRAVEL;
        while Instant::now() < deadline {
            let receiver = self.peers.iter().find(|peer| peer.wait_for_line(TRAVEL / 50).is_ok());
            if let Some(peer) = receiver {
                return Some(peer.name.to_owned());
            }
        }
        None
    }

    /// Runs `ip …` or `vrfsetup …`, which is this program; gives its exit status, None if it has none, and what it said.
    #[allow(clippy::unused_self)] // what is run needs the sandbox
    pub fn run(&self, command: &str) -> (Option<i32>, String) {
        let mut argv = command.split_whitespace();
        let program = match argv.next() {
            Some("vrfsetup") => "/proc/self/exe",
            other => other.unwrap_or_default(),
        };
        match Command::new(program).args(argv).stdin(Stdio::null()).output() {
            Ok(output) => {
                let said = [output.stdout, output.stderr].concat();
                (output.status.code(), String::from_utf8_lossy(&said).into_owned())
            }
            Err(error) => (None, error.to_string()),
        }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        for peer in &mut self.peers {
            drop(peer.orders.take());
            // It ends by itself now; an error means that it has already.
            let _ = peer.process.wait();
        }
        run_dir::forget();
    }
}

impl Peer {
    fn wait_for_line(&self, time: Duration) -> io::Result<()> {
        self.lines.recv_timeout(time).map(drop).map_err(|_| io::ErrorKind::TimedOut.into())
    }
}

/// What the peer says, line by line.
fn listen(stdout: ChildStdout) -> Receiver<String> {
    let (sender, lines) = channel();
    thread::spawn(move || {
        let read = BufReader::new(stdout).lines().map_while(Result::ok);
        read.map(|line| sender.send(line)).all(|sent| sent.is_ok())
    });
    lines
}

fn ip(arguments: &str) -> io::Result<()> {
    let status = Command::new("ip").args(arguments.split_whitespace()).stdin(Stdio::null()).status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("ip {arguments}: {status}"))) }
}

/// Makes a VRF and deletes it again.
///
/// # Errors
/// The kernel's own.
pub fn try_vrf(kernel: &Kernel) -> Result<(), Error> {
    let step = Step::AddVrf(Device { ifindex: 0, name: "vrfsetup-demo".to_owned() }, 4_294_967_000);
    let refused = |refusal| Error::Refused { step: Box::new(step.clone()), refusal };
    kernel.make(&step).map_err(refused)?;
    kernel.make(&step.clone().inverse()).map_err(refused)
}
