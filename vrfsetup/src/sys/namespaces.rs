//! The users whose logins have mount namespaces of their own: a file of ours that pam_namespace(8) reads, and how such a
//! namespace is known.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::model::step::Step;
use crate::sys::netlink::KernelError;
use crate::sys::{accounts, files};

/// The one file.
pub const FILE: &str = "/etc/security/namespace.d/vrfsetup.conf";
/// Where pam_namespace mounts an empty file system in each of these namespaces; it makes the directory.
const POINT: &str = "/run/vrfsetup-login";
const METHOD: &str = "tmpfs tmpfs:noinit:create=0700,root,root:mntopts=mode=0700,size=4k,nosuid";

/// The names in the file; none where there is none.
///
/// # Errors
/// It cannot be read: nobody can tell.
pub fn names() -> io::Result<Vec<String>> {
    match fs::read_to_string(FILE) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        text => Ok(names_in(&text?)),
    }
}

/// The same by their numbers, without those whom /etc/passwd does not know.
///
/// # Errors
/// As [`names`], of /etc/passwd too: named is the file that cannot be read.
pub fn uids() -> Result<Vec<u32>, KernelError> {
    let names = names().map_err(|error| KernelError::of_file(FILE, &error))?;
    let uid = |name: String| accounts::try_look_up(&name).map(|account| account.map(|account| account.uid));
    let uids: io::Result<Vec<_>> = names.into_iter().map(uid).collect();
    Ok(uids.map_err(|error| KernelError::of_file("/etc/passwd", &error))?.into_iter().flatten().collect())
}

fn numbered() -> io::Result<Vec<(String, Option<u32>)>> {
    let uid = |name: &str| Ok::<_, io::Error>(accounts::try_look_up(name)?.map(|account| account.uid));
    names()?.into_iter().map(|name| uid(&name).map(|uid| (name, uid))).collect()
}

/// Writes a user into the file, or takes it out; without users there is no file.
///
/// # Errors
/// Those of the file system; then it is as it was.
pub fn set(uid: u32, is_in: bool) -> io::Result<()> {
    let before = numbered()?;
    if before.iter().any(|(_, of)| *of == Some(uid)) == is_in {
        return Ok(());
    }
    let others = before.into_iter().filter(|(_, of)| *of != Some(uid)).map(|(name, _)| name);
    let mut names: Vec<String> = others.chain(is_in.then(|| accounts::name_of(uid))).collect();
    // Whoever is taken out and put back has not changed it.
    names.sort();
    write(&names)
}

/// Leaves these users in the file, which is as we write it then.
///
/// # Errors
/// As [`set`].
pub fn keep(is_kept: impl Fn(u32) -> bool) -> io::Result<()> {
    kept(is_kept)?.map_or(Ok(()), |names| write(&names))
}

/// The step that does so; none where it is so.
///
/// # Errors
/// As [`names`], of /etc/passwd too.
pub fn step_to_keep(is_kept: impl Fn(u32) -> bool) -> io::Result<Option<Step>> {
    let Some(names) = kept(is_kept)? else { return Ok(None) };
    let to = (!names.is_empty()).then(|| text(&names));
    Ok(Some(Step::WriteFile { path: FILE.into(), from: Some(fs::read_to_string(FILE)?), to }))
}

/// The names of these users, if others are in the file, or it is not as we write it.
fn kept(is_kept: impl Fn(u32) -> bool) -> io::Result<Option<Vec<String>>> {
    let before = numbered()?;
    let names = before.iter().filter(|(_, uid)| uid.is_some_and(&is_kept)).map(|(name, _)| name.clone());
    let names: Vec<String> = names.collect();
    Ok(if names.len() == before.len() && is_as_written()? { None } else { Some(names) })
}

/// Whether the file is as we write it: one that pam_namespace cannot read denies the logins of all users.
///
/// # Errors
/// It cannot be read.
pub fn is_as_written() -> io::Result<bool> {
    match fs::read_to_string(FILE) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        found => found.map(|found| found == text(&names_in(&found))),
    }
}

/// Removes what a write has left that was killed, and the directory that goes with the file.
pub fn tidy() {
    files::remove_unfinished(Path::new(FILE));
    remove_unused_point();
}

