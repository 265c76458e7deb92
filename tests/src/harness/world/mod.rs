//! Three routing domains — default, blue, red — with the same addresses behind each, in a network
//! and a mount namespace of their own: with the last process of the test everything is gone.

mod apart;
pub mod machine;
pub mod peers;
pub mod plan;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use tempfile::TempDir;

use crate::harness::programs::{self, Set};
use peers::Peer;
pub use plan::{Domain, Kind};

/// A world; its peers end with it.
#[derive(Debug)]
pub struct World {
    kind: Kind,
    peers: [Peer; 3],
    bin: PathBuf,
    /// Paths that show something else in this world.
    replaced: Vec<PathBuf>,
    directory: TempDir,
    /// Whether it stands in the guest's own network namespace.
    is_machines: bool,
}

impl World {
    /// Moves the calling thread into a new network and mount namespace and builds the world there.
    /// Processes started by this thread live in it. Needs root.
    ///
    /// # Errors
    /// When it cannot be built; nothing of it then remains.
    pub fn new(kind: Kind) -> io::Result<Self> {
        Self::with(kind, Set::All)
    }

    /// The same with these programs only.
    ///
    /// # Errors
    /// As [`World::new`].
    pub fn with(kind: Kind, programs: Set) -> io::Result<Self> {
        unshare(CloneFlags::CLONE_NEWNET)?;
        Self::build(kind, programs)
    }

    /// Builds the world in a guest's own network namespace, where a real machine has it. Before 5.14
    /// a bpf program cannot be told of any other.
    ///
    /// # Errors
    /// Also when this is no guest.
    pub fn of_machine(kind: Kind) -> io::Result<Self> {
        machine::make_room()?;
        let mut world = Self::build(kind, Set::All)?;
        world.is_machines = true;
        Ok(world)
    }

    fn build(kind: Kind, set: Set) -> io::Result<Self> {
        unshare(CloneFlags::CLONE_NEWNS)?;
        mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)?;
        let directory = open_directory()?;
        let mut peers = [Peer::start(Domain::Default)?, Peer::start(Domain::Blue)?, Peer::start(Domain::Red)?];
        batch(&plan::links(kind, [peers[0].pid(), peers[1].pid(), peers[2].pid()]))?;
        for peer in &mut peers {
            peer.go()?;
        }
        batch(&plan::machine_side(kind))?;
        let bin = programs::install_into(directory.path(), set)?;
        if kind == Kind::Emulated {
            emulate(&bin)?;
        }
        let mut world = Self { kind, peers, bin, replaced: Vec::new(), directory, is_machines: false };
        world.replace("/etc/resolv.conf", plan::resolv_conf().as_bytes())?;
        Ok(world)
    }

    /// The world with VRFs, or, on a kernel without them, the one with links of the same names.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The peers' processes.
    pub fn peers(&self) -> [u32; 3] {
        [self.peers[0].pid(), self.peers[1].pid(), self.peers[2].pid()]
    }

    /// The directory with the products and the test programs, readable by every user.
    pub fn bin(&self) -> &Path {
        &self.bin
    }

    /// A scratch directory of this world, readable by every user.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Shows `content` where `path` is, in this world only. The path must exist.
    pub fn replace(&mut self, path: &str, content: &[u8]) -> io::Result<()> {
        let copy = self.directory.path().join(path.replace('/', "-"));
        std::fs::write(&copy, content)?;
        let target = std::fs::canonicalize(path)?;
        mount(Some(&copy), &target, None::<&str>, MsFlags::MS_BIND, None::<&str>)?;
        self.replaced.push(target);
        Ok(())
    }

    /// A command line that runs these words at the far end of a domain's link.
    pub fn at_peer(&self, domain: Domain, words: &[&str]) -> Vec<String> {
        let namespace = format!("--net=/proc/{}/ns/net", self.peers[domain as usize].pid());
        ["nsenter", &namespace].iter().chain(words).map(|word| (*word).to_owned()).collect()
    }

    /// Runs one `ip` command, as it is typed, in this world.
    ///
    /// # Panics
    /// When `ip` fails: a test whose world is not as it thinks proves nothing.
    pub fn ip(&self, arguments: &str) {
        let status = Command::new("ip").args(arguments.split_whitespace()).status();
        assert!(status.is_ok_and(|status| status.success()), "ip {arguments}");
    }

    /// What `ip -j` says, as JSON; empty output is an empty list.
    ///
    /// # Panics
    /// As [`World::ip`].
    pub fn ip_json(&self, arguments: &str) -> serde_json::Value {
        let output = Command::new("ip").arg("-j").args(arguments.split_whitespace()).output();
        let output = output.unwrap_or_else(|error| panic!("ip -j {arguments}: {error}"));
        assert!(output.status.success(), "ip -j {arguments}: {}", String::from_utf8_lossy(&output.stderr));
        match output.stdout.trim_ascii() {
            b"" => serde_json::json!([]),
            text => serde_json::from_slice(text).unwrap_or_else(|error| panic!("ip -j {arguments}: {error}")),
        }
    }

    /// What reached the peers since the last call, in the order of [`Domain::ALL`].
    pub fn take(&mut self) -> io::Result<[peers::Tally; 3]> {
        let [default, blue, red] = &mut self.peers;
        Ok([default.take()?, blue.take()?, red.take()?])
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // The thread may build another world, in which nothing can be mounted over a file that is gone.
        for path in self.replaced.drain(..).rev() {
            // A program that still has the file open keeps it; the path is free all the same.
            let _ = umount2(&path, MntFlags::MNT_DETACH);
        }
        if let Err(error) = machine::forget_world(self.is_machines) {
            // Whoever looks at what is left names it.
            eprintln!("the world could not be taken down: {error}");
        }
    }
}

/// Has vrfsetup make the VRFs.
fn emulate(bin: &Path) -> io::Result<()> {
    for words in plan::emulations() {
        let output = Command::new(bin.join("vrfsetup")).args(&words).output()?;
        if !output.status.success() {
            return Err(io::Error::other(format!("{words:?}: {}", String::from_utf8_lossy(&output.stderr))));
        }
    }
    batch(&plan::emulated_defaults())
}

/// Runs a script through `ip -batch`: one process for the whole world.
fn batch(script: &str) -> io::Result<()> {
    let mut ip = Command::new("ip").args(["-batch", "-"]).stdin(Stdio::piped()).spawn()?;
    if let Some(mut stdin) = ip.stdin.take() {
        stdin.write_all(script.as_bytes())?;
    }
    let status = ip.wait()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("ip -batch: {status}:\n{script}"))) }
}

/// A directory that plain users may enter, which temporary directories are not.
fn open_directory() -> io::Result<TempDir> {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::Builder::new().prefix("vrfworld-").tempdir()?;
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755))?;
    Ok(directory)
}
