//! What a test may leave in a guest, which must be nothing: read before the first test and after each one. Whatever is
//! there then and was not before, or is gone, is that test's failure, by name, and is put right before the next.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::harness::process::remove_groups;
use crate::harness::world::machine;

/// Long enough for a supervisor that sees its last client go, or logind its last session; met only by what stays.
const PATIENCE: Duration = Duration::from_secs(300);
const GROUPS: &str = "/sys/fs/cgroup";
/// Directories whose files are part of the state, wherever the guest runs.
const DIRECTORIES: [&str; 7] = [
    "/etc/vrf",
    "/etc/security/namespace.d",
    "/etc/iproute2/rt_tables.d",
    "/run/netns",
    "/run/vrfsetup",
    "/var/lib/vrfsetup",
    "/sys/fs/bpf/vrfsetup",
];
/// The same where no systemd and its services write there for themselves, and where one does.
const ALONE: [&str; 2] = ["/run", "/etc/ssh/sshd_config.d"];
const UNDER_SYSTEMD: [&str; 4] =
    ["/etc/systemd/system", "/etc/systemd/network", "/etc/network/interfaces.d", "/etc/ssh/sshd_config.d"];
const SYSCTLS: [&str; 5] = ["net/ipv4", "net/ipv6/conf/all", "net/ipv6/conf/default", "net/vrf", "user"];

/// Everything that is looked at, one line each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State(BTreeSet<String>);

impl State {
    /// Reads it.
    ///
    /// # Errors
    /// When `ip` fails.
    pub fn read(has_systemd: bool) -> io::Result<Self> {
        let mut all = BTreeSet::new();
        all.extend(entries("/sys/class/net").map(|name| format!("link {name}")));
        for family in ["-4", "-6"] {
            let listed = ip(family, "rule show\nroute show table all\n")?;
            // The kernel's own of the loopback device come and go with it.
            let listed = listed.lines().filter(|line| !line.contains(" dev lo "));
            all.extend(listed.map(|line| format!("rule or route {family} {}", line.trim_end())));
        }
        let more: &[&str] = if has_systemd { &UNDER_SYSTEMD } else { &ALONE };
        for directory in DIRECTORIES.iter().chain(more) {
            files(Path::new(directory), &mut |path| {
                // crun keeps the filters that it has compiled.
                if !path.starts_with("/run/crun/.cache") {
                    all.insert(format!("file {}", path.display()));
                }
            });
        }
        all.extend(mounts().map(|path| format!("mount {path}")));
        all.extend(SYSCTLS.iter().flat_map(|directory| sysctls(directory)));
        if has_systemd {
            all.extend(units());
        } else {
            groups(Path::new(GROUPS), &mut |path| {
                all.insert(format!("cgroup {}", path.display()));
            });
        }
        Ok(Self(all))
    }

    /// What differs from `before`, one line each.
    pub fn left_since(&self, before: &Self) -> Vec<String> {
        let more = self.0.difference(&before.0).cloned();
        more.chain(before.0.difference(&self.0).map(|line| format!("no more: {line}"))).collect()
    }
}