/// Logins that have it keep what they have; a new one would make it again.
pub fn remove_unused_point() {
    if !Path::new(FILE).exists() {
        let _ = fs::remove_dir(POINT);
    }
}

fn write(names: &[String]) -> io::Result<()> {
    let text = (!names.is_empty()).then(|| text(names));
    files::write(Path::new(FILE), text.as_deref())?;
    remove_unused_point();
    Ok(())
}

fn text(names: &[String]) -> String {
    format!("# Written by 'vrfsetup user --etc': see vrfsetup(8), USERS.\n{POINT} {METHOD} ~{}\n", names.join(","))
}

fn names_in(text: &str) -> Vec<String> {
    let lists = text
        .lines()
        .map(str::trim_start)
        .filter(|line| line.starts_with(POINT))
        .filter_map(|line| line.split_once('~'));
    lists.flat_map(|(_, names)| names.split(',')).map(|name| name.trim().to_owned()).collect()
}

/// Whether there is a pam_namespace to read the file.
pub fn is_read() -> bool {
    Path::new(FILE).parent().is_some_and(Path::is_dir)
}

/// Whether a user can be written there: by a name of /etc/passwd that is one word.
///
/// # Errors
/// /etc/passwd cannot be read.
pub fn can_be_named(uid: u32) -> io::Result<bool> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    Ok(accounts::primary_group(uid)?.is_some() && accounts::name_of(uid).chars().all(is_plain))
}

/// Whether this is a mount namespace that pam_namespace has made for the process that called us, and not one that it was
/// started in: that of a service, or of a login from which this one is made.
///
/// # Errors
/// /proc does not tell.
pub fn is_callers_own() -> io::Result<bool> {
    let namespace = |pid: &str| Ok::<_, io::Error>(fs::metadata(format!("/proc/{pid}/ns/mnt"))?.ino());
    let caller = std::os::unix::process::parent_id().to_string();
    let stat = fs::read(format!("/proc/{caller}/stat"))?;
    let starter = parent_in(&String::from_utf8_lossy(&stat)).ok_or(io::ErrorKind::InvalidData)?.to_string();
    let own = namespace("self")?;
    Ok(own == namespace(&caller)? && own != namespace(&starter)? && is_marked(&fs::read("/proc/self/mountinfo")?))
}

/// `7 (su) S 6 …`: the name may hold anything.
fn parent_in(stat: &str) -> Option<u32> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok().filter(|pid| *pid > 0)
}

fn is_marked(mounts: &[u8]) -> bool {
    let mounts = String::from_utf8_lossy(mounts);
    mounts.lines().any(|line| line.split(' ').nth(4) == Some(POINT) && line.contains(" - tmpfs "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_read_as_they_were_written() {
        let names = ["alice", "b.o-b_2"].map(str::to_owned);
        assert_eq!(names_in(&text(&names)), names);
        // As pam_namespace reads them when somebody has moved the line.
        assert_eq!(names_in(&text(&names).replace(POINT, &format!(" \t{POINT}"))), names);
        assert_eq!(names_in("# ~eve\n/tmp tmpfs tmpfs ~mallory\n"), [""; 0]);
        // In the form that namespace.conf(5) has: four words in a line.
        let text = text(&names);
        let line = text.lines().nth(1).expect("a line");
        assert_eq!((line.split(' ').count(), text.lines().count()), (4, 2), "{text}");
    }

    #[test]
    fn a_parent_is_told_whatever_a_process_is_called() {
        assert_eq!(parent_in("7 (su) S 6 7 7 0"), Some(6));
        assert_eq!(parent_in("7 (a) S 1 (b) R 5 7"), Some(5));
        assert_eq!(parent_in("7 (init) S 0 7"), None, "outside this pid namespace");
        assert_eq!(parent_in(""), None);
    }

    #[test]
    fn a_namespace_is_known_by_the_mount_that_pam_makes() {
        let line = |point: &str, kind: &str| format!("90 24 0:50 / {point} rw - {kind} tmpfs rw\n").into_bytes();
        assert!(is_marked(&line(POINT, "tmpfs")));
        assert!(!is_marked(&line(POINT, "ext4")) && !is_marked(&line("/run", "tmpfs")) && !is_marked(b""));
    }
}
