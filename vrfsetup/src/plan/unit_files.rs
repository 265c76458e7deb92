//! What a service's drop-in says. Pure.
//!
//! systemd only warns when it cannot bind a service and starts it all the same, so the drop-in asserts that the VRF is
//! there and, before anything else of the service is run, verifies that a socket made in the service's cgroup is bound.

use std::path::PathBuf;

use crate::error::Error;

/// Where the programs are pinned, one for each VRF.
pub const PINNED: &str = "/sys/fs/bpf/vrfsetup/";
/// Who makes VRFs at boot before sysinit.target. The boot's sockets and some of its services are ordered before
/// basic.target: behind anything later they would be a cycle, which systemd breaks by not starting one of its units.
const EARLY_MAKERS: &str = "vrfsetup-early.service systemd-networkd.service networking.service";
/// Who makes VRFs, or puts their ports into them, at any time.
const MAKERS: &str = "vrfsetup-early.service vrfsetup.service systemd-networkd.service networking.service \
                      NetworkManager.service";

/// First release with BindNetworkInterface=.
const BINDS: u32 = 260;
/// First release with BPFProgram=.
const HAS_PROGRAMS: u32 = 249;
/// The first line of everything that is made here.
pub const MARK: &str = "# made by vrfsetup unit";
/// Where units and their drop-ins are.
pub const DIRECTORY: &str = "/etc/systemd/system";
/// The name of each drop-in.
pub const DROP_IN: &str = "50-vrf.conf";

/// The hidden verb that a service's drop-in runs last before the service.
pub const VERIFY: &str = "__verify-bound";
/// The hidden verb of the loader unit.
pub const PIN: &str = "__pin";

/// A unit file.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct File {
    /// Where it belongs.
    pub path: PathBuf,
    /// What stands in it.
    pub text: String,
}

/// Whether such a file binds a service, by its cgroup; a socket unit is bound without one.
pub fn is_of_a_service(text: &str) -> bool {
    text.contains("\n[Service]\n")
}

/// The files that put a service or a socket into a VRF. `program` is this program's own path; `is_early` says that the
/// unit has no default dependencies (systemd.unit(5)), and so may start before sysinit.target.
///
/// # Errors
/// This systemd cannot bind services, or the unit is of another kind.
pub fn files(systemd: u32, vrf: &str, unit: &str, program: &str, is_early: bool) -> Result<Vec<File>, Error> {
    let unit = full_name(unit)?;
    if !can_be_named(vrf) {
        return Err(Error::Usage(format!("systemd has no way to name '{vrf}'")));
    }
    let is_early = is_early || unit.ends_with(".socket");
    let place = format!("[Unit]\nAssertPathExists=/sys/class/net/{vrf}\nAfter={}\n", makers(is_early));
    if unit.ends_with(".socket") {
        return Ok(vec![drop_in(&unit, format!("{MARK} {vrf}\n{place}\n[Socket]\nBindToDevice={vrf}\n"))]);
    }
    let condition = format!("ExecCondition=+{program} {} {vrf}\n", VERIFY);
    if systemd >= BINDS {
        let text = format!("{MARK} {vrf}\n{place}\n[Service]\nBindNetworkInterface={vrf}\n{condition}");
        return Ok(vec![drop_in(&unit, text)]);
    }
    if systemd < HAS_PROGRAMS {
        return Err(Error::OldSystemd(systemd));
    }
    let loader = format!("{}@{vrf}.service", loader_name(is_early));
    let place = format!("{place}Requires={loader}\nAfter={loader}\n");
    let text = format!("{MARK} {vrf}\n{place}\n[Service]\nBPFProgram={}\n{condition}", program_of(vrf));
    Ok(vec![loader_file(program, is_early), drop_in(&unit, text)])
}

/// What BPFProgram= says. bpffs has no names with a dot, interfaces none with a colon.
fn program_of(vrf: &str) -> String {
    format!("{PROGRAM}{PINNED}{}", pin_name(vrf))
}

