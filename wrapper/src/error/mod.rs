//! What can go wrong, how it is said on stderr, and with which exit status.
//!
//! Holds the failures of vrfrun itself and why one mechanism is not available (`unavailable`). May use `options`, and `sys` to
//! print. Asks the kernel nothing, and does no more than print.
#![forbid(unsafe_code)]

pub mod panic;
pub mod unavailable;

use std::ffi::{OsStr, OsString};
use std::fmt::{self, Display, Formatter};
use std::io::{self, Write};
use std::path::PathBuf;

use nix::errno::Errno;

use crate::error::unavailable::{MORE_DESCRIPTORS, Unavailable};
use crate::options::Mechanism;
use crate::sys::process;

/// vrfrun itself failed.
pub const EXIT_OWN: i32 = 125;
/// The program was found but cannot be run.
pub const EXIT_CANNOT_RUN: i32 = 126;
/// The program was not found.
pub const EXIT_NOT_FOUND: i32 = 127;

/// A failure, named for the situation that the user is in.
#[derive(Debug)]
pub enum Error {
    /// The command line makes no sense: the line says how.
    Usage(String),
    /// A network namespace cannot be entered.
    NoNetns { name: OsString, errno: Errno },
    /// There is no interface of this name here.
    NoSuchDevice { name: OsString, is_vrf: bool },
    /// There is no VRF here at all: the kernel's module for them is not even loaded.
    NoVrfs(OsString),
    /// `vrfrun each` finds none: what their names had to match.
    NoVrfMatches(Option<OsString>),
    /// The interface is there, but it is no VRF.
    NotVrf(OsString),
    /// The kernel cannot be asked about interfaces.
    NoRouting(Errno),
    /// A file of /proc cannot be read.
    NoProc { file: &'static str, errno: Errno },
    /// A kernel interface failed: what was tried, and what the kernel said.
    Kernel { tried: String, errno: Errno },
    /// No mechanism could be verified; each with its reason.
    NoMechanism { device: OsString, unavailable: Vec<(Mechanism, Unavailable)> },
    /// `--trace` cannot be had: why.
    NoTrace(Unavailable),
    /// Under `--strict`: packets could leave the VRF's table.
    Unsealed { vrf: OsString, why: String, fix: String },
    /// A descriptor that the program would inherit is a socket outside the VRF.
    ForeignDescriptor { fd: i32, what: String, device: OsString, is_strict: bool },
    /// The descriptors that the program would inherit cannot be looked at: why.
    NoDescriptors(String),
    /// A file of the VRF's own cannot be put over the system's.
    Etc { tried: String, errno: Errno, hint: Option<String> },
    /// A login cannot have the VRF's files: why.
    Login(String),
    /// The user or group is not in the system's files.
    NoSuchUser(OsString),
    /// A user's number alone, of a user who has no entry, and the group of that number is somebody else's.
    GroupOfAnother { user: OsString, number: u32, owner: OsString },
    /// `--user` by somebody who is not root.
    NotRoot(OsString),
    /// The sockets of this process are bound by something that cannot be left.
    CannotLeave { device: OsString, why: String, hint: Option<String> },
    /// The program cannot be run.
    CannotRun { program: PathBuf, errno: Errno },
    /// The program was not found.
    NotFound(OsString),
}

impl Error {
    /// For `map_err`: names what was tried.
    pub fn kernel(tried: impl Into<String>) -> impl FnOnce(Errno) -> Error {
        let tried = tried.into();
        move |errno| Error::Kernel { tried, errno }
    }

    /// For `map_err`: the list of mounts.
    pub fn no_mounts(errno: Errno) -> Error {
        Error::NoProc { file: "/proc/self/mountinfo", errno }
    }

    /// A login that gets no files.
    pub fn login(why: &str) -> Error {
        Error::Login(why.into())
    }

    /// What was to be printed is not.
    pub fn unwritten(error: &io::Error) -> Error {
        let errno = error.raw_os_error().map_or(Errno::EIO, Errno::from_raw);
        Error::Kernel { tried: "write to standard output".into(), errno }
    }

