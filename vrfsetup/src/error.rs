//! Everything that can go wrong, named for the user's situation, with its message, its hint and its exit code.
//!
//! May use the values of `model` and `sys`. Does not print: `cli` does.
#![forbid(unsafe_code)]

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::model::nft::Table;
use crate::model::rule::Rule;
use crate::model::step::Step;
use crate::sys::netlink::KernelError;
use crate::sys::netlink::errno_text;
use crate::sys::sock_diag::Connection;

/// Why a command did not do what was asked.
#[derive(Debug)]
pub enum Error {
    /// A step was refused; what was done before it has been undone.
    Refused {
        step: Box<Step>,
        /// The kernel's answer.
        refusal: KernelError,
    },
    /// A change ended halfway, and some of it could not be undone.
    NotRolledBack {
        /// Why it ended.
        cause: Box<Error>,
        /// The steps that could not be undone, each with the kernel's answer.
        left: Vec<String>,
    },
    /// A signal came before the change was complete; what was done has been undone.
    Interrupted(&'static str),
    /// No other run can be held off.
    NoLock { source: io::Error },
    /// The program that binds a service's sockets was refused.
    NoProgram {
        /// The VRF that it would bind them to.
        vrf: String,
        /// The kernel's answer.
        refusal: KernelError,
    },
    /// Something could not be read.
    Unreadable {
        what: String,
        /// The errno.
        refusal: KernelError,
    },
    /// No interface has this name.
    NoSuchLink(String),
    /// No process has this number.
    NoSuchProcess(u32),
    /// The interface is not a VRF.
    NotAVrf(String),
    /// Something else has the name.
    NameTaken(String),
    /// The VRF is emulated by this one port.
    Emulated { vrf: String, port: String },
    /// A VRF or the loopback cannot be a port.
    NoPort(String),
    /// The VRF has another table.
    OtherTable {
        name: String,
        /// The table that it has.
        table: u32,
    },
    /// The table belongs to something else.
    TableTaken {
        table: u32,
        /// Whose it is.
        owner: String,
    },
    /// The port belongs to another master.
    OtherMaster { port: String, master: String },
    /// A foreign rule would see locally destined packets before `local` does.
    ForeignRule(Box<Rule>),
    /// A route leads over the port and over others that stay where they are.
    SharedRoute { port: String, route: String },
    /// The change would touch the default domain's default route.
    DefaultRoute {
        /// The interface that it leads over, or would.
        device: String,
        route: String,
    },
    /// An established connection from another machine would break.
    InUse {
        /// The interface whose address it uses.
        device: String,
        connection: Connection,
    },
    /// The kernel does not have this setting.
    NoSuchSetting(String),
    /// Services would not start without the VRF.
    HasUnits { vrf: String, units: Vec<String> },
    /// An earlier change waits for its confirmation.
    Unconfirmed,
    /// No change waits for a confirmation.
    NothingToConfirm,
    /// There is no last change.
    NothingToUndo,
    /// An interface has a name that would be something else in an exported file.
    NotOneWord(String),
    /// An emulated VRF has no words in such a file.
    OnlyToml(String),
    /// The change that was to be confirmed had not been finished; what became of it.
    Unfinished(String),
    /// The rollback that was asked for cannot be prepared, so nothing is changed.
    NoWayBack { source: io::Error },
    /// The change is made, and its journal cannot be put away.
    Unkept { source: io::Error },
    /// These steps could not be undone, each with the kernel's answer.
    Left(Vec<String>),
    /// This systemd can bind no services.
    OldSystemd(u32),
    /// A socket made here is not bound to the VRF.
    Unbound(String),
    /// No process is moved.
    NotMoved(String),
    /// A cgroup cannot be bound, or must not be.
    CannotBind {
        /// What it is to the user.
        what: String,
        vrf: String,
        why: String,
    },
    /// Nobody has this name.
    NoSuchUser(String),
    /// A socket made as this user is not bound to the VRF, although the programs are attached.
    UserUnbound {
        user: String,
        vrf: String,
        /// What the trial said.
        why: String,
    },
    /// Sockets of users would fail without the VRF.
    HasUsers { vrf: String, users: Vec<String> },
    /// The outside of such an interface is put into a VRF in another way.
    NotWireguard { name: String, kind: String },
    /// A tunnel has no UDP port yet.
    NoTunnelPort(String),
    /// Two tunnels of two VRFs have one mark.
    SharedMark { name: String, mark: u32, other: String },
    /// The outer packets of tunnels would be stopped without the VRF.
    HasTunnels { vrf: String, tunnels: Vec<String> },
    /// A file says something that cannot be.
    BadFile {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What stands there.
        text: String,
        /// What is wrong with it.
        what: String,
    },
    /// A file stands where one of ours would, and is somebody else's.
    ForeignFile(PathBuf),
    /// Neither domain has a route to the prefix.
    NobodysPrefix(String),
    /// A file cannot be read or written.
    File {
        path: PathBuf,
        /// The errno.
        refusal: KernelError,
    },
    /// nft(8) cannot be run, or was refused.
    Nft {
        /// The table that it was about.
        table: Table,
        /// What it said.
        refusal: KernelError,
    },
    /// Something can be in no conntrack zone.
    NoZone(String),
    /// The network namespace cannot be entered.
    NoNetns {
        name: String,
        /// The errno.
        source: io::Error,
    },
    /// The command line asks for something that cannot be.
    Usage(String),
}

impl Error {
    /// For `map_err`: what could not be read.
    pub fn unreadable<E: Into<KernelError>>(what: impl Into<String>) -> impl FnOnce(E) -> Self {
        let what = what.into();
        |refusal| Self::Unreadable { what, refusal: refusal.into() }
    }

