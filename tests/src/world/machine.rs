//! Makes a guest's own network namespace as if the guest had just booted. Never on a real machine.

use std::io;
use std::process::{Command, Stdio};

use crate::programs;

/// The rules of every kernel, and the one that the first VRF brings and no later one would bring
/// again. `flush` spares preference 0, where `rules fix` has three rules and a VPN may have added more.
const RULES: &str = "rule flush\nrule del pref 0\nrule del pref 0\nrule del pref 0\nrule del pref 0\nrule del pref 0\n\
                     rule del pref 0\nrule del pref 0\nrule del pref 0\nrule add pref 0 lookup local protocol kernel\n\
                     rule add pref 1000 l3mdev protocol kernel\nrule add pref 32766 lookup main protocol kernel\n";
const RULES_V4_ONLY: &str = "rule add pref 32767 lookup default protocol kernel\n";

/// Takes away links, rules and routes that earlier tests left.
///
/// # Errors
/// When something cannot be taken away, or this is no guest.
pub fn reset() -> io::Result<()> {
    if !programs::in_guest() {
        return Err(io::Error::other("only a guest's own network may be taken down"));
    }
    release_hardware();
    let links: serde_json::Value = serde_json::from_slice(&ip(&["-j", "link", "show"])?)?;
    for link in links.as_array().into_iter().flatten() {
        match link["ifname"].as_str() {
            Some("lo") | None => {}
            // Its other end may have gone with an earlier one; what matters is checked below.
            Some(name) => drop(ip(&["link", "del", name])),
        }
    }
    let left = ip(&["-o", "link", "show"])?.iter().filter(|byte| **byte == b'\n').count();
    if left != 1 {
        return Err(io::Error::other("links of an earlier test could not be deleted"));
    }
    // Routes and addresses go with their links; what stands on none is flushed by its kind.
    for family in ["-4", "-6"] {
        for kind in ["unreachable", "blackhole", "prohibit"] {
            ip(&[family, "route", "flush", "table", "all", "type", kind])?;
        }
        reset_rules(family)?;
    }
    Ok(())
}

/// A network interface of the machine's own goes with its driver.
fn release_hardware() {
    for link in std::fs::read_dir("/sys/class/net").into_iter().flatten().flatten() {
        let device = link.path().join("device");
        if let (Ok(driver), Ok(name)) = (device.join("driver").canonicalize(), device.canonicalize()) {
            // What stays after all is seen when the links that are left are counted.
            let _ = std::fs::write(driver.join("unbind"), name.file_name().unwrap_or_default().as_encoded_bytes());
        }
    }
}

/// Nobody needs local delivery while this runs; what is gone already is no error (`-force`).
/// Takes away the names of tables that earlier tests have left: numbers are asserted.
pub fn forget_names() {
    let names = std::fs::read_dir("/etc/iproute2/rt_tables.d").into_iter().flatten().flatten();
    for name in names.filter(|name| programs::in_guest() && name.file_name().as_encoded_bytes().starts_with(b"vrf-")) {
        // What stays fails the test that minds it.
        let _ = std::fs::remove_file(name.path());
    }
}

fn reset_rules(family: &str) -> io::Result<()> {
    let script = if family == "-4" { [RULES, RULES_V4_ONLY].concat() } else { RULES.to_owned() };
    let mut command = Command::new("ip");
    command.args([family, "-force", "-batch", "-"]).stdin(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        io::Write::write_all(&mut stdin, script.as_bytes())?;
    }
    child.wait()?;
    let rules: serde_json::Value = serde_json::from_slice(&ip(&[family, "-j", "rule", "show"])?)?;
    let preferences: Vec<_> = rules.as_array().into_iter().flatten().map(|rule| rule["priority"].as_u64()).collect();
    let expected = if family == "-4" { &[0, 1000, 32766, 32767][..] } else { &[0, 1000, 32766] };
    if preferences.iter().flatten().eq(expected) {
        return Ok(());
    }
    Err(io::Error::other(format!("the rules could not be reset: {preferences:?}")))
}

fn ip(arguments: &[&str]) -> io::Result<Vec<u8>> {
    let output = Command::new("ip").args(arguments).output()?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("ip {}: {said}", arguments.join(" "))))
}