    /// The exit status that says this to a script.
    pub fn exit_status(&self) -> i32 {
        match self {
            Error::CannotRun { .. } => EXIT_CANNOT_RUN,
            Error::NotFound(_) => EXIT_NOT_FOUND,
            _ => EXIT_OWN,
        }
    }

    /// The command or the step that helps, if one does.
    pub fn hint(&self) -> Option<String> {
        match self {
            Error::Usage(_) => Some("vrfrun --help".into()),
            Error::NoSuchDevice { is_vrf: true, name } => {
                Some(format!("vrfsetup show, or make it: vrfsetup add {}", text(name)))
            }
            Error::NoVrfs(_) => Some("vrfsetup doctor".into()),
            Error::NoVrfMatches(_) => Some("vrfsetup show".into()),
            Error::NoTrace(reason) => reason.hint.clone(),
            Error::NotVrf(name) => Some(format!("vrfrun --interface {} …", text(name))),
            Error::NoMechanism { unavailable, .. } => unavailable.iter().find_map(|(_, reason)| reason.hint.clone()),
            Error::NoRouting(Errno::EMFILE)
            | Error::NoProc { errno: Errno::EMFILE, .. }
            | Error::Kernel { errno: Errno::EMFILE, .. } => Some(MORE_DESCRIPTORS.into()),
            // What seccomp filters answer instead of the kernel.
            Error::NoRouting(Errno::EAFNOSUPPORT | Errno::EOPNOTSUPP | Errno::EPERM | Errno::EACCES) => {
                Some("allow AF_NETLINK: RestrictAddressFamilies= of a unit, --protocol= of firejail".into())
            }
            Error::NoProc { errno: Errno::ENOENT, .. } => {
                Some("mount -t proc proc /proc, or bwrap --proc /proc …".into())
            }
            Error::NoNetns { name, errno: Errno::ENOENT } => Some(match text(name) {
                pid if pid.parse::<u32>().is_ok() => format!("nsenter -t {pid} -n vrfrun …"),
                _ => "ip netns list".into(),
            }),
            Error::Unsealed { fix, .. } => Some(fix.clone()),
            Error::CannotLeave { hint, .. } => hint.clone(),
            Error::GroupOfAnother { user, .. } => Some(format!("vrfrun -u {}:GROUP …", text(user))),
            Error::ForeignDescriptor { is_strict: true, fd, .. } => {
                Some(format!("close it: {fd}>&- or {fd}<&- in a shell"))
            }
            Error::ForeignDescriptor { .. } => Some("close it, or leave it as it is with --keep-fds".into()),
            Error::NoDescriptors(_) => {
                Some("mount -t proc proc /proc, or leave them as they are with --keep-fds".into())
            }
            Error::Etc { hint, .. } => hint.clone(),
            _ => None,
        }
    }

