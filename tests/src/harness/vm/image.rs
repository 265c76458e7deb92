//! The three disks of a guest: the root file system and the kernel's modules come from the cache,
//! the third, with the project's programs and the tests, is made again for each boot.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::plan::Plan;
use crate::harness::kernels::{Arch, Kernel};

/// All that a machine boots from.
#[derive(Debug)]
pub struct Images {
    /// The directory of `tools/fetch-kernel`.
    pub kernel: PathBuf,
    /// The root file system.
    pub rootfs: PathBuf,
    /// The disk with what is tested; gone with this value.
    pub tested: PathBuf,
    /// The machine's console log is written here.
    pub console: PathBuf,
    /// Whether a systemd of its own boots it, which also wants a network interface.
    pub has_systemd: bool,
    /// Which machine it is.
    pub arch: Arch,
    /// How many processors the machine has.
    pub processors: u32,
    /// Whether its programs lie at random addresses.
    pub has_random_addresses: bool,
    /// Further words for the kernel.
    pub arguments: String,
    /// Whether a reset does not end it, but boots it again.
    pub may_reset: bool,
    _directory: TempDir,
}

/// Which root file system a guest has.
#[derive(Clone, Debug)]
pub enum Root {
    /// That of `tools/guest-packages`.
    Usual,
    /// The same with one more list of packages in `tools/`.
    With(&'static str),
    /// One that its own systemd boots: the list of packages in `tools/`, and the Debian suite.
    Systemd(String, String),
    /// That of `tools/foreign-packages`, for another architecture.
    Foreign(Arch),
    /// The demonstration's, made of this machine's own programs; it must be able to run this one.
    Demo(PathBuf),
}

impl Root {
    fn arguments(&self) -> Vec<&OsStr> {
        match self {
            Self::Usual => vec![],
            Self::With(list) => vec![list.as_ref()],
            Self::Systemd(list, suite) => vec![list.as_ref(), suite.as_ref()],
            Self::Foreign(arch) => vec![arch.debian().as_ref()],
            Self::Demo(program) => vec![program.as_ref()],
        }
    }
}

impl Images {
    /// Fetches what the cache does not have, and packs `programs` and the plan into the third disk.
    ///
    /// # Errors
    /// When something cannot be fetched or made.
    pub fn prepare(kernel: &Kernel, plan: &Plan, programs: &[PathBuf], root: &Root) -> io::Result<Self> {
        let words = [&*kernel.name, &kernel.suite, &kernel.package, &kernel.version, kernel.arch.debian()];
        let fetched = tool("fetch-kernel", &words)?;
        let rootfs = rootfs(root)?;
        let directory = tempfile::Builder::new().prefix("vrftests-").tempdir()?;
        let tested = directory.path().join("tested.ext4");
        pack(directory.path(), plan, programs, &tested)?;
        let console = directory.path().join("console.log");
        Ok(Self {
            kernel: fetched,
            rootfs,
            tested,
            console,
            has_systemd: matches!(root, Root::Systemd(..)),
            arch: kernel.arch,
            processors: kernel.processors(),
            has_random_addresses: kernel.has_random_addresses(),
            arguments: String::new(),
            may_reset: matches!(plan, Plan::RunAtEachBoot(_)),
            _directory: directory,
        })
    }
}

/// The image of the guests' root file system, made if the cache does not have it.
///
/// # Errors
/// When it cannot be made; the script's words are in it.
pub fn rootfs(root: &Root) -> io::Result<PathBuf> {
    let script = match root {
        Root::Demo(_) => "make-demo-root",
        Root::Foreign(_) => "make-foreign-root",
        Root::Usual | Root::With(_) | Root::Systemd(..) => "make-rootfs",
    };
    tool(script, &root.arguments())
}

/// The workspace's root directory.
pub fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// Runs a script of `tools/`; its last line of output is a path.
fn tool(name: &str, arguments: &[impl AsRef<OsStr>]) -> io::Result<PathBuf> {
    let output =
        Command::new(top().join("tools").join(name)).args(arguments).stderr(std::process::Stdio::piped()).output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(io::Error::other(format!("tools/{name} failed ({}):\n{said}", output.status)));
    }
    let line = output.stdout.trim_ascii().rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    Ok(PathBuf::from(OsStr::from_bytes(line)))
}

/// Makes the third disk. The programs lie flat in it, so that vrfrun finds its shim beside itself.
fn pack(directory: &Path, plan: &Plan, programs: &[PathBuf], image: &Path) -> io::Result<()> {
    let stage = directory.join("stage");
    std::fs::create_dir(&stage)?;
    let mut bytes = 0;
    for program in programs {
        let name = program.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        bytes += std::fs::copy(program, stage.join(name))
            .map_err(|error| io::Error::other(format!("cannot pack {}: {error}", program.display())))?;
    }
    std::fs::write(stage.join("plan.json"), serde_json::to_vec(plan)?)?;
    let mebibytes = bytes / (1 << 20) * 5 / 4 + 16;
    let made = Command::new("mke2fs")
        .args(["-qF", "-t", "ext4", "-O", "^has_journal", "-E", "root_owner=0:0", "-d"])
        .args([stage.as_os_str(), image.as_os_str(), OsStr::new(&format!("{mebibytes}M"))])
        .output()?;
    std::fs::remove_dir_all(&stage)?;
    if made.status.success() {
        return Ok(());
    }
    Err(io::Error::other(format!("mke2fs failed: {}", String::from_utf8_lossy(&made.stderr))))
}
