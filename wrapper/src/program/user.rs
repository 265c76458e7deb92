//! `--user USER[:GROUP]`: becomes another user after the binding, for which root is needed only before it.
//!
//! Reads /etc/passwd and /etc/group, or takes numbers: a static program cannot load the C library's name services.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use nix::errno::Errno;
use nix::sys::stat::FileStat;
use nix::unistd::{Gid, Uid, geteuid, getgroups, getresgid, getresuid, setgroups, setresgid, setresuid};

use crate::error::Error;
use crate::sys::kernel;

/// Whom to become.
#[derive(Debug)]
pub struct Account {
    uid: Uid,
    gid: Gid,
    groups: Vec<Gid>,
    /// HOME, USER, LOGNAME and SHELL.
    environment: Vec<(&'static str, OsString)>,
}

/// Looks the names up. Said here, before anything is tried: nobody but root can become them.
pub fn look_up(name: &OsStr) -> Result<Account, Error> {
    if !geteuid().is_root() {
        return Err(Error::NotRoot(name.to_owned()));
    }
    let read = |path: &str| kernel::read(path).unwrap_or_default();
    let (passwd, group) = (read("/etc/passwd"), read("/etc/group"));
    account(name, &passwd, &group).map_err(|unknown| match unknown {
        Unknown::Name => Error::NoSuchUser(name.to_owned()),
        Unknown::GroupOf(number, owner) => Error::GroupOfAnother { user: name.to_owned(), number, owner },
    })
}

/// Why nobody can be become.
#[derive(Debug, PartialEq, Eq)]
enum Unknown {
    /// No such user or group.
    Name,
    /// A number without a user, and the group of that number is somebody else's.
    GroupOf(u32, OsString),
}

fn account(name: &OsStr, passwd: &[u8], group: &[u8]) -> Result<Account, Unknown> {
    let mut words = name.as_bytes().splitn(2, |&b| b == b':');
    let (user, wanted_group) = (words.next().unwrap_or_default(), words.next());
    let entry = entry_of(user, passwd);
    let uid = entry.as_ref().map_or(number(user), |entry| number(entry[2])).ok_or(Unknown::Name)?;
    let gid = match (wanted_group, &entry) {
        (Some(wanted), _) => group_id(group, wanted).ok_or(Unknown::Name)?,
        (None, Some(entry)) => number(entry[3]).ok_or(Unknown::Name)?,
        (None, None) => own_group(uid, passwd, group)?,
    };
    let login = entry.as_ref().map(|entry| entry[0]);
    let is_member = |entry: &Vec<&[u8]>| login.is_some_and(|login| entry[3].split(|&b| b == b',').any(|m| m == login));
    let others = lines(group).filter(|entry| entry.len() >= 4 && is_member(entry)).filter_map(|entry| number(entry[2]));
    let groups = std::iter::once(gid).chain(others.filter(|&other| other != gid)).map(Gid::from_raw).collect();
    let environment = match &entry {
        Some(entry) => environment(entry[0], entry[5], entry[6]),
        None => environment(uid.to_string().as_bytes(), b"", b""),
    };
    Ok(Account { uid: Uid::from_raw(uid), gid: Gid::from_raw(gid), groups, environment })
}

/// By its name, and if there is none by its number, however that is written.
fn entry_of<'a>(user: &[u8], passwd: &'a [u8]) -> Option<Vec<&'a [u8]>> {
    let mut entries = lines(passwd).filter(|entry| entry.len() >= 7);
    let by_name = entries.clone().find(|entry| entry[0] == user);
    by_name.or_else(|| number(user).and_then(|uid| entries.find(|entry| number(entry[2]) == Some(uid))))
}

/// A number that /etc/passwd does not know has the group of the same number, as most users do who have a group of
/// their own; never root's. Where that group is another's, the user has to be asked. One without a name may be a user's, too.
fn own_group(uid: u32, passwd: &[u8], group: &[u8]) -> Result<u32, Unknown> {
    let is_called = |entry: &Vec<&[u8]>| entry.len() >= 3 && number(entry[2]) == Some(uid);
    let is_of_user = |entry: &Vec<&[u8]>| entry.len() >= 7 && number(entry[3]) == Some(uid);
    match lines(group).find(is_called).or_else(|| lines(passwd).find(is_of_user)) {
        Some(entry) => Err(Unknown::GroupOf(uid, OsString::from_vec(entry[0].to_vec()))),
        None => Ok(uid),
    }
}

/// As login(1) sets them; passwd(5) says what an empty field means.
fn environment(login: &[u8], home: &[u8], shell: &[u8]) -> Vec<(&'static str, OsString)> {
    let or = |value: &[u8], default: &str| if value.is_empty() { default.into() } else { value.to_vec() };
    let variables = [("HOME", or(home, "/")), ("USER", login.to_vec()), ("LOGNAME", login.to_vec())];
    let all = variables.into_iter().chain([("SHELL", or(shell, "/bin/sh"))]);
    all.map(|(name, value)| (name, OsString::from_vec(value))).collect()
}

