//! What is wrong with the lines of PAM that put logins into a VRF (`vrfsetup session`).

use std::fs;
use std::path::Path;

use super::Finding;
use crate::plan::system::System;

const DIRECTORY: &str = "/etc/pam.d";

/// A line that runs `vrfsetup session VRF`.
#[derive(Debug, PartialEq, Eq)]
struct Line<'a> {
    vrf: &'a str,
    /// Whether a login that it refuses is denied.
    denies: bool,
}

/// Reads PAM's files.
pub fn of_pam(system: &System) -> Vec<Finding> {
    let files = fs::read_dir(DIRECTORY).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<_> = files.filter_map(|path| Some((fs::read_to_string(&path).ok()?, path))).collect();
    files.sort_by(|(_, a), (_, b)| a.cmp(b));
    files.iter().flat_map(|(text, path)| lines(text).filter_map(|line| judge(system, path, &line))).collect()
}

fn judge(system: &System, path: &Path, line: &Line<'_>) -> Option<Finding> {
    let (file, vrf) = (path.display(), line.vrf);
    if !line.denies {
        let what = format!("'{file}' lets a login go on that cannot be put into the VRF");
        return Some(Finding::new("login-unbound", what, format!("session required … in {file}")).about(vrf));
    }
    let is_there = system.link(vrf).is_some_and(crate::model::link::Link::is_vrf);
    let what = format!("there is no such VRF, and '{file}' denies every login without it");
    (!is_there).then(|| Finding::new("login-vrf-missing", what, format!("vrfsetup add {vrf}")).about(vrf))
}

fn lines(text: &str) -> impl Iterator<Item = Line<'_>> {
    text.lines().filter_map(parse)
}

/// `session required pam_exec.so seteuid /usr/sbin/vrfsetup session VRF`
fn parse(line: &str) -> Option<Line<'_>> {
    let line = line.split('#').next()?.trim();
    let rest = line.strip_prefix('-').unwrap_or(line).strip_prefix("session")?.trim_start();
    let (control, module) = match rest.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => rest.split_once(char::is_whitespace)?,
    };
    let mut words = module.split_whitespace().skip_while(|word| !word.ends_with("/vrfsetup")).skip(1);
    let vrf = words.next().filter(|verb| *verb == "session").and_then(|_| words.next())?;
    let denies = |word: &str| ["required", "requisite", "default=bad", "default=die"].contains(&word);
    Some(Line { vrf, denies: control.split_whitespace().any(denies) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_denies_is_told_from_one_that_does_not() {
        for (control, denies) in [
            ("required", true),
            ("requisite", true),
            ("optional", false),
            ("sufficient", false),
            ("[success=ok default=die]", true),
            ("[default=ignore]", false),
        ] {
            let line = format!("session {control} pam_exec.so seteuid /usr/sbin/vrfsetup session blue");
            assert_eq!(parse(&line), Some(Line { vrf: "blue", denies }), "{line}");
        }
    }

    #[test]
    fn other_lines_are_not_ours() {
        for line in [
            "",
            "# session required pam_exec.so /usr/sbin/vrfsetup session blue",
            "session optional pam_systemd.so",
            "session required pam_exec.so /usr/sbin/vrfsetup doctor",
            "session required pam_exec.so /usr/sbin/vrfsetup session",
            "auth required pam_exec.so /usr/sbin/vrfsetup session blue",
            "@include common-session",
        ] {
            assert_eq!(parse(line), None, "{line}");
        }
    }
}