const PROGRAM: &str = "sock_create:";

/// The name of a VRF's program in bpffs.
pub fn pin_name(vrf: &str) -> String {
    vrf.replace('.', ":")
}

/// The VRF of a program's name in bpffs.
pub fn vrf_of_pin(name: &str) -> String {
    name.replace(':', ".")
}

/// The VRF of a BPFProgram= of ours.
pub fn vrf_of_program(property: &[u8]) -> Option<Vec<u8>> {
    let name = property.strip_prefix(PROGRAM.as_bytes())?.strip_prefix(PINNED.as_bytes())?;
    Some(vrf_of_pin(&String::from_utf8_lossy(name)).into_bytes())
}

/// The VRF of a drop-in of ours, by its first line.
pub fn vrf_of_drop_in(text: &str) -> Option<&str> {
    text.lines().next()?.strip_prefix(MARK)?.strip_prefix(' ')
}

/// Whether the name can stand in a unit file, in a unit's own name and in that of an interface there.
fn can_be_named(vrf: &str) -> bool {
    vrf.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

/// The template that pins a program for the VRF. It does not remain, and so does that at each start of a service that
/// requires it (see `pin`).
fn loader_file(program: &str, is_early: bool) -> File {
    let (makers, dependencies) = (makers(is_early), if is_early { "DefaultDependencies=no\n" } else { "" });
    let text = format!(
        "{MARK}\n\
         [Unit]\n\
         Description=Program that binds services to VRF %i\n\
         Documentation=man:vrfsetup(8)\n\
         AssertPathExists=/sys/class/net/%i\n\
         After={makers}\n\
         {dependencies}\
         \n\
         [Service]\n\
         Type=oneshot\n\
         ExecStart={program} {} %i\n",
        PIN
    );
    File { path: loader_path(is_early), text }
}

fn makers(is_early: bool) -> &'static str {
    if is_early { EARLY_MAKERS } else { MAKERS }
}

fn loader_name(is_early: bool) -> &'static str {
    if is_early { "vrfsetup-bind-early" } else { "vrfsetup-bind" }
}

/// Where the template is: one for units that start early, and one for the others.
pub fn loader_path(is_early: bool) -> PathBuf {
    PathBuf::from(DIRECTORY).join(format!("{}@.service", loader_name(is_early)))
}

fn drop_in(unit: &str, text: String) -> File {
    File { path: drop_in_path(unit), text }
}

/// Where a unit's drop-in is. One for all VRFs: a service is in one at most.
pub fn drop_in_path(unit: &str) -> PathBuf {
    PathBuf::from(DIRECTORY).join(format!("{unit}.d")).join(DROP_IN)
}

/// `sshd` is `sshd.service`, as for systemctl.
///
/// # Errors
/// It is neither a service nor a socket.
pub fn full_name(unit: &str) -> Result<String, Error> {
    let is_possible = !unit.is_empty() && !unit.contains('/') && !unit.starts_with('.');
    match unit.rsplit_once('.').map(|(_, kind)| kind) {
        Some("service" | "socket") if is_possible => Ok(unit.to_owned()),
        Some("target" | "slice" | "scope" | "mount" | "timer" | "path" | "device" | "swap" | "automount") => {
            Err(Error::Usage(format!("'{unit}' is neither a service nor a socket")))
        }
        _ if is_possible => Ok(format!("{unit}.service")),
        _ => Err(Error::Usage(format!("'{unit}' is not a unit"))),
    }
}

