//! Users of `vrfsetup user --etc` whose logins do not have the files of their VRF, or are denied.

use std::fs;
use std::path::Path;

use super::{Finding, logins};
use crate::model::shell::word;
use crate::sys::netlink::KernelError;
use crate::sys::users::{self, Assigned, State};
use crate::sys::{accounts, namespaces, run_dir, trial};

/// All findings about them; none where the kernel's users may not be read.
pub fn all() -> Vec<Finding> {
    let Some(state) = users::read().ok().filter(|_| run_dir::is_first_netns()) else { return Vec::new() };
    let Ok(names) = namespaces::names() else { return Vec::new() };
    let mut findings = of(&state, &names, logins::gives_logins_files(), &files_of, &why_denied);
    if matches!(namespaces::is_as_written(), Ok(false)) {
        let what = format!(
            "{} is not as vrfsetup writes it: pam_namespace may deny the logins of all users",
            namespaces::FILE
        );
        findings.push(Finding::new("user-etc-changed", what, "vrfsetup user --refresh"));
    }
    findings
}

/// What vrfrun, which gives a login its files, says where it has none: it also finds name servers that resolved has for the ports
/// of the VRF.
fn why_denied(vrf: &str) -> Option<String> {
    match trial::run(&["__verify-etc", vrf]) {
        Ok(trial::Ended { is_success: true, .. }) => None,
        Ok(ended) => Some(ended.said.trim().trim_start_matches("vrfsetup: ").to_owned()),
        Err(error) => Some(format!("a trial failed: {}", KernelError::from_io(&error))),
    }
}

/// The names of a VRF's files.
fn files_of(vrf: &str) -> Vec<String> {
    let files = fs::read_dir(Path::new("/etc/vrf").join(vrf)).into_iter().flatten().flatten();
    files.map(|file| file.file_name().to_string_lossy().into_owned()).collect()
}

fn of(
    state: &State,
    names: &[String],
    is_in_pam: bool,
    files_of: &dyn Fn(&str) -> Vec<String>,
    why_denied: &dyn Fn(&str) -> Option<String>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let with_etc: Vec<&Assigned> = state.users.iter().filter(|user| user.has_etc).collect();
    for user in &with_etc {
        let (name, vrf) = (accounts::name_of(user.uid), user.vrf.as_str());
        if !is_in_pam {
            let what = format!(
                "logins of user '{name}' have the machine's names: no file of PAM calls vrfsetup session --etc"
            );
            findings
                .push(Finding::new("user-etc-unused", what, "two lines in /etc/pam.d: vrfsetup(8), USERS").about(vrf));
        }
        let files = files_of(vrf);
        for file in files.iter().filter(|file| !Path::new("/etc").join(file).exists()) {
            let what = format!(
                "/etc/vrf/{vrf}/{file} stands over nothing: logins of user '{name}' are denied without an /etc/{file}"
            );
            let fix = format!("rm {}, or a file /etc/{file}", word(&format!("/etc/vrf/{vrf}/{file}")));
            findings.push(Finding::new("user-etc-uncovered", what, fix).about(vrf));
        }
        if let Some(why) = files.is_empty().then(|| why_denied(vrf)).flatten() {
            let what = format!("/etc/vrf/{vrf} has no files: logins of user '{name}' are denied: {why}");
            let fix = format!("vrfsetup user {} {}, or a resolv.conf there", word(&name), word(vrf));
            findings.push(Finding::new("user-etc-empty", what, fix).about(vrf));
        }
    }
    let is_known = |name: &&String| {
        let uid = accounts::look_up(name).map(|account| account.uid);
        with_etc.iter().any(|user| Some(user.uid) == uid)
    };
    for name in names.iter().filter(|name| !is_known(name)) {
        let what = format!("{} has user '{name}', who is in no VRF", namespaces::FILE);
        findings.push(Finding::new("user-etc-stale", what, "vrfsetup user --refresh"));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logins_without_their_files_are_told() {
        let user = |uid, has_etc| Assigned { uid, vrf: "blue".to_owned(), ifindex: Some(7), group: None, has_etc };
        let state = State { users: vec![user(4_294_967_000, true), user(4_294_967_001, false)], ..State::default() };
        let said = |names: &[&str], is_in_pam, files: &[&str], why: Option<&str>| {
            let files: Vec<String> = files.iter().map(|file| (*file).to_owned()).collect();
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            let all = of(&state, &names, is_in_pam, &|_| files.clone(), &|_| why.map(str::to_owned));
            all.into_iter().map(|found| found.finding).collect::<Vec<_>>()
        };
        let none = None;
        assert_eq!(said(&["4294967000"], true, &["passwd"], none), [""; 0]);
        assert_eq!(said(&["4294967000"], false, &["passwd"], none), ["user-etc-unused"]);
        assert_eq!(said(&["4294967000"], true, &[], Some("no name servers")), ["user-etc-empty"]);
        assert_eq!(said(&["4294967000"], true, &[], none), [""; 0], "resolved has name servers for its ports");
        assert_eq!(said(&["4294967000"], true, &["passwd", ".resolv.conf.swp"], none), ["user-etc-uncovered"]);
        let stale = said(&["4294967000", "4294967001", "no-such-user"], true, &["passwd"], none);
        assert_eq!(stale, ["user-etc-stale"; 2]);
        assert_eq!(of(&State::default(), &[], false, &|_| Vec::new(), &|_| None), []);
    }
}
