//! Makes a guest's own network namespace as if the guest had just booted. Never on a real machine.

use std::fs::DirEntry;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::harness::programs;

/// The rules of every kernel, and the one that the first VRF brings and no later one would bring
/// again. `flush` spares preference 0, where `rules fix` has three rules and a VPN may have added more.
const RULES: &str = "rule flush\nrule del pref 0\nrule del pref 0\nrule del pref 0\nrule del pref 0\nrule del pref 0\n\
                     rule del pref 0\nrule del pref 0\nrule del pref 0\nrule add pref 0 lookup local protocol kernel\n\
                     rule add pref 1000 l3mdev protocol kernel\nrule add pref 32766 lookup main protocol kernel\n";
const RULES_V4_ONLY: &str = "rule add pref 32767 lookup default protocol kernel\n";

/// Makes sure that a world can be built in the machine's own network namespace: a guest that was just booted has
/// interfaces of its own.
///
/// # Errors
/// As [`reset`].
pub fn make_room() -> io::Result<()> {
    if programs::in_guest() && links().count() == 1 { Ok(()) } else { reset() }
}

/// The kernel's module, its settings and the l3mdev rules come with the first VRF and stay for good.
///
/// # Errors
/// When there are no VRFs.
pub fn meet_the_first_vrf() -> io::Result<()> {
    // This module makes an interface when it is loaded, which is no test's.
    ip(&["link", "add", "first", "type", "dummy"])?;
    ip(&["link", "del", "first"])?;
    ip(&["link", "add", "first", "type", "vrf", "table", "9"])?;
    ip(&["link", "del", "first"]).map(drop)
}

/// What goes with a world: the names of its VRFs' tables, what vrfsetup knew of its network namespace, and the links,
/// rules and routes if that is the machine's own. A change that waits for its confirmation, or was not finished,
/// stays: whoever left it should be told.
///
/// # Errors
/// As [`reset`].
pub fn forget_world(is_machines: bool) -> io::Result<()> {
    if !programs::in_guest() {
        return Ok(());
    }
    for link in links() {
        let name = format!("/etc/iproute2/rt_tables.d/vrf-{}.conf", link.file_name().to_string_lossy());
        remove(Path::new(&name))?;
    }
    let namespace = format!("netns-{}-", std::fs::metadata("/proc/thread-self/ns/net")?.ino());
    for file in std::fs::read_dir("/run/vrfsetup").into_iter().flatten().flatten() {
        let name = file.file_name().to_string_lossy().into_owned();
        let is_unfinished = [".pending", ".journal"].iter().any(|kind| name.ends_with(kind));
        if name.starts_with(&namespace) && !is_unfinished {
            remove(&file.path())?;
        }
    }
    if is_machines { reset() } else { Ok(()) }
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Takes away links, rules and routes.
///
/// # Errors
/// When something cannot be taken away, or this is no guest.
pub fn reset() -> io::Result<()> {
    if !programs::in_guest() {
        return Err(io::Error::other("only a guest's own network may be taken down"));
    }
    release_hardware();
    let names = || links().map(|link| link.file_name());
    let doomed: String =
        names().filter(|name| name != "lo").map(|name| format!("link del {}\n", name.to_string_lossy())).collect();
    // The other end of a pair may have gone with an earlier one (`-force`); what matters is checked below.
    batch(&[], &(doomed + "addr flush dev lo\nlink set lo down\n"))?;
    let left: Vec<_> = names().filter(|name| name != "lo").collect();
    if !left.is_empty() {
        return Err(io::Error::other(format!("links could not be deleted: {left:?}")));
    }
    // Routes and addresses go with their links; what stands on none is flushed by its kind.
    const FLUSH: &str = "route flush table all type unreachable\nroute flush table all type blackhole\n\
                         route flush table all type prohibit\nroute flush table all type throw\n";
    for family in ["-4", "-6"] {
        reset_rules(family, FLUSH)?;
    }
    Ok(())
}

/// The network interfaces. Beside them lies a file of the bonding module, `bonding_masters`.
fn links() -> impl Iterator<Item = DirEntry> {
    let entries = std::fs::read_dir("/sys/class/net").into_iter().flatten().flatten();
    entries.filter(|entry| entry.path().is_dir())
}

/// A network interface of the machine's own goes with its driver.
fn release_hardware() {
    for link in links() {
        let device = link.path().join("device");
        if let (Ok(driver), Ok(name)) = (device.join("driver").canonicalize(), device.canonicalize()) {
            // What stays after all is seen when the links that are left are counted.
            let _ = std::fs::write(driver.join("unbind"), name.file_name().unwrap_or_default().as_encoded_bytes());
        }
    }
}

/// Nobody needs local delivery while this runs.
fn reset_rules(family: &str, flush: &str) -> io::Result<()> {
    batch(&[family], &[flush, RULES, if family == "-4" { RULES_V4_ONLY } else { "" }].concat())?;
    let rules: serde_json::Value = serde_json::from_slice(&ip(&[family, "-j", "rule", "show"])?)?;
    let preferences: Vec<_> = rules.as_array().into_iter().flatten().map(|rule| rule["priority"].as_u64()).collect();
    let expected = if family == "-4" { &[0, 1000, 32766, 32767][..] } else { &[0, 1000, 32766] };
    if preferences.iter().flatten().eq(expected) {
        return Ok(());
    }
    Err(io::Error::other(format!("the rules could not be reset: {preferences:?}")))
}

/// Many commands by one `ip`; what is gone already is no error.
fn batch(options: &[&str], script: &str) -> io::Result<()> {
    let mut command = Command::new("ip");
    command.args(options).args(["-force", "-batch", "-"]).stdin(Stdio::piped()).stdout(Stdio::null());
    let mut child = command.stderr(Stdio::null()).spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        io::Write::write_all(&mut stdin, script.as_bytes())?;
    }
    child.wait().map(drop)
}

fn ip(arguments: &[&str]) -> io::Result<Vec<u8>> {
    let output = Command::new("ip").args(arguments).output()?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("ip {}: {said}", arguments.join(" "))))
}
