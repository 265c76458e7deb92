//! /etc/passwd and /etc/group: users and groups by name and by number. A static binary has no name services; who is known to
//! those alone has a number, and where a name must be known they are asked by another program.

use std::path::Path;
use std::process::{Command, Stdio};
use std::{fs, io};

/// A user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The name, or the number of one whom /etc/passwd does not know.
    pub name: String,
    /// The number.
    pub uid: u32,
}

/// The user of this name or number, a name first; None if there is none of this name.
pub fn look_up(text: &str) -> Option<Account> {
    find(&passwd(), text)
}

/// The same for who must not take a user for nobody.
///
/// # Errors
/// The file is there and cannot be read: nobody can tell.
pub fn try_look_up(text: &str) -> io::Result<Option<Account>> {
    Ok(find(&read("/etc/passwd")?, text))
}

/// The number that the name services of the C library have for a name, as `getent` tells; None if none of them knows it, or the
/// one that does is away. It is for a login that is being opened: whoever opens it has waited for the same answer before.
///
/// # Errors
/// There is no getent, or it fails: nobody can tell.
pub fn ask_name_services(name: &str) -> io::Result<Option<u32>> {
    const PROGRAMS: [&str; 3] = ["/usr/bin/getent", "/bin/getent", "/run/current-system/sw/bin/getent"];
    let program = PROGRAMS.into_iter().find(|path| Path::new(path).is_file()).ok_or(io::ErrorKind::NotFound)?;
    let mut getent = Command::new(program);
    // What PAM has in its environment the user may have a hand in.
    getent.arg("passwd").args(name.starts_with('-').then_some("--")).arg(name).env_clear();
    let answer = getent.stdin(Stdio::null()).stderr(Stdio::null()).output()?;
    let said = String::from_utf8_lossy(&answer.stdout).into_owned();
    match (answer.status.code(), entries(&said).next()) {
        (Some(0), Some((_, uid))) => Ok(Some(uid)),
        (Some(2), None) => Ok(None),
        _ => Err(io::Error::other(format!("getent: {}", answer.status))),
    }
}

/// What the user of this number is called.
pub fn name_of(uid: u32) -> String {
    name_in(&passwd(), uid)
}

/// The number of the group of this name. Root's is no answer: it is that of every service.
///
/// # Errors
/// The file is there and cannot be read: nobody can tell.
pub fn group(name: &str) -> io::Result<Option<u32>> {
    let groups = read("/etc/group")?;
    Ok(entries(&groups).find(|entry| entry.0 == name).map(|(_, gid)| gid).filter(|gid| *gid != 0))
}

/// The group that processes of this user have from the beginning, by its first line.
///
/// # Errors
/// As [`group`].
pub fn primary_group(uid: u32) -> io::Result<Option<u32>> {
    let passwd = read("/etc/passwd")?;
    Ok(primary_groups(&passwd, uid).next())
}

/// Whether it is this one, by any line of the user's.
///
/// # Errors
/// As [`group`].
pub fn is_primary_group(uid: u32, gid: u32) -> io::Result<bool> {
    let passwd = read("/etc/passwd")?;
    Ok(primary_groups(&passwd, uid).any(|primary| primary == gid))
}

fn read(path: &str) -> io::Result<String> {
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        content => Ok(String::from_utf8_lossy(&content?).into_owned()),
    }
}

fn primary_groups(passwd: &str, uid: u32) -> impl Iterator<Item = u32> {
    passwd.lines().filter_map(move |line| {
        let mut fields = line.split(':').skip(2);
        let is_its = number(fields.next()?) == Some(uid);
        number(fields.next()?).filter(|_| is_its)
    })
}

fn passwd() -> String {
    String::from_utf8_lossy(&fs::read("/etc/passwd").unwrap_or_default()).into_owned()
}

fn find(passwd: &str, text: &str) -> Option<Account> {
    let by_name = entries(passwd).find(|(name, _)| *name == text);
    let uid = by_name.map(|(_, uid)| uid).or_else(|| number(text))?;
    let name = by_name.map_or_else(|| name_in(passwd, uid), |(name, _)| name.to_owned());
    Some(Account { name, uid })
}

fn name_in(passwd: &str, uid: u32) -> String {
    entries(passwd).find(|entry| entry.1 == uid).map_or_else(|| uid.to_string(), |(name, _)| name.to_owned())
}

fn entries(passwd: &str) -> impl Iterator<Item = (&str, u32)> {
    passwd.lines().filter_map(|line| {
        let mut fields = line.split(':');
        Some((fields.next()?, number(fields.nth(1)?)?))
    })
}

/// Digits only: what `parse` takes has a sign too. The last number is nobody's.
fn number(text: &str) -> Option<u32> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok())?.filter(|&uid| uid != u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\n+::::::\n\nal:x:1000:1000::/:\n2000:x:3000:3000::/:\n";

    fn found(text: &str) -> Option<(String, u32)> {
        find(PASSWD, text).map(|account| (account.name, account.uid))
    }

    #[test]
    fn a_user_has_a_name_and_a_number() {
        assert_eq!(found("al"), Some(("al".into(), 1000)));
        assert_eq!(found("1000"), found("al"));
        assert_eq!(found("4242"), Some(("4242".into(), 4242)));
        assert_eq!(found("2000"), Some(("2000".into(), 3000)), "a name of digits is a name first");
    }

    #[test]
    fn a_user_may_have_two_lines_and_two_primary_groups() {
        let passwd = format!("{PASSWD}al2:x:1000:990::/:\nshort:x:1000\n");
        assert_eq!(primary_groups(&passwd, 1000).collect::<Vec<_>>(), [1000, 990]);
        assert_eq!(primary_groups(&passwd, 990).next(), None);
    }

    #[test]
    fn the_name_services_know_root_and_not_everybody() {
        assert_eq!(ask_name_services("root").unwrap(), Some(0));
        for nobody in ["vrftest-no-such-user", "-x", "4294967295"] {
            assert_eq!(ask_name_services(nobody).unwrap(), None, "{nobody}");
        }
    }

    #[test]
    fn whom_nobody_knows_is_none() {
        for text in ["eve", "", "-1", "+1000", "4294967295", "1000x"] {
            assert_eq!(found(text), None, "{text}");
        }
    }
}
