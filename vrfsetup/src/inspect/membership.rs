//! Which VRF a process is in, and by what. Pure: decides from what /proc says.
//!
//! A cgroup is the kernel's word, the environment the program's own: it names the VRF that vrfrun was given, and lasts
//! until somebody clears it. Below vrfrun's seccomp filter a cleared environment says nothing, and that of the nearest
//! ancestor below the same filter counts.

use std::collections::BTreeMap;

use serde::Serialize;
use vrfabi::cgroup::Cgroup;
use vrfabi::environment::{SHIM, VRF};

use crate::sys::cgroup::path_in;

/// What puts a process into its VRF.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum By {
    /// `vrfrun -m bpf`: a cgroup of vrfrun's.
    #[serde(rename = "bpf")]
    Bpf,
    /// `vrfrun -m preload`.
    #[serde(rename = "preload")]
    Preload,
    /// `vrfrun -m seccomp`.
    #[serde(rename = "seccomp")]
    Seccomp,
    /// `ip vrf exec`: a cgroup of its.
    #[serde(rename = "ip vrf exec")]
    IpVrfExec,
    /// A unit's BindNetworkInterface= or BPFProgram=.
    #[serde(rename = "systemd")]
    Systemd,
    /// `vrfsetup session`: a login's cgroup.
    #[serde(rename = "session")]
    Session,
    /// `vrfsetup oci-hook`: a container's cgroup.
    #[serde(rename = "oci-hook")]
    OciHook,
    /// `vrfsetup user`.
    #[serde(rename = "user")]
    User,
}

/// A process's VRF.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// The VRF's name, as whoever put the process there wrote it.
    pub vrf: Vec<u8>,
    /// By what.
    pub by: By,
}

/// What /proc says of one process.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// /proc/PID/cgroup.
    pub cgroup: Vec<u8>,
    /// What vrfsetup has written on that cgroup and on those above it, the outermost first.
    pub labels: Vec<Option<String>>,
    /// /proc/PID/environ; empty where it may not be read.
    pub environ: Vec<u8>,
    /// Its real user and group ids, as far as they can be read.
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    /// Whether a seccomp filter is on it.
    pub is_filtered: bool,
    /// The environments of its ancestors, nearest first, as far as each is filtered, too.
    pub filtered_ancestors: Vec<Vec<u8>>,
}

/// What concerns processes by where they are, or whose.
#[derive(Clone, Debug, Default)]
pub struct Bound {
    /// systemd's units, with the VRF that each is bound to.
    pub units: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Users, with the VRF that each is in.
    pub users: BTreeMap<u32, BoundUser>,
}

/// Where a user is.
#[derive(Clone, Debug)]
pub struct BoundUser {
    /// The VRF; None of one who is closed.
    pub vrf: Option<Vec<u8>>,
    /// The group whose processes are not.
    pub group: Option<u32>,
}

impl Bound {
    /// The user of a process, if that is held.
    pub fn by_user(&self, evidence: &Evidence) -> Option<&BoundUser> {
        let user = self.users.get(&evidence.uid?)?;
        let is_out = user.group.is_some() && user.group == evidence.gid;
        (!is_out).then_some(user)
    }
}

/// Decides. The program of a user stands on the root cgroup and leaves alone what an inner one has bound.
pub fn of(evidence: &Evidence, bound: &Bound) -> Option<Membership> {
    // A bound socket stays bound: below the shim or the supervisor, the cgroup has the weaker word.
    if evidence.is_filtered || variable(&evidence.environ, SHIM).is_some() {
        let environs = std::iter::once(&evidence.environ).chain(&evidence.filtered_ancestors);
        if let Some(found) = environs.into_iter().find_map(|environ| by_environment(environ)) {
            return Some(found);
        }
    }
    let by_user = || Some(Membership { vrf: bound.by_user(evidence)?.vrf.clone()?, by: By::User });
    by_cgroup(&evidence.cgroup, &evidence.labels, &bound.units).or_else(by_user)
}

