//! Processes, from /proc: who is in which VRF, and who has which socket.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Serialize;

use crate::inspect::membership::{self, Bound, BoundUser, By, Evidence, Membership};
use crate::plan::unit_files;
use crate::sys::cgroup::{self, Labels};
use crate::sys::open_files::{pids, socket_inode};
use crate::sys::{run_dir, users};

/// How many ancestors are asked at most: a fork while /proc is read could make a circle.
const ANCESTORS: usize = 64;

/// A process in a VRF.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Process {
    /// Its number in our pid namespace.
    pub pid: u32,
    /// Its name (`comm`).
    pub command: String,
    pub vrf: String,
    /// What put it there.
    pub mechanism: By,
}

/// All processes of our network namespace that are in a VRF.
pub fn in_vrfs() -> Vec<Process> {
    let (bound, mut labels) = (bound(), Labels::new());
    let own = netns(Path::new("/proc/thread-self"));
    let mut found: Vec<Process> = pids()
        .filter(|&pid| own.is_some() && netns(&visible(pid)) == own)
        .filter_map(|pid| {
            let Membership { vrf, by } = membership::of(&evidence(pid, &mut labels).ok()?, &bound)?;
            Some(Process { pid, command: command(pid), vrf: text(&vrf), mechanism: by })
        })
        .collect();
    found.sort_unstable();
    found
}

/// The VRF of one process; None if it is in none.
///
/// # Errors
/// There is no such process.
pub fn identify(pid: u32) -> io::Result<Option<Process>> {
    let found = membership::of(&evidence(pid, &mut Labels::new())?, &bound());
    let process = |Membership { vrf, by }| Process { pid, command: command(pid), vrf: text(&vrf), mechanism: by };
    Ok(found.map(process))
}

/// The VRF in which a filter or a library of vrfrun's holds a process, which stay as long as it runs.
pub fn held_by_a_filter(pid: u32) -> Option<String> {
    let found = membership::of(&evidence(pid, &mut Labels::new()).ok()?, &Bound::default())?;
    [By::Preload, By::Seccomp].contains(&found.by).then(|| text(&found.vrf))
}

/// Where `vrfsetup user` holds all sockets of a process's user.
pub fn held_by_its_user(pid: u32) -> Option<String> {
    let (evidence, bound) = (evidence(pid, &mut Labels::new()).ok()?, bound());
    let vrf = &bound.by_user(&evidence)?.vrf;
    Some(vrf.as_ref().map_or_else(|| "no VRF and without a network".to_owned(), |vrf| format!("'{}'", text(vrf))))
}

/// Which processes have which sockets open, by the sockets' inodes. Processes of others are invisible to a plain user.
pub fn socket_owners() -> HashMap<u64, Vec<u32>> {
    let mut owners: HashMap<u64, Vec<u32>> = HashMap::new();
    for pid in pids() {
        for entry in fs::read_dir(visible(pid).join("fd")).into_iter().flatten().flatten() {
            let target = fs::read_link(entry.path()).unwrap_or_default();
            let Some(inode) = socket_inode(target.as_os_str()) else { continue };
            let pids = owners.entry(inode).or_default();
            // One process may have it open several times.
            if pids.last() != Some(&pid) {
                pids.push(pid);
            }
        }
    }
    owners
}

/// The name of a process; empty once it is gone.
pub fn command(pid: u32) -> String {
    text(fs::read(directory(pid).join("comm")).unwrap_or_default().trim_ascii_end())
}

/// A thread of a process that runs: the main one unless that has ended; None once all have.
pub fn live_thread(pid: u32) -> Option<u32> {
    if runs(&directory(pid)) {
        return Some(pid);
    }
    let tasks = fs::read_dir(directory(pid).join("task")).into_iter().flatten().flatten();
    tasks.filter(|task| runs(&task.path())).find_map(|task| task.file_name().to_str()?.parse().ok())
}

/// Whether a thread has not ended. A process's name, which comes before the state, may have brackets and spaces in it.
fn runs(thread: &Path) -> bool {
    let stat = fs::read(thread.join("stat")).unwrap_or_default();
    let name_ends = stat.iter().rposition(|&byte| byte == b')');
    let state = name_ends.and_then(|at| stat.get(at + 2));
    state.is_some_and(|state| !b"ZX".contains(state))
}

fn directory(pid: u32) -> PathBuf {
    Path::new("/proc").join(pid.to_string())
}

/// Of a process whose main thread has ended, the others' tell what its own does not any more: cgroup, files, namespaces.
fn visible(pid: u32) -> PathBuf {
    directory(live_thread(pid).unwrap_or(pid))
}

fn netns(process: &Path) -> Option<u64> {
    fs::metadata(process.join("ns/net")).map(|metadata| metadata.ino()).ok()
}

fn evidence(pid: u32, labels: &mut Labels) -> io::Result<Evidence> {
    let directory = visible(pid);
    let status = fs::read(directory.join("status"))?;
    let is_filtered = is_filtered(&status);
    let cgroup = fs::read(directory.join("cgroup")).unwrap_or_default();
    Ok(Evidence {
        labels: cgroup::path_in(&cgroup).map(|path| labels.on_the_way(path)).unwrap_or_default(),
        cgroup,
        environ: fs::read(directory.join("environ")).unwrap_or_default(),
        uid: field(&status, b"Uid:"),
        gid: field(&status, b"Gid:"),
        is_filtered,
        filtered_ancestors: if is_filtered { filtered_ancestors(&status) } else { Vec::new() },
    })
}

