//! `--user USER[:GROUP]`: becomes another user after the binding, for which root is needed only before it.
//!
//! Reads /etc/passwd and /etc/group, or takes numbers: a static program cannot load the C library's name services.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use nix::errno::Errno;
use nix::unistd::{Gid, Uid, geteuid, getgroups, getresgid, getresuid, setgroups, setresgid, setresuid};

use crate::error::Error;
use crate::sys::kernel;

/// Whom to become.
#[derive(Debug)]
pub struct Account {
    uid: Uid,
    gid: Gid,
    groups: Vec<Gid>,
    /// HOME, USER and SHELL, for a user that /etc/passwd knows.
    environment: Vec<(&'static str, OsString)>,
}

/// Looks the names up. Said here, before anything is tried: nobody but root can become them.
pub fn look_up(name: &OsStr) -> Result<Account, Error> {
    if !geteuid().is_root() {
        return Err(Error::NotRoot(name.to_owned()));
    }
    let read = |path: &str| kernel::read(path).unwrap_or_default();
    account(name, &read("/etc/passwd"), &read("/etc/group")).ok_or_else(|| Error::NoSuchUser(name.to_owned()))
}

fn account(name: &OsStr, passwd: &[u8], group: &[u8]) -> Option<Account> {
    let mut words = name.as_bytes().splitn(2, |&b| b == b':');
    let (user, wanted_group) = (words.next()?, words.next());
    let entry = lines(passwd).find(|entry| entry.len() >= 7 && (entry[0] == user || entry[2] == user));
    let uid = entry.as_ref().map_or(number(user), |entry| number(entry[2]))?;
    let own_gid = entry.as_ref().and_then(|entry| number(entry[3]));
    let gid = match wanted_group {
        Some(group_name) => group_id(group, group_name)?,
        None => own_gid?,
    };
    let login = entry.as_ref().map(|entry| entry[0]);
    let is_member = |entry: &Vec<&[u8]>| login.is_some_and(|login| entry[3].split(|&b| b == b',').any(|m| m == login));
    let others = lines(group).filter(|entry| entry.len() >= 4 && is_member(entry)).filter_map(|entry| number(entry[2]));
    let groups = std::iter::once(gid).chain(others.filter(|&other| other != gid)).map(Gid::from_raw).collect();
    let variable = |name, value: &[u8]| (name, OsString::from_vec(value.to_vec()));
    let environment = entry.map_or(Vec::new(), |entry| {
        vec![
            variable("HOME", entry[5]),
            variable("USER", entry[0]),
            variable("LOGNAME", entry[0]),
            variable("SHELL", entry[6]),
        ]
    });
    Some(Account { uid: Uid::from_raw(uid), gid: Gid::from_raw(gid), groups, environment })
}

fn group_id(group: &[u8], name: &[u8]) -> Option<u32> {
    lines(group).find(|entry| entry.len() >= 3 && entry[0] == name).map_or(number(name), |entry| number(entry[2]))
}

fn lines(file: &[u8]) -> impl Iterator<Item = Vec<&[u8]>> {
    file.split(|&b| b == b'\n').map(|line| line.split(|&b| b == b':').collect())
}

fn number(text: &[u8]) -> Option<u32> {
    std::str::from_utf8(text).ok()?.parse().ok().filter(|&id| id != u32::MAX)
}

impl Account {
    /// Becomes it, for good: groups first, since only root may set them.
    pub fn assume(&self) -> Result<(), Error> {
        let failed = || Error::kernel(format!("become user {}", self.uid));
        setgroups(&self.groups).map_err(failed())?;
        setresgid(self.gid, self.gid, self.gid).map_err(failed())?;
        setresuid(self.uid, self.uid, self.uid).map_err(failed())?;
        if self.is_assumed() { Ok(()) } else { Err(failed()(Errno::ENOSYS)) }
    }

    /// Filters that feign root's rights (as some container tools install) answer "done" to all three.
    fn is_assumed(&self) -> bool {
        let is_user = getresuid().is_ok_and(|ids| [ids.real, ids.effective, ids.saved] == [self.uid; 3]);
        let is_group = getresgid().is_ok_and(|ids| [ids.real, ids.effective, ids.saved] == [self.gid; 3]);
        let mut groups = getgroups().unwrap_or_default();
        let mut wanted = self.groups.clone();
        groups.sort_unstable_by_key(|gid| gid.as_raw());
        wanted.sort_unstable_by_key(|gid| gid.as_raw());
        wanted.dedup();
        groups.dedup();
        is_user && is_group && groups == wanted
    }

    /// The variables that name the user to programs.
    pub fn environment(&self) -> impl Iterator<Item = (OsString, OsString)> + '_ {
        self.environment.iter().map(|(name, value)| ((*name).into(), value.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &[u8] = b"root:x:0:0:root:/root:/bin/bash\nbob:x:1000:1001::/home/bob:/bin/sh\n";
    const GROUP: &[u8] = b"root:x:0:\nbob:x:1001:\ndialout:x:20:al,bob\nwheel:x:10:bobby\n";

    fn ids(name: &str) -> Option<(u32, u32, Vec<u32>)> {
        let account = account(OsStr::new(name), PASSWD, GROUP)?;
        Some((account.uid.as_raw(), account.gid.as_raw(), account.groups.iter().map(|gid| gid.as_raw()).collect()))
    }

    #[test]
    fn a_user_brings_its_groups() {
        assert_eq!(ids("bob"), Some((1000, 1001, vec![1001, 20])));
        assert_eq!(ids("1000"), ids("bob"));
    }

    #[test]
    fn a_group_replaces_the_users_own() {
        assert_eq!(ids("bob:wheel"), Some((1000, 10, vec![10, 20])));
        assert_eq!(ids("bob:77"), Some((1000, 77, vec![77, 20])));
        assert_eq!(ids("4242:77"), Some((4242, 77, vec![77])));
    }

    #[test]
    fn whom_nobody_knows_is_refused() {
        for name in ["eve", "bob:eves", "4242", "", "4294967295:0"] {
            assert_eq!(ids(name), None, "{name}");
        }
    }
}
