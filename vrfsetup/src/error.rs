//! Everything that can go wrong, named for the user's situation, with its message, its hint and its exit code.
//!
//! May use the values of `model` and `sys`. Does not print: `cli` does.
#![forbid(unsafe_code)]

mod message;

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::model::link::changes_its_outside;
use crate::model::nft::Table;
use crate::model::rule::Rule;
use crate::model::shell::{word, words};
use crate::model::step::Step;
use crate::sys::netlink::KernelError;
use crate::sys::sock_diag::Connection;

pub use message::LeftOut;

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
    /// A TCP listener that is bound to an interface has a port that is in use in another domain.
    PortTaken {
        /// The interface.
        device: String,
        address: std::net::SocketAddr,
        domain: String,
    },
    /// By what such a connection's packets leave cannot be told, so the change may break it.
    UnknownWay {
        connection: Connection,
        /// What the kernel refused to tell of its way, and its answer.
        unread: Box<str>,
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
    /// systemd has not read the units that are changed; why.
    NotReloaded(String),
    /// This systemd can bind no services.
    OldSystemd(u32),
    /// systemd runs services in cgroups of version 1, and cannot bind them.
    CgroupV1,
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
    /// A login cannot have the files of its user's VRF.
    NoEtc { vrf: String, why: String },
    /// PAM gives no login of this user a mount namespace.
    NoNamespace { user: String, why: &'static str },
    /// Nobody has this name.
    NoSuchUser(String),
    /// There is no group of this name.
    NoGroup(&'static str),
    /// The group by which a user leaves is the one that all of its processes have.
    PrimaryGroup { user: String, group: &'static str },
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
    KeepsItsOutside { name: String, kind: String, vrf: String },
    /// The outside of an interface is in another network namespace.
    OutsideElsewhere(String),
    /// A tunnel has no UDP port yet.
    NoTunnelPort(String),
    /// Two tunnels of two VRFs have one mark.
    SharedMark { name: String, mark: u32, other: String },
    /// The outer packets of tunnels would be stopped without the VRF.
    HasTunnels { vrf: String, tunnels: Vec<String> },
    /// Interfaces that name the VRF for their outside would send by the default domain without it, or nowhere; each
    /// with its kind.
    HasOutsides { vrf: String, tunnels: Vec<(String, String)> },
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
                    Step::AddVrf(device, _) => Some(format!("vrfsetup add {} --emulate --port IF", device.word())),
                    _ => None,
                }
            }
            Self::NameTaken(name) => Some(format!("ip -d link show {}", word(name))),
            Self::Emulated { vrf, .. } => Some(format!("vrfsetup del {}", word(vrf))),
            Self::NotAVrf(name) => Some(format!("ip -d link show {}", word(name))),
            Self::OtherTable { name, .. } => Some(format!("vrfsetup del {}", word(name))),
            Self::OtherMaster { port, .. } => Some(format!("ip link set {} nomaster", word(port))),
            Self::ForeignRule(rule) => Some(rule.move_command(rule.priority + 1)),
            Self::OnlyToml(_) => Some("vrfsetup export --format toml".to_owned()),
            Self::NoNetns { .. } => Some("ip netns list".to_owned()),
            Self::HasUnits { vrf, units } => {
                Some(format!("vrfsetup unit --remove {} {}", word(vrf), words(&units.join(" "))))
            }
            Self::NoGroup(name) => Some(format!("groupadd --system {name}")),
            Self::PrimaryGroup { user, .. } => Some(format!("usermod --gid GROUP {}", word(user))),
            Self::HasUsers { users, .. } => users.first().map(|user| format!("vrfsetup user --remove {}", word(user))),
            Self::HasTunnels { tunnels, .. } => {
                tunnels.first().map(|name| format!("vrfsetup tunnel {} --remove", word(name)))
            }
            Self::HasOutsides { tunnels, .. } => tunnels.first().map(|(name, kind)| match changes_its_outside(kind) {
                true => format!("vrfsetup tunnel {} --remove", word(name)),
                false => format!("ip link del {}", word(name)),
            }),
            Self::NoTunnelPort(name) => Some(format!("ip link set {} up", word(name))),
            Self::SharedMark { name, .. } => Some(format!("wg set {} fwmark 0", word(name))),
            Self::KeepsItsOutside { name, kind, vrf } => another_way(name, kind, vrf),
            Self::Unconfirmed => Some("vrfsetup confirm".to_owned()),
            Self::NotRolledBack { .. } | Self::Left(_) => Some("vrfsetup rollback".to_owned()),
            _ => None,
        }
    }
}

/// How the outside of another kind of interface comes into a VRF.
fn another_way(name: &str, kind: &str, vrf: &str) -> Option<String> {
    let (name, vrf) = (word(name), word(vrf));
    match kind {
        "tun" => Some(format!("vrfrun {vrf} PROGRAM, for the program that makes it")),
        // A VXLAN's socket stays where it is until the interface goes down; an xfrm interface keeps its device.
        "vxlan" | "xfrm" if vrf == "default" => Some(format!("ip link add {name} type {kind} ...")),
        // Which sends by the default domain, whatever it names.
        "vti" | "vti6" => Some(format!("ip link add {name} type xfrm ... dev {vrf}")),
        "vxlan" | "xfrm" => Some(format!("ip link add {name} type {kind} ... dev {vrf}")),
        _ => None,
    }
}

impl std::error::Error for Error {}

/// The exit status of `check`, `doctor` and dry runs that found differences.
pub const DIFFERS: u8 = 3;
