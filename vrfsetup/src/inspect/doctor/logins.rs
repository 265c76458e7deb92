//! What is wrong with the lines of PAM that put logins into a VRF (`vrfsetup session`), and with what has to call them.

mod pam;
mod sshd;

use std::fs;
use std::path::Path;

use super::Finding;
use crate::model::shell::word;
use crate::plan::system::System;
use pam::Line;

const DIRECTORY: &str = "/etc/pam.d";

/// Reads PAM's files, and sshd's where one of them is for it.
pub fn of_pam(system: &System) -> Vec<Finding> {
    let files = fs::read_dir(DIRECTORY).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<_> = files.filter_map(|path| Some((fs::read_to_string(&path).ok()?, path))).collect();
    files.sort_by(|(_, a), (_, b)| a.cmp(b));
    files.iter().flat_map(|(text, path)| of_file(system, path, text)).collect()
}

fn of_file(system: &System, path: &Path, text: &str) -> Vec<Finding> {
    let include = |name: &str| fs::read_to_string(Path::new(DIRECTORY).join(name)).unwrap_or_default();
    let has_own_cgroup = pam::comes_behind_logind(text, &include);
    let is_skipped = || path.ends_with("sshd") && sshd::calls_pam() == Some(false);
    let lines: Vec<Line> = pam::lines(text).collect();
    let mut findings: Vec<Finding> = lines.iter().filter_map(|line| judge(system, path, line)).collect();
    if let Some(line) = lines.first().filter(|_| !has_own_cgroup) {
        let what = format!("no pam_systemd.so comes before the line in '{}', which denies every login", path.display());
        let fix = "session required pam_systemd.so, in the line before it";
        findings.push(Finding::new("login-order", what, fix).about(&line.vrf));
    }
    if let Some(line) = lines.first().filter(|_| is_skipped()) {
        let what = "sshd does not ask PAM (UsePAM), and puts no login into the VRF";
        findings.push(Finding::new("login-unbound", what, "UsePAM yes in /etc/ssh/sshd_config").about(&line.vrf));
    }
    findings
}

fn judge(system: &System, path: &Path, line: &Line) -> Option<Finding> {
    let (file, vrf) = (path.display(), line.vrf.as_str());
    if !line.denies {
        let what = format!("'{file}' lets a login go on that cannot be put into the VRF");
        return Some(Finding::new("login-unbound", what, format!("session required … in {file}")).about(vrf));
    }
    let is_there = system.link(vrf).is_some_and(crate::model::link::Link::is_vrf);
    let what = format!("there is no such VRF, and '{file}' denies every login without it");
    (!is_there).then(|| Finding::new("login-vrf-missing", what, format!("vrfsetup add {}", word(vrf))).about(vrf))
}