fn filtered_ancestors(status: &[u8]) -> Vec<Vec<u8>> {
    let mut environs = Vec::new();
    let mut parent = field(status, b"PPid:");
    while let Some(pid) = parent.filter(|_| environs.len() < ANCESTORS) {
        let directory = visible(pid);
        let Ok(status) = fs::read(directory.join("status")) else { break };
        if !is_filtered(&status) {
            break;
        }
        environs.push(fs::read(directory.join("environ")).unwrap_or_default());
        parent = field(&status, b"PPid:");
    }
    environs
}

/// SECCOMP_MODE_FILTER.
fn is_filtered(status: &[u8]) -> bool {
    field(status, b"Seccomp:") == Some(2)
}

fn field(status: &[u8], name: &[u8]) -> Option<u32> {
    let value = status.split(|&b| b == b'\n').find_map(|line| line.strip_prefix(name))?;
    std::str::from_utf8(value).ok()?.split_ascii_whitespace().next()?.parse().ok()
}

/// Users are in VRFs of the machine's own network namespace only.
fn bound() -> Bound {
    let state = if run_dir::is_first_netns() { users::visible() } else { users::State::default() };
    let vrf = |user: &users::Assigned| (!user.place().is_nowhere()).then(|| user.vrf.clone().into_bytes());
    let bound = |user: users::Assigned| BoundUser { vrf: vrf(&user), group: user.group };
    Bound { units: units(), users: state.users.into_iter().map(|user| (user.uid, bound(user))).collect() }
}

/// systemd's units that are bound to an interface, with its name. A systemd before v260 does not know the property, and
/// one before v249 neither of the two.
fn units() -> BTreeMap<Vec<u8>, Vec<u8>> {
    if !Path::new("/run/systemd/system").exists() {
        return BTreeMap::new();
    }
    let mut show = Command::new("systemctl");
    show.args(["show", "--property=Id,BindNetworkInterface,BPFProgram", "*.service", "*.slice", "*.scope", "*.socket"]);
    let output = show.stdin(Stdio::null()).stderr(Stdio::null()).output();
    output.map(|output| bound_units(&output.stdout)).unwrap_or_default()
}

/// Paragraphs of `Property=value` lines.
fn bound_units(shown: &[u8]) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut units = BTreeMap::new();
    let (mut id, mut device) = (Vec::new(), None);
    for line in shown.split(|&b| b == b'\n').chain([&b""[..]]) {
        if let Some(value) = line.strip_prefix(b"Id=") {
            id = value.to_vec();
        } else if let Some(value) = line.strip_prefix(b"BindNetworkInterface=").filter(|value| !value.is_empty()) {
            device = Some(value.to_vec());
        } else if let Some(value) = line.strip_prefix(b"BPFProgram=") {
            device = device.or_else(|| unit_files::vrf_of_program(value));
        } else if line.is_empty() {
            units.extend(device.take().map(|device| (std::mem::take(&mut id), device)));
        }
    }
    units
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// As `ip vrf pids` prints it.
impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:5}  {}", self.pid, self.command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proptests::{around, check};

    #[test]
    fn no_bytes_of_proc_or_systemctl_make_a_panic() {
        check(
            around(&[
                "PPid:",
                "Seccomp:",
                "\t2\n",
                "\n\n",
                "4294967296",
                "Id=",
                "BindNetworkInterface=",
                "BPFProgram=",
            ]),
            |bytes| {
                let _ = (is_filtered(&bytes), field(&bytes, b"PPid:"), text(&bytes));
                assert!(bound_units(&bytes).values().all(|device| !device.is_empty() || bytes.contains(&b'=')));
            },
        );
    }

    #[test]
    fn status_fields_are_read_by_name() {
        let status = b"Name:\tx\nPPid:\t12\nUid:\t1000\t0\t0\t0\nSeccomp:\t2\nSeccomp_filters:\t1\n";
        assert_eq!((field(status, b"PPid:"), field(status, b"Uid:")), (Some(12), Some(1000)));
        assert!(is_filtered(status));
    }

    #[test]
    fn units_are_bound_by_either_property() {
        let shown = b"Id=a.service\nBindNetworkInterface=blue\n\nId=b.service\nBindNetworkInterface=\n\n\
            Id=c.service\nBPFProgram=sock_create:/sys/fs/bpf/vrfsetup/red:1\n";
        let units = bound_units(shown);
        assert_eq!(units.get(&b"a.service"[..]).map(Vec::as_slice), Some(&b"blue"[..]));
        assert_eq!(units.get(&b"c.service"[..]).map(Vec::as_slice), Some(&b"red.1"[..]));
        assert_eq!(units.len(), 2);
    }

    #[test]
    fn this_process_is_in_no_vrf() {
        assert_eq!(identify(std::process::id()).unwrap(), None);
    }
}