/// The number in `systemd 252 (252.39-1~deb12u1)`.
pub fn version(systemctl: &str) -> Option<u32> {
    let word = systemctl.lines().next()?.strip_prefix("systemd ")?.split_whitespace().next()?;
    word.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(systemd: u32, unit: &str) -> Vec<String> {
        files(systemd, "blue", unit, "/usr/sbin/vrfsetup", false).unwrap().into_iter().map(|file| file.text).collect()
    }

    #[test]
    fn from_v260_systemd_binds_by_name() {
        let texts = texts(260, "sshd");
        assert_eq!(texts.len(), 1);
        assert!(texts[0].contains("\nBindNetworkInterface=blue\n"));
    }

    #[test]
    fn from_v249_a_pinned_program_binds_and_its_loader_is_required() {
        let texts = texts(252, "sshd.service");
        assert_eq!(texts.len(), 2);
        assert!(texts[1].contains("BPFProgram=sock_create:/sys/fs/bpf/vrfsetup/blue\n"));
        assert!(texts[1].contains("Requires=vrfsetup-bind@blue.service\n"));
    }

    #[test]
    fn no_service_starts_without_the_vrf_and_the_condition() {
        for systemd in [249, 252, 260, 262] {
            let text = texts(systemd, "sshd").pop().unwrap();
            assert!(text.contains("AssertPathExists=/sys/class/net/blue\n"));
            assert!(text.contains("ExecCondition=+/usr/sbin/vrfsetup __verify-bound blue\n"));
            assert!(!text.contains("ExecStart="));
        }
    }

    #[test]
    fn before_v249_nothing_is_pretended() {
        assert!(matches!(files(248, "blue", "sshd", "/x", false), Err(Error::OldSystemd(248))));
    }

    #[test]
    fn a_socket_is_bound_by_every_systemd() {
        assert!(texts(240, "ssh.socket")[0].contains("[Socket]\nBindToDevice=blue\n"));
    }

    /// What is ordered behind basic.target cannot come before a socket.
    #[test]
    fn a_socket_and_an_early_service_wait_for_nothing_late() {
        let after = |unit, is_early| {
            let files = files(252, "blue", unit, "/x", is_early).unwrap();
            let text: String = files.into_iter().map(|file| file.text).collect();
            text.lines().filter(|line| line.starts_with("After=")).collect::<Vec<_>>().join(" ")
        };
        for (unit, is_early) in [("ssh.socket", false), ("systemd-timesyncd", true)] {
            let after = after(unit, is_early);
            assert!(after.contains("vrfsetup-early.service") && !after.contains("NetworkManager"), "{after}");
            assert!(!after.contains("vrfsetup.service"), "{after}");
        }
        assert!(after("sshd", false).contains("vrfsetup.service"));
    }

    #[test]
    fn instances_of_templates_have_drop_ins_of_their_own() {
        assert_eq!(full_name("sshd@blue").unwrap(), "sshd@blue.service");
        let path = drop_in_path("sshd@blue.service");
        assert_eq!(path, PathBuf::from("/etc/systemd/system/sshd@blue.service.d/50-vrf.conf"));
        assert!(full_name("x.timer").is_err() && full_name("../x").is_err() && full_name("").is_err());
    }

    #[test]
    fn a_vrf_with_a_dot_is_known_by_its_program_again() {
        let text = files(252, "eth0.10", "sshd", "/usr/sbin/vrfsetup", false).unwrap().pop().unwrap().text;
        let program = text.lines().find_map(|line| line.strip_prefix("BPFProgram=")).unwrap();
        assert!(!program.contains('.'), "{program}");
        assert_eq!(vrf_of_program(program.as_bytes()), Some(b"eth0.10".to_vec()));
        assert_eq!(vrf_of_drop_in(&text), Some("eth0.10"));
    }

    #[test]
    fn a_name_that_units_cannot_hold_is_refused() {
        for vrf in ["a%i", "a b", "a@b", "bl\u{fc}"] {
            assert!(matches!(files(252, vrf, "sshd", "/x", false), Err(Error::Usage(_))), "{vrf}");
        }
    }

    #[test]
    fn the_version_is_the_first_number() {
        assert_eq!(version("systemd 252 (252.39-1~deb12u1)\n+PAM"), Some(252));
        assert_eq!(version("systemd 260~rc2 (260~rc2-1)"), Some(260));
        assert_eq!(version("nonsense"), None);
    }
}