fn group_id(group: &[u8], name: &[u8]) -> Option<u32> {
    lines(group).find(|entry| entry.len() >= 3 && entry[0] == name).map_or(number(name), |entry| number(entry[2]))
}

fn lines(file: &[u8]) -> impl Iterator<Item = Vec<&[u8]>> + Clone {
    file.split(|&b| b == b'\n').map(|line| line.split(|&b| b == b':').collect())
}

/// Digits only: what `parse` takes has a sign too.
fn number(text: &[u8]) -> Option<u32> {
    let digits = std::str::from_utf8(text).ok()?;
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().ok())?.filter(|&id| id != u32::MAX)
}

impl Account {
    /// Whether it is root, to whom no file's mode says no.
    pub fn is_root(&self) -> bool {
        self.uid.is_root()
    }

    /// Its user ID.
    pub fn number(&self) -> Uid {
        self.uid
    }

    /// Whether the file's mode lets it write: as owner, by one of its groups, or as anybody.
    pub fn may_write(&self, file: &FileStat) -> bool {
        let is_own_group = || self.groups.iter().any(|group| group.as_raw() == file.st_gid);
        let bit = match () {
            () if file.st_uid == self.uid.as_raw() => libc::S_IWUSR,
            () if is_own_group() => libc::S_IWGRP,
            () => libc::S_IWOTH,
        };
        file.st_mode & bit != 0
    }

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
        let account = account(OsStr::new(name), PASSWD, GROUP).ok()?;
        Some((account.uid.as_raw(), account.gid.as_raw(), account.groups.iter().map(|gid| gid.as_raw()).collect()))
    }

    #[test]
    fn a_user_brings_its_groups() {
        assert_eq!(ids("bob"), Some((1000, 1001, vec![1001, 20])));
        assert_eq!(ids("1000"), ids("bob"));
        assert_eq!(ids("01000"), ids("bob"));
        assert_eq!(ids("bob:01001"), ids("bob"));
    }

    #[test]
    fn a_name_of_digits_is_a_name_first() {
        let passwd = [b"al:x:2000:2000::/:\n2000:x:3000:3000::/:\n", PASSWD].concat();
        let uid = |user: &str| account(OsStr::new(user), &passwd, GROUP).unwrap().uid.as_raw();
        assert_eq!((uid("2000"), uid("02000"), uid("3000")), (3000, 2000, 3000));
    }

    #[test]
    fn a_group_replaces_the_users_own() {
        assert_eq!(ids("bob:wheel"), Some((1000, 10, vec![10, 20])));
        assert_eq!(ids("bob:77"), Some((1000, 77, vec![77, 20])));
        assert_eq!(ids("4242:77"), Some((4242, 77, vec![77])));
    }

    #[test]
    fn a_number_that_nobody_knows_has_its_own_group_and_no_other() {
        assert_eq!(ids("4242"), Some((4242, 4242, vec![4242])));
        let of_another = account(OsStr::new("20"), PASSWD, GROUP).unwrap_err();
        assert_eq!(of_another, Unknown::GroupOf(20, "dialout".into()));
        let of_user = account(OsStr::new("1001"), PASSWD, b"root:x:0:\n").unwrap_err();
        assert_eq!(of_user, Unknown::GroupOf(1001, "bob".into()));
        assert_eq!(ids("20:20"), Some((20, 20, vec![20])));
    }

    #[test]
    fn the_variables_are_the_users_and_never_roots() {
        let of = |name: &str| -> Vec<String> {
            let account = account(OsStr::new(name), PASSWD, GROUP).unwrap();
            account
                .environment()
                .map(|(name, value)| format!("{}={}", name.to_string_lossy(), value.to_string_lossy()))
                .collect()
        };
        assert_eq!(of("bob"), ["HOME=/home/bob", "USER=bob", "LOGNAME=bob", "SHELL=/bin/sh"]);
        assert_eq!(of("1000"), of("bob"));
        assert_eq!(of("4242"), ["HOME=/", "USER=4242", "LOGNAME=4242", "SHELL=/bin/sh"]);
    }

    #[test]
    fn a_files_mode_counts_for_the_first_that_it_is_about() {
        let bob = account(OsStr::new("bob"), PASSWD, GROUP).unwrap();
        let may = |owner: u32, group: u32, mode: u32| {
            let mut file = nix::sys::stat::stat("/").unwrap();
            (file.st_uid, file.st_gid, file.st_mode) = (owner, group, mode);
            bob.may_write(&file)
        };
        assert!(may(1000, 0, 0o644) && may(0, 20, 0o664) && may(0, 1001, 0o020) && may(0, 0, 0o002));
        assert!(!may(0, 0, 0o664) && !may(1000, 20, 0o466) && !may(0, 20, 0o646));
    }

    #[test]
    fn whom_nobody_knows_is_refused() {
        for name in ["eve", "bob:eves", "", ":", "4294967295:0", "4294967295", "-1", "+1000", "bob:+20", "1000x"] {
            assert_eq!(ids(name), None, "{name}");
        }
    }
}
