//! Reads `/proc/PID/status` (proc(5)): as whom a process acts, and what it may.

use crate::sys::pidfd::Ids;

/// What a process is, as far as a supervisor must know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// As whom it acts.
    pub credentials: Credentials,
    /// Real, effective, saved and file system user.
    pub uids: [u32; 4],
    /// Real, effective, saved and file system group.
    pub gids: [u32; 4],
    /// Capabilities in effect, in its own user namespace.
    pub effective: u64,
    /// Capabilities that it may put into effect.
    pub permitted: u64,
    /// exec gives it no more than it has.
    pub no_new_privs: bool,
    /// Its numbers, from the pid namespace of this /proc inwards; none where the kernel has no pid namespaces.
    pub pids: Vec<u32>,
}

/// What a new socket takes over from who makes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// User and group.
    pub ids: Ids,
    /// All other groups.
    pub groups: Vec<u32>,
}

impl Status {
    /// Without capabilities, as one user and one group only, and without a way to gain any: it stays who it is.
    pub fn is_final(&self) -> bool {
        let is_one = |ids: &[u32; 4]| ids.iter().all(|id| *id == ids[0]);
        self.no_new_privs && self.permitted == 0 && is_one(&self.uids) && is_one(&self.gids)
    }
}

/// None if a line is missing or says something else than numbers.
pub fn parse(file: &[u8]) -> Option<Status> {
    let (mut uids, mut gids, mut groups, mut pids) = (None, None, None, None);
    let (mut permitted, mut effective, mut no_new_privs) = (None, None, None);
    // One way through: this is read at each call of some callers.
    for (name, value) in lines(file) {
        match name {
            b"Uid" => uids = Some(four(value)?),
            b"Gid" => gids = Some(four(value)?),
            b"Groups" => groups = Some(numbers(value)?),
            b"NSpid" => pids = Some(numbers(value)?),
            b"CapPrm" => permitted = Some(set(value)?),
            b"CapEff" => effective = Some(set(value)?),
            b"NoNewPrivs" => no_new_privs = Some(value.trim_ascii() == b"1"),
            _ => {}
        }
    }
    let (uids, gids) = (uids?, gids?);
    Some(Status {
        credentials: Credentials { ids: acting(uids, gids), groups: groups? },
        uids,
        gids,
        effective: effective?,
        permitted: permitted?,
        no_new_privs: no_new_privs?,
        pids: pids.unwrap_or_default(),
    })
}

/// As whom the process acts, from the beginning of the file.
pub fn parse_ids(beginning: &[u8]) -> Option<Ids> {
    let mut uids = None;
    for (name, value) in lines(beginning) {
        match name {
            b"Uid" => uids = Some(four(value)?),
            b"Gid" => return Some(acting(uids?, four(value)?)),
            _ => {}
        }
    }
    None
}

/// The process that the thread is of, from the beginning of the file.
pub fn parse_process(beginning: &[u8]) -> Option<u32> {
    let (_, value) = lines(beginning).find(|(name, _)| *name == b"Tgid")?;
    numbers(value)?.first().copied()
}

/// Name and value of each line that is there to its end. The kernel escapes a newline in the program's name, so that no line
/// is the program's own.
fn lines(file: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    file.split_inclusive(|byte| *byte == b'\n').filter_map(|line| {
        let line = line.strip_suffix(b"\n")?;
        let colon = line.iter().position(|byte| *byte == b':')?;
        Some((&line[..colon], &line[colon + 1..]))
    })
}

fn numbers(value: &[u8]) -> Option<Vec<u32>> {
    std::str::from_utf8(value).ok()?.split_ascii_whitespace().map(|word| word.parse().ok()).collect()
}

/// Real, effective, saved, file system.
fn four(value: &[u8]) -> Option<[u32; 4]> {
    numbers(value)?.try_into().ok()
}

fn acting(uids: [u32; 4], gids: [u32; 4]) -> Ids {
    Ids { uid: uids[1], fsuid: uids[3], gid: gids[1], fsgid: gids[3] }
}

fn set(value: &[u8]) -> Option<u64> {
    u64::from_str_radix(std::str::from_utf8(value).ok()?.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "Name:\ta\\nUid:\t0\t0\t0\t0\nUmask:\t0022\nPid:\t77\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\n\
        Groups:\t20 27 \nNSpid:\t77\t1\nCapInh:\t0000000000000000\nCapPrm:\t000001ffffffffff\nCapEff:\t0000000000002000\n\
        NoNewPrivs:\t1\n";

    #[test]
    fn each_line_is_found_and_a_name_cannot_forge_one() {
        let status = parse(FILE.as_bytes()).unwrap();
        assert_eq!(status.credentials.ids, Ids { uid: 2, fsuid: 4, gid: 6, fsgid: 8 });
        assert_eq!((status.credentials.groups.as_slice(), status.pids.as_slice()), (&[20, 27][..], &[77, 1][..]));
        assert_eq!((status.permitted, status.effective), (0x1ff_ffff_ffff, 0x2000));
        assert!(status.no_new_privs && !status.is_final());
    }

    #[test]
    fn only_who_can_become_nobody_else_is_final() {
        let plain = FILE
            .replace("000001ffffffffff", "0")
            .replace("1\t2\t3\t4", "9\t9\t9\t9")
            .replace("5\t6\t7\t8", "5\t5\t5\t5");
        assert!(parse(plain.as_bytes()).unwrap().is_final());
        for (part, other) in
            [("9\t9\t9\t9", "9\t9\t0\t9"), ("5\t5\t5\t5", "5\t5\t5\t6"), ("NoNewPrivs:\t1", "NoNewPrivs:\t0")]
        {
            assert!(!parse(plain.replace(part, other).as_bytes()).unwrap().is_final(), "{other}");
        }
    }

    #[test]
    fn the_beginning_of_the_file_says_as_whom_it_acts() {
        let ids = parse(FILE.as_bytes()).unwrap().credentials.ids;
        let end = FILE.find("Groups").unwrap();
        assert_eq!(parse_ids(&FILE.as_bytes()[..end]), Some(ids));
        assert_eq!(parse_ids(&FILE.as_bytes()[..end - 1]), None, "a number may go on");
        assert_eq!(parse_ids(FILE.replace("\nUid", "\nNot").as_bytes()), None);
    }

    #[test]
    fn what_is_missing_is_not_made_up() {
        for line in ["Uid", "Gid", "Groups", "CapPrm", "CapEff", "NoNewPrivs"] {
            assert_eq!(parse(FILE.replace(&format!("\n{line}:"), "\nNot:").as_bytes()), None, "{line}");
        }
        assert_eq!(parse(FILE.replace("1\t2\t3\t4", "1\t2\t3\tx").as_bytes()), None);
        assert_eq!(parse(FILE.replace("\nNSpid:", "\nNot:").as_bytes()).unwrap().pids, Vec::<u32>::new());
    }
}