/// The verb that bound a cgroup, and the VRF.
fn by_label(label: &str) -> Option<(&str, By)> {
    let (verb, vrf) = label.split_once(' ')?;
    let by = match verb {
        "session" => By::Session,
        "oci-hook" => By::OciHook,
        _ => return None,
    };
    Some((vrf, by)).filter(|_| !vrf.is_empty())
}

fn by_environment(environ: &[u8]) -> Option<Membership> {
    let vrf = variable(environ, VRF).filter(|vrf| !vrf.is_empty() && *vrf != b"default")?;
    let by = if variable(environ, SHIM).is_some() { By::Preload } else { By::Seccomp };
    Some(Membership { vrf: vrf.to_vec(), by })
}

/// The value of a variable in `NAME=value` strings that each end with a NUL.
fn variable<'a>(environ: &'a [u8], name: &str) -> Option<&'a [u8]> {
    environ.split(|&b| b == 0).find_map(|entry| entry.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
}

/// The innermost cgroup that says something: programs of a child cgroup run first, but a child is made later, by who
/// knew its parent.
fn by_cgroup(cgroup: &[u8], labels: &[Option<String>], units: &BTreeMap<Vec<u8>, Vec<u8>>) -> Option<Membership> {
    let path = path_in(cgroup)?;
    let parts: Vec<&[u8]> = path.split(|&b| b == b'/').filter(|part| !part.is_empty()).collect();
    (0..parts.len()).rev().find_map(|at| {
        let (part, parent) = (parts[at], at.checked_sub(1).map(|at| parts[at]));
        if let Some((vrf, by)) = labels.get(at).and_then(Option::as_deref).and_then(by_label) {
            return Some(Membership { vrf: vrf.as_bytes().to_vec(), by });
        }
        let (vrf, by) = match parent {
            Some(b"vrf") => (part, By::IpVrfExec),
            _ => match Cgroup::parse(part) {
                Some(ours) => (ours.device, By::Bpf),
                None => (units.get(part)?.as_slice(), By::Systemd),
            },
        };
        Some(Membership { vrf: vrf.to_vec(), by })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proptests::{around, check};

    #[test]
    fn no_bytes_of_proc_make_a_panic() {
        let words = &[
            "0::/",
            "vrf/",
            "vrfrun-",
            "blue",
            "-7-4026531840",
            "-strict",
            "/",
            "\n",
            "\0VRFRUN_VRF=",
            "VRFSHIM=",
            "\0",
        ];
        check((around(words), around(words)), |(cgroup, environ)| {
            let _ = (by_cgroup(&cgroup, &[], &BTreeMap::new()), by_environment(&environ));
            let ours = Cgroup::parse(&cgroup);
            assert!(ours.is_none_or(|ours| !ours.device.is_empty()));
        });
    }

    fn found(evidence: &Evidence) -> Option<(String, By)> {
        let units = BTreeMap::from([(b"sshd.service".to_vec(), b"mgmt".to_vec())]);
        let bound = Bound {
            units,
            users: BTreeMap::from([(1000, BoundUser { vrf: Some(b"blue".to_vec()), group: Some(990) })]),
        };
        of(evidence, &bound).map(|found| (String::from_utf8(found.vrf).unwrap(), found.by))
    }

    fn in_cgroup(path: &str) -> Evidence {
        Evidence { cgroup: format!("1:name=systemd:/x\n0::{path}\n").into_bytes(), ..Evidence::default() }
    }

    #[test]
    fn a_cgroup_of_ip_vrf_exec_names_its_vrf() {
        assert_eq!(found(&in_cgroup("/user.slice/vrf/blue")), Some(("blue".into(), By::IpVrfExec)));
        assert_eq!(found(&in_cgroup("/ns1/vrf/blue/sub")), Some(("blue".into(), By::IpVrfExec)));
    }

    #[test]
    fn a_cgroup_of_vrfrun_names_its_vrf_hyphens_and_all() {
        assert_eq!(found(&in_cgroup("/a/vrfrun-blue-1-2-7-4026531840")), Some(("blue-1-2".into(), By::Bpf)));
        let strict = in_cgroup("/a/vrfrun-blue-strict-7-4026531840-strict");
        assert_eq!(found(&strict), Some(("blue-strict".into(), By::Bpf)));
        assert_eq!(found(&in_cgroup("/a/vrfrun-blue")), None);
    }

    #[test]
    fn a_bound_unit_names_its_vrf_and_an_inner_cgroup_overrules_it() {
        assert_eq!(found(&in_cgroup("/system.slice/sshd.service")), Some(("mgmt".into(), By::Systemd)));
        let inner = in_cgroup("/system.slice/sshd.service/vrf/blue");
        assert_eq!(found(&inner), Some(("blue".into(), By::IpVrfExec)));
    }

    #[test]
    fn a_bound_login_names_its_vrf_and_so_does_what_is_below_it() {
        let labels = vec![None, None, Some("session blue".into())];
        let of = |path: &str| found(&Evidence { labels: labels.clone(), ..in_cgroup(path) });
        let scope = "/user.slice/user-0.slice/session-3.scope";
        assert_eq!(of(scope), Some(("blue".into(), By::Session)));
        assert_eq!(of(&format!("{scope}/below")), Some(("blue".into(), By::Session)));
        assert_eq!(of(&format!("{scope}/vrfrun-red-7-4026531840")), Some(("red".into(), By::Bpf)));
        for label in ["", "session", "session ", "x blue"] {
            let labels = vec![Some(label.to_owned())];
            assert_eq!(found(&Evidence { labels, ..in_cgroup("/x") }), None, "{label}");
        }
    }

    #[test]
    fn the_environment_counts_below_the_shim_or_a_filter_only() {
        let mut evidence = Evidence { environ: b"A=1\0VRFRUN_VRF=blue\0".to_vec(), ..Evidence::default() };
        assert_eq!(found(&evidence), None);
        evidence.is_filtered = true;
        assert_eq!(found(&evidence), Some(("blue".into(), By::Seccomp)));
        evidence.environ.extend(b"VRFSHIM=00:blue\0");
        assert_eq!(found(&evidence), Some(("blue".into(), By::Preload)));
    }

    #[test]
    fn a_cleared_environment_below_the_filter_is_that_of_the_ancestor() {
        let evidence = Evidence {
            is_filtered: true,
            filtered_ancestors: vec![b"\0".to_vec(), b"VRFRUN_VRF=red\0".to_vec()],
            ..Evidence::default()
        };
        assert_eq!(found(&evidence), Some(("red".into(), By::Seccomp)));
    }

    #[test]
    fn a_user_is_in_its_vrf_unless_something_nearer_says_otherwise() {
        let of_user = |uid, path: &str| Evidence { uid: Some(uid), gid: Some(1000), ..in_cgroup(path) };
        assert_eq!(found(&of_user(1000, "/user.slice/session-1.scope")), Some(("blue".into(), By::User)));
        assert_eq!(found(&of_user(1001, "/user.slice/session-1.scope")), None);
        assert_eq!(found(&of_user(1000, "/user.slice/vrf/red")), Some(("red".into(), By::IpVrfExec)));
        assert_eq!(found(&of_user(1000, "/system.slice/sshd.service")), Some(("mgmt".into(), By::Systemd)));
        let outside = Evidence { gid: Some(990), ..of_user(1000, "/user.slice/session-1.scope") };
        assert_eq!(found(&outside), None, "in the group that is left outside");
    }

    #[test]
    fn a_process_outside_is_in_none() {
        assert_eq!(found(&in_cgroup("/user.slice/session-1.scope")), None);
        assert_eq!(found(&Evidence::default()), None);
    }
}
