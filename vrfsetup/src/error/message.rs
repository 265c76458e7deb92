//! The message of each error: one line, which names the thing.

use std::fmt;

use super::Error;
use crate::sys::netlink::{KernelError, errno_text};
use crate::sys::systemd;

/// An error that cost a part of a change alone: the rest of it is made.
pub struct LeftOut<'a>(pub &'a Error);

impl fmt::Display for LeftOut<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.refused() {
            Some((what, why)) => write!(f, "left out: {what}: {why}"),
            None => write!(f, "left out: {}", self.0),
        }
    }
}

impl Error {
    /// What was refused, and why, where that undoes a change as a whole.
    fn refused(&self) -> Option<(String, String)> {
        Some(match self {
            Self::Refused { step, refusal } => (format!("refused '{step}'"), refusal.to_string()),
            Self::NoProgram { vrf, refusal } => (format!("refused 'load a program for {vrf}'"), refusal.to_string()),
            Self::UserUnbound { user, vrf, why } => {
                (format!("sockets of '{user}' do not come into VRF '{vrf}'"), why.clone())
            }
            Self::NotReloaded(why) => ("'systemctl daemon-reload' failed".to_owned(), why.clone()),
            _ => return None,
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((what, why)) = self.refused() {
            return write!(f, "{what}, nothing is changed: {why}");
        }
        match self {
            // Written above.
            Self::Refused { .. } | Self::NoProgram { .. } | Self::UserUnbound { .. } | Self::NotReloaded(_) => Ok(()),
            Self::NotRolledBack { cause, left } => {
                let left = left.join(", ");
                match (cause.refused(), cause.as_ref()) {
                    (Some((what, why)), _) => write!(f, "{what}, and these could not be undone: {left}: {why}"),
                    (None, Self::Interrupted(signal)) => {
                        write!(f, "ended by {signal}, and these could not be undone: {left}")
                    }
                    (None, cause) => write!(f, "{cause}; these could not be undone: {left}"),
                }
            }
            Self::Interrupted(signal) => write!(f, "ended by {signal}, nothing is changed"),
            Self::NoLock { source } => {
                write!(f, "cannot use /run/vrfsetup, nothing is changed: {}", KernelError::from_io(source))
            }
            Self::Unreadable { what, refusal } => write!(f, "cannot read {what}: {refusal}"),
            Self::NoSuchLink(name) => write!(f, "no interface '{name}': {}", errno_text(libc::ENODEV)),
            Self::NoSuchProcess(pid) => write!(f, "no process {pid}: {}", errno_text(libc::ESRCH)),
            Self::NotAVrf(name) => write!(f, "'{name}' exists and is not a VRF"),
            Self::NameTaken(name) => write!(f, "another interface is called '{name}'"),
            Self::Emulated { vrf, port } => write!(f, "VRF '{vrf}' is emulated by '{port}', its one port"),
            Self::NoPort(name) => write!(f, "'{name}' cannot be a port of a VRF"),
            Self::OtherTable { name, table } => write!(f, "VRF '{name}' exists with table {table}"),
            Self::TableTaken { table, owner } => write!(f, "table {table} belongs to {owner}"),
            Self::OtherMaster { port, master } => write!(f, "'{port}' is a port of '{master}'"),
            Self::ForeignRule(rule) => {
                write!(f, "rule '{rule}' ({}) would catch local packets before the local rule does", rule.family)
            }
            Self::SharedRoute { port, route } => {
                write!(f, "route '{route}' leads over '{port}' and over interfaces that stay")
            }
            Self::DefaultRoute { device, route } => {
                write!(
                    f,
                    "'{device}' takes default route '{route}' along, out of the default domain or into it (--force or --confirm SECONDS goes on)"
                )
            }
            Self::InUse { device, connection } => {
                // Of a session whose other end only its program knows, the client may be gone.
                let would = if connection.peer.0.is_unspecified() { "might" } else { "would" };
                write!(f, "{connection} uses '{device}' and {would} break (--force or --confirm SECONDS goes on)")
            }
            Self::PortTaken { device, address, domain } => {
                write!(
                    f,
                    "a listener at {address}, bound to '{device}', has a port that is in use in {domain}, if only by a connection that ended within the last minute: Linux 7.2 may panic (--force or --confirm SECONDS goes on)"
                )
            }
            Self::UnknownWay { connection, unread } => {
                write!(f, "{connection} might break (--force or --confirm SECONDS goes on): cannot read {unread}")
            }
            Self::NoSuchSetting(name) => write!(f, "this kernel has no setting '{name}'"),
            Self::HasUnits { vrf, units } => {
                write!(f, "without '{vrf}', its units would not start any more: {}", units.join(", "))
            }
            Self::Unconfirmed => f.write_str("an earlier change waits for its confirmation"),
            Self::NothingToConfirm => f.write_str("no change waits for a confirmation"),
            Self::NothingToUndo => f.write_str("no change to undo"),
            Self::NotOneWord(name) => write!(f, "cannot export '{name}': a shell would not take it for one word"),
            Self::OnlyToml(name) => write!(f, "cannot export '{name}': an emulated VRF is written as toml only"),
            Self::Unfinished(what) => f.write_str(what),
            Self::NoWayBack { source } => {
                write!(f, "cannot prepare the rollback, nothing is changed: {}", KernelError::from_io(source))
            }
            Self::Unkept { source } => {
                let why = KernelError::from_io(source);
                write!(f, "the change is made, but the next run will undo it: cannot keep its journal: {why}")
            }
            Self::Left(steps) => write!(f, "could not be undone: {}", steps.join(", ")),
            Self::OldSystemd(version) => write!(f, "systemd {version} cannot bind services (v249 can)"),
            Self::CgroupV1 => {
                write!(f, "systemd uses cgroup v1 here and cannot bind services: boot with {}", systemd::UNIFIED)
            }
            Self::NotMoved(why) => write!(f, "cannot move processes: {why}"),
            Self::Unbound(vrf) => write!(f, "sockets made here are not bound to VRF '{vrf}'"),
            Self::CannotBind { what, vrf, why } => write!(f, "cannot bind {what} to VRF '{vrf}': {why}"),
            Self::NoSuchUser(name) => write!(f, "no user '{name}' in /etc/passwd; others are known by number only"),
            Self::NoEtc { vrf, why } => write!(f, "cannot give a login the files of VRF '{vrf}': {why}"),
            Self::NoNamespace { user, why } => write!(f, "logins of '{user}' can have no files of their own: {why}"),
            Self::NoGroup(name) => write!(f, "no group '{name}' in /etc/group, whose processes could be left outside"),
            Self::PrimaryGroup { user, group } => {
                write!(f, "'{group}' is the primary group of '{user}', all of whose processes would be left outside")
            }
            Self::HasUsers { vrf, users } => {
                let users = users.join(", ");
                write!(f, "without '{vrf}', all sockets of its users would fail: {users} (--force goes on)")
            }
            Self::KeepsItsOutside { name, kind, .. } => {
                write!(f, "'{name}' ({kind}) is no tunnel whose outside can be put elsewhere while it is there")
            }
            Self::OutsideElsewhere(name) => {
                write!(f, "the outside of '{name}' is in another network namespace: the one that it was made in")
            }
            Self::NoTunnelPort(name) => write!(f, "'{name}' has no UDP port yet"),
            Self::SharedMark { name, mark, other } => {
                write!(f, "'{name}' has the mark {mark:#x} of '{other}', whose outside is in another VRF")
            }
            Self::HasTunnels { vrf, tunnels } => {
                let tunnels = tunnels.join(", ");
                write!(f, "without '{vrf}', nothing would leave by its tunnels: {tunnels} (--force goes on)")
            }
            Self::HasOutsides { vrf, tunnels } => {
                let tunnels = tunnels.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
                let what = "tunnels whose outside it is would send by the default domain, or nowhere";
                write!(f, "without '{vrf}', {what}: {tunnels} (--force goes on)")
            }
            Self::BadFile { path, line, text, what } => write!(f, "{}:{line}: {what}: {text}", path.display()),
            Self::ForeignFile(path) => write!(f, "'{}' is not by vrfsetup, and stays as it is", path.display()),
            Self::NobodysPrefix(prefix) => write!(f, "neither domain has a route of its own to {prefix}"),
            Self::File { path, refusal } => write!(f, "cannot use '{}': {refusal}", path.display()),
            Self::NoNetns { name, source } if source.raw_os_error() == Some(libc::EINVAL) => {
                write!(f, "'{name}' is no network namespace")
            }
            Self::NoNetns { name, source } => {
                write!(f, "cannot enter network namespace '{name}': {}", KernelError::from_io(source))
            }
            Self::Nft { table, refusal } => write!(f, "cannot look at {}: {refusal}", table.what),
            Self::NoZone(what) => write!(f, "no conntrack zone for {what}"),
            Self::Usage(what) => f.write_str(what),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_names_what_others_have_named_as_a_shell_does() {
        let hint = |error: Error| error.hint().unwrap_or_default();
        assert_eq!(hint(Error::NameTaken("a;b".into())), "ip -d link show 'a;b'");
        assert_eq!(hint(Error::OtherMaster { port: "$x".into(), master: "br0".into() }), "ip link set '$x' nomaster");
        assert_eq!(hint(Error::NotAVrf("eth1".into())), "ip -d link show eth1");
    }

    #[test]
    fn what_is_left_out_does_not_say_that_nothing_is_changed() {
        let error = || Error::UserUnbound { user: "al".into(), vrf: "blue".into(), why: "none".into() };
        let whole = "sockets of 'al' do not come into VRF 'blue', nothing is changed: none";
        assert_eq!(error().to_string(), whole);
        assert_eq!(LeftOut(&error()).to_string(), "left out: sockets of 'al' do not come into VRF 'blue': none");
        assert_eq!(LeftOut(&Error::NoPort("lo".into())).to_string(), "left out: 'lo' cannot be a port of a VRF");
        let halfway = Error::NotRolledBack { cause: Box::new(error()), left: vec!["'x' (y)".into()] };
        assert!(halfway.to_string().ends_with("'blue', and these could not be undone: 'x' (y): none"), "{halfway}");
    }
}