    /// A file that cannot be read or written.
    pub fn file(path: &Path, source: &io::Error) -> Self {
        Self::File { path: path.to_owned(), refusal: KernelError::from_io(source) }
    }

    /// 2 for a command line or a file that makes no sense, 1 for the rest.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Usage(_) | Self::BadFile { .. } => ExitCode::from(2),
            _ => ExitCode::from(1),
        }
    }

    /// A line that the user can type, where there is one.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Refused { refusal, step } if refusal.errno == libc::EOPNOTSUPP && step.makes_vrf() => {
                match step.as_ref() {
                    Step::AddVrf(device, _) => Some(format!("vrfsetup add {} --emulate --port IF", device.name)),
                    _ => None,
                }
            }
            Self::NameTaken(name) => Some(format!("ip -d link show {name}")),
            Self::Emulated { vrf, .. } => Some(format!("vrfsetup del {vrf}")),
            Self::NotAVrf(name) => Some(format!("ip -d link show {name}")),
            Self::OtherTable { name, .. } => Some(format!("vrfsetup del {name}")),
            Self::OtherMaster { port, .. } => Some(format!("vrfsetup detach {port}")),
            Self::ForeignRule(rule) => Some(rule.move_command(rule.priority + 1)),
            Self::OnlyToml(_) => Some("vrfsetup export --format toml".to_owned()),
            Self::NoNetns { .. } => Some("ip netns list".to_owned()),
            Self::HasUnits { vrf, units } => Some(format!("vrfsetup unit --remove {vrf} {}", units.join(" "))),
            Self::HasUsers { users, .. } => users.first().map(|user| format!("vrfsetup user --remove {user}")),
            Self::HasTunnels { tunnels, .. } => tunnels.first().map(|name| format!("vrfsetup tunnel --remove {name}")),
            Self::NoTunnelPort(name) => Some(format!("ip link set {name} up")),
            Self::SharedMark { name, .. } => Some(format!("wg set {name} fwmark 0")),
            Self::NotWireguard { name, kind } => another_way(name, kind),
            Self::Unconfirmed => Some("vrfsetup confirm".to_owned()),
            Self::NotRolledBack { .. } | Self::Left(_) => Some("vrfsetup rollback".to_owned()),
            _ => None,
        }
    }
}