    /// Says it on stderr; returns the exit status.
    pub fn report(&self) -> i32 {
        note(self);
        if let Some(hint) = self.hint() {
            say(&format_args!("hint: {hint}"));
        }
        self.exit_status()
    }
}

impl Display for Error {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Error::Usage(line) => f.write_str(line),
            Error::NoSuchDevice { name, is_vrf } => {
                let what = if *is_vrf { "VRF" } else { "interface" };
                write!(f, "cannot bind to {what} '{}': {}", text(name), Errno::ENODEV.desc())
            }
            Error::NoVrfs(name) => {
                let why = "no VRF was made since this machine started (the kernel's vrf module is not loaded)";
                write!(f, "cannot bind to VRF '{}': {why}: {}", text(name), Errno::ENODEV.desc())
            }
            Error::NoVrfMatches(None) => f.write_str("cannot run in every VRF: there is none here"),
            Error::NoVrfMatches(Some(pattern)) => {
                write!(f, "cannot run in every VRF: no name matches '{}'", text(pattern))
            }
            Error::NotVrf(name) => write!(f, "cannot bind to VRF '{}': the interface is not a VRF", text(name)),
            Error::ForeignDescriptor { fd, what, device, .. } => {
                write!(f, "cannot take descriptor {fd} into '{}': it is {what}", text(device))
            }
            Error::NoNetns { name, errno: Errno::EINVAL } => write!(f, "'{}' is no network namespace", text(name)),
            Error::NoNetns { name, errno } => {
                write!(f, "cannot enter network namespace '{}': {}", text(name), errno.desc())
            }
            Error::Login(why) => write!(f, "no files for a login: {why}"),
            Error::NoDescriptors(why) => write!(f, "cannot look at inherited descriptors: {why}"),
            Error::NoRouting(errno) => write!(f, "cannot open a routing socket: {}", errno.desc()),
            Error::NoProc { file, errno } => write!(f, "cannot read {file}: {}", errno.desc()),
            Error::Kernel { tried, errno } | Error::Etc { tried, errno, .. } => {
                write!(f, "cannot {tried}: {}", errno.desc())
            }
            Error::NoMechanism { device, unavailable, .. } => {
                write!(f, "cannot bind to '{}': ", text(device))?;
                for (number, (mechanism, reason)) in unavailable.iter().enumerate() {
                    let separator = if number == 0 { "" } else { "; " };
                    write!(f, "{separator}{mechanism}: {}", reason.why)?;
                }
                Ok(())
            }
            Error::NoTrace(reason) => write!(f, "--trace: {}", reason.why),
            Error::Unsealed { vrf, why, .. } => write!(f, "--strict: {}", leaves(vrf, why)),
            Error::NotRoot(name) => write!(f, "cannot become '{}': --user needs root", text(name)),
            Error::NoSuchUser(name) => write!(f, "cannot become '{}': no such user or group", text(name)),
            Error::GroupOfAnother { user, number, owner } => {
                let why = format!("it has no entry in /etc/passwd, and group {number} is '{}'", text(owner));
                write!(f, "cannot become '{}': {why}", text(user))
            }
            Error::CannotLeave { device, why, .. } => write!(f, "cannot leave '{}': {why}", text(device)),
            Error::CannotRun { program, errno } => {
                write!(f, "cannot run '{}': {}", program.display(), errno.desc())
            }
            Error::NotFound(name) => write!(f, "cannot find '{}': command not found", text(name)),
        }
    }
}

/// The sentence about a VRF whose packets can get out of its table.
pub fn leaves(vrf: &OsStr, why: &str) -> String {
    format!("packets of VRF '{}' can leave by the default domain: {why}", text(vrf))
}

/// One line on stderr, with the program's name before it.
pub fn note(line: &dyn Display) {
    say(&format_args!("vrfrun: {line}"));
}

/// A warning and the command that fixes it.
pub fn warn(line: &str, hint: &str) {
    note(&format_args!("warning: {line}"));
    say(&format_args!("hint: {hint}"));
}

/// One line on stderr as it is.
pub fn say(line: &dyn Display) {
    // One write, so that lines of several processes do not mix; a closed stderr is no reason to fail.
    let line = format!("{}\n", printable(&line.to_string()));
    let _ = process::without_sigpipe(|| io::stderr().write_all(line.as_bytes()));
}

/// Bytes from outside, fit to be shown.
pub fn text(bytes: &OsStr) -> String {
    printable(&bytes.to_string_lossy())
}

/// One line that a terminal does not obey, whatever the names in it are.
fn printable(line: &str) -> String {
    line.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_has_the_exit_status_of_the_contract() {
        assert_eq!(Error::Usage("x".into()).exit_status(), 125);
        assert_eq!(Error::CannotRun { program: "/x".into(), errno: Errno::EACCES }.exit_status(), 126);
        assert_eq!(Error::NotFound("x".into()).exit_status(), 127);
    }

    #[test]
    fn an_unknown_vrf_is_named_with_the_kernels_words_last() {
        let error = Error::NoSuchDevice { name: "red".into(), is_vrf: true };
        assert_eq!(error.to_string(), "cannot bind to VRF 'red': No such device");
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(text(OsStr::new("a\x1b[2Jb")), "a?[2Jb");
    }
}
