//! What is wrong with the lines of PAM that put logins into a VRF (`vrfsetup session`), and with what has to call them.

mod pam;
mod sshd;

use std::fs;
use std::path::{Path, PathBuf};

use super::Finding;
use crate::model::shell::word;
use crate::plan::system::System;
use pam::Line;

const DIRECTORY: &str = "/etc/pam.d";

/// Reads PAM's files, and sshd's where one of them is for it.
pub fn of_pam(system: &System) -> Vec<Finding> {
    files().iter().flat_map(|(text, path)| of_file(system, path, text)).collect()
}

/// Whether any of PAM's files has a login read the files of its user's VRF.
pub fn gives_logins_files() -> bool {
    files().iter().any(|(text, _)| pam::lines(text).any(|line| line.vrf.is_none()))
}

/// Whether any of them has a login put into a VRF.
pub fn binds_logins() -> bool {
    files().iter().any(|(text, _)| pam::lines(text).any(|line| line.vrf.is_some()))
}

fn files() -> Vec<(String, PathBuf)> {
    let files = fs::read_dir(DIRECTORY).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<_> = files.filter_map(|path| Some((fs::read_to_string(&path).ok()?, path))).collect();
    files.sort_by(|(_, a), (_, b)| a.cmp(b));
    files
}

fn of_file(system: &System, path: &Path, text: &str) -> Vec<Finding> {
    let include = |name: &str| fs::read_to_string(Path::new(DIRECTORY).join(name)).unwrap_or_default();
    let is_skipped = || path.ends_with("sshd") && sshd::calls_pam() == Some(false);
    let lines: Vec<Line> = pam::lines(text).collect();
    let mut findings: Vec<Finding> = lines.iter().filter_map(|line| judge(system, path, line)).collect();
    for (is_for_files, module) in [(false, "pam_systemd.so"), (true, "pam_namespace.so")] {
        let first = lines.iter().find(|line| line.vrf.is_none() == is_for_files);
        let Some(line) = first.filter(|_| !pam::comes_in_order(text, is_for_files, &include)) else { continue };
        let denied = if is_for_files { "each login of a user with --etc" } else { "every login" };
        let what = format!("no {module} comes before the line in '{}', which denies {denied}", path.display());
        findings.push(about("login-order", what, format!("session required {module}, in the line before it"), line));
    }
    if let Some(line) = lines.first().filter(|_| is_skipped()) {
        let what = "sshd does not ask PAM (UsePAM), and puts no login into the VRF";
        findings.push(about("login-unbound", what, "UsePAM yes in /etc/ssh/sshd_config", line));
    }
    findings
}

fn about(finding: &'static str, what: impl Into<String>, fix: impl Into<String>, line: &Line) -> Finding {
    Finding { vrf: line.vrf.clone(), ..Finding::new(finding, what, fix) }
}

fn judge(system: &System, path: &Path, line: &Line) -> Option<Finding> {
    let file = path.display();
    if !line.denies {
        let lacks = if line.vrf.is_some() { "be put into the VRF" } else { "have the files of its user's VRF" };
        let what = format!("'{file}' lets a login go on that cannot {lacks}");
        return Some(about("login-unbound", what, format!("session required … in {file}"), line));
    }
    let vrf = line.vrf.as_deref()?;
    let is_there = system.link(vrf).is_some_and(crate::model::link::Link::is_vrf);
    let what = format!("there is no such VRF, and '{file}' denies every login without it");
    (!is_there).then(|| about("login-vrf-missing", what, format!("vrfsetup add {}", word(vrf)), line))
}