/// How the outside of another kind of interface comes into a VRF.
fn another_way(name: &str, kind: &str) -> Option<String> {
    match kind {
        "tun" => Some("vrfrun VRF PROGRAM, for the program that makes it".to_owned()),
        "vxlan" => Some(format!("ip link add {name} type vxlan ... dev VRF")),
        _ => None,
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { step, refusal } => write!(f, "refused '{step}', nothing is changed: {refusal}"),
            Self::NotRolledBack { cause, left } => {
                let left = left.join(", ");
                match cause.as_ref() {
                    Self::Refused { step, refusal } => {
                        write!(f, "refused '{step}', and these could not be undone: {left}: {refusal}")
                    }
                    Self::Interrupted(signal) => write!(f, "ended by {signal}, and these could not be undone: {left}"),
                    cause => write!(f, "{cause}; these could not be undone: {left}"),
                }
            }
            Self::Interrupted(signal) => write!(f, "ended by {signal}, nothing is changed"),
            Self::NoLock { source } => {
                write!(f, "cannot use /run/vrfsetup, nothing is changed: {}", KernelError::from_io(source))
            }
            Self::NoProgram { vrf, refusal } => {
                write!(f, "refused 'load a program for {vrf}', nothing is changed: {refusal}")
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
                write!(f, "{connection} uses '{device}' and would break (--force or --confirm SECONDS goes on)")
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
            Self::NotMoved(why) => write!(f, "cannot move processes: {why}"),
            Self::Unbound(vrf) => write!(f, "sockets made here are not bound to VRF '{vrf}'"),
            Self::CannotBind { what, vrf, why } => write!(f, "cannot bind {what} to VRF '{vrf}': {why}"),
            Self::NoSuchUser(name) => write!(f, "no user '{name}' in /etc/passwd; others are known by number only"),
            Self::UserUnbound { user, vrf, why } => {
                write!(f, "sockets of '{user}' do not come into VRF '{vrf}', nothing is changed: {why}")
            }
            Self::HasUsers { vrf, users } => {
                let users = users.join(", ");
                write!(f, "without '{vrf}', all sockets of its users would fail: {users} (--force goes on)")
            }
            Self::NotWireguard { name, kind } => {
                write!(f, "'{name}' ({kind}) is no WireGuard interface, whose outside alone is put into a VRF here")
            }
            Self::NoTunnelPort(name) => write!(f, "'{name}' has no UDP port yet"),
            Self::SharedMark { name, mark, other } => {
                write!(f, "'{name}' has the mark {mark:#x} of '{other}', whose outside is in another VRF")
            }
            Self::HasTunnels { vrf, tunnels } => {
                let tunnels = tunnels.join(", ");
                write!(f, "without '{vrf}', nothing would leave by its tunnels: {tunnels} (--force goes on)")
            }
            Self::BadFile { path, line, text, what } => write!(f, "{}:{line}: {what}: {text}", path.display()),
            Self::ForeignFile(path) => write!(f, "'{}' is not by vrfsetup, and stays as it is", path.display()),
            Self::NobodysPrefix(prefix) => write!(f, "neither domain has a route of its own to {prefix}"),
            Self::File { path, refusal } => write!(f, "cannot use '{}': {refusal}", path.display()),
            Self::NoNetns { name, source } => {
                write!(f, "cannot enter network namespace '{name}': {}", KernelError::from_io(source))
            }
            Self::Nft { table, refusal } => write!(f, "cannot look at {}: {refusal}", table.what),
            Self::NoZone(what) => write!(f, "no conntrack zone for {what}"),
            Self::Usage(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for Error {}

/// The exit status of `check`, `doctor` and dry runs that found differences.
pub const DIFFERS: u8 = 3;