/// Waits for what ends by itself; says what stays.
///
/// # Errors
/// As [`State::read`].
pub fn settled(before: &State, has_systemd: bool) -> io::Result<Vec<String>> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        remove_kept_groups(Path::new(GROUPS));
        let left = State::read(has_systemd)?.left_since(before);
        // Links, files and settings do not go by themselves.
        let may_go = left.iter().all(|line| line.starts_with("cgroup ") || line.starts_with("unit "));
        if left.is_empty() || !may_go || Instant::now() > deadline {
            return Ok(left);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Puts everything right that `left` names.
///
/// # Errors
/// When the network cannot be reset.
pub fn restore(before: &State, left: &[String]) -> io::Result<()> {
    for line in left {
        let (line, is_gone) = line.strip_prefix("no more: ").map_or((line.as_str(), false), |line| (line, true));
        let _ = match line.split_once(' ') {
            // What cannot be removed is seen when the state is read again.
            Some(("file", path)) if !is_gone => fs::remove_file(path),
            Some(("mount", path)) if !is_gone => {
                nix::mount::umount2(path, nix::mount::MntFlags::MNT_DETACH).map_err(Into::into)
            }
            Some(("sysctl", setting)) if is_gone => {
                let (path, value) = setting.split_once(" = ").unwrap_or_default();
                fs::write(path, value)
            }
            Some(("unit", unit)) => systemctl(&["stop", unit]).and_then(|()| systemctl(&["reset-failed", unit])),
            _ => Ok(()),
        };
    }
    if before.0.iter().any(|line| line.starts_with("unit ")) || left.iter().any(|line| line.contains("/etc/systemd/")) {
        systemctl(&["daemon-reload"])?;
    }
    machine::reset()?;
    if !left.iter().any(|line| line.starts_with("unit ")) {
        remove_groups_of_tests();
    }
    Ok(())
}

fn remove_groups_of_tests() {
    if !Path::new("/run/systemd/system").exists() {
        remove_groups(Path::new(GROUPS));
    }
}

/// The processes that a test has not ended: those that are not the kernel's, ours or process 1. Where a systemd runs,
/// only those of our own service are looked at, and it ends them.
pub fn processes_left() -> Vec<String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let left = processes();
        if left.is_empty() || Instant::now() > deadline {
            return left;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn processes() -> Vec<String> {
    let own = std::process::id();
    let alone = || entries("/proc").filter_map(|name| name.parse().ok()).collect::<Vec<u32>>();
    let pids = if Path::new("/run/systemd/system").exists() { of_our_service() } else { alone() };
    pids.into_iter().filter(|pid| *pid != own && *pid > 2).filter_map(described).collect()
}

/// The processes of our own cgroup and those below it.
fn of_our_service() -> Vec<u32> {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let own = own.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or("/").to_owned();
    let top = PathBuf::from(format!("{GROUPS}{own}"));
    let mut pids = Vec::new();
    let mut collect = |group: &Path| {
        let listed = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
        pids.extend(listed.lines().filter_map(|line| line.parse::<u32>().ok()));
    };
    collect(&top);
    groups(&top, &mut collect);
    pids
}

/// A process's id and command line; none for the kernel's own and for the dead that are not buried yet.
fn described(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    let (state, parent) = (fields.next()?, fields.next()?);
    if parent == "2" || state == "Z" || state == "X" {
        return None;
    }
    let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    Some(format!("process {pid}: {}", String::from_utf8_lossy(&line).replace('\0', " ")))
}

fn entries(directory: &str) -> impl Iterator<Item = String> {
    let names = fs::read_dir(directory).into_iter().flatten().flatten();
    names.map(|entry| entry.file_name().to_string_lossy().into_owned())
}

fn ip(family: &str, script: &str) -> io::Result<String> {
    let mut ip = Command::new("ip");
    ip.args([family, "-batch", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut ip = ip.spawn()?;
    if let Some(mut stdin) = ip.stdin.take() {
        stdin.write_all(script.as_bytes())?;
    }
    let output = ip.wait_with_output()?;
    if !output.status.success() {
        return Err(io::Error::other(format!("ip {family} -batch: {}: {script}", output.status)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Every file below a directory.
fn files(directory: &Path, see: &mut impl FnMut(&Path)) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => files(&entry.path(), see),
            _ => see(&entry.path()),
        }
    }
}

fn mounts() -> impl Iterator<Item = String> {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let targets = table.lines().filter_map(|line| line.split(' ').nth(4)).map(str::to_owned).collect::<Vec<_>>();
    // systemd mounts credentials for a service while it starts.
    targets.into_iter().filter(|path| !path.starts_with("/run/credentials") && !path.starts_with("/run/user"))
}

/// Settings that are files of this directory itself; those of single interfaces go with them.
fn sysctls(directory: &str) -> impl Iterator<Item = String> {
    let directory = format!("/proc/sys/{directory}");
    entries(&directory).collect::<Vec<_>>().into_iter().filter_map(move |name| {
        let path = format!("{directory}/{name}");
        // The kernel draws the key when somebody first listens with it, as systemd-resolved does, and loads a module for the
        // first who asks for TLS.
        let is_kernels = ["tcp_fastopen_key", "tcp_available_ulp"].contains(&name.as_str());
        let value = fs::read_to_string(&path).ok().filter(|_| !is_kernels)?;
        Some(format!("sysctl {path} = {}", value.trim_end()))
    })
}

/// Every cgroup below this one.
fn groups(group: &Path, see: &mut impl FnMut(&Path)) {
    for entry in fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            groups(&entry.path(), see);
            see(&entry.path());
        }
    }
}

/// vrfrun and `ip vrf exec` keep a cgroup for each VRF, for the next run.
fn remove_kept_groups(group: &Path) {
    groups(group, &mut |path| {
        let parts = || path.iter().map(|part| part.as_encoded_bytes());
        if parts().any(|part| part == b"vrf" || part.starts_with(b"vrfrun-")) {
            // One that is in use is found by who looks at what is left.
            let _ = fs::remove_dir(path);
        }
    });
}

/// The units that the tests start or make, and whatever has failed.
fn units() -> Vec<String> {
    let ours = ["vrf*", "ssh.service", "ssh.socket", "systemd-networkd*", "session-*.scope", "networking.service"];
    let mut found = BTreeSet::new();
    for words in [&["--state=active,activating,deactivating"][..], &["--state=failed"]] {
        let patterns: &[&str] = if words[0].contains("failed") { &[] } else { &ours };
        let mut command = Command::new("systemctl");
        command.args(["list-units", "--plain", "--no-legend", "--all"]).args(words).args(patterns);
        let Ok(output) = command.stdin(Stdio::null()).output() else { continue };
        let listed = String::from_utf8_lossy(&output.stdout).into_owned();
        // vrftests.service is this program, and the test's own transient service is gone by now.
        let names = listed.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned);
        found.extend(names.filter(|name| name != "vrftests.service").map(|name| format!("unit {name}")));
    }
    found.into_iter().collect()
}

fn systemctl(words: &[&str]) -> io::Result<()> {
    Command::new("systemctl").args(words).stdin(Stdio::null()).stderr(Stdio::null()).status().map(drop)
}
