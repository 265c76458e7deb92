//! `vrfsetup session --etc`: a login of a user of `vrfsetup user --etc` reads the files of its VRF, or is denied.
//!
//! vrfrun, which does it for a program, puts them over /etc. pam_namespace(8) has made the login's mount namespace: in any
//! other one somebody else would read them, too.

use std::ffi::OsString;
use std::path::PathBuf;
use std::{env, io};

use nix::sched::{CloneFlags, unshare};

use crate::change::session::pam;
use crate::error::Error;
use crate::sys::{accounts, namespaces, run_dir, trial, users};

/// Gives the login that is being opened the files of its user's VRF. Other users' logins are left as they are, as are
/// those of a user who is in no VRF by now: names are asked for where sockets are.
///
/// # Errors
/// It cannot have them, or nobody can tell; then it must not go on.
pub fn give(environment: impl Iterator<Item = (OsString, OsString)>) -> Result<(), Error> {
    let user = pam::user(environment)?;
    let with_etc = namespaces::uids().map_err(Error::unreadable("whose logins have files"))?;
    if with_etc.is_empty() {
        return Ok(());
    }
    let uid = uid_of(&user)?;
    if !with_etc.contains(&uid) {
        return Ok(());
    }
    if !run_dir::first_netns().map_err(Error::unreadable("the network namespace of the machine"))? {
        return Ok(());
    }
    users::expect_root().map_err(Error::unreadable(users::ROOT))?;
    let state = users::read().map_err(Error::unreadable("the users of VRFs"))?;
    let Some(place) = state.of(uid).filter(|user| user.has_etc) else { return Ok(()) };
    if !namespaces::is_callers_own().map_err(Error::unreadable("the mount namespace of this login"))? {
        let why = "it has no mount namespace of its own (pam_namespace comes first)";
        return Err(Error::NoEtc { vrf: place.vrf.clone(), why: why.to_owned() });
    }
    put(&place.vrf)
}

/// The number of the user of this name. One that /etc/passwd does not have may be a second name of a user's, where the name
/// services give it the same number. They say "not found" also while their server is away, and somebody logs in by that name.
fn uid_of(user: &str) -> Result<u32, Error> {
    if let Some(account) = accounts::try_look_up(user).map_err(Error::unreadable("/etc/passwd"))? {
        return Ok(account.uid);
    }
    let asked = accounts::ask_name_services(user);
    let asked = asked.and_then(|uid| uid.ok_or_else(|| io::Error::other("no name service knows it now")));
    asked.map_err(Error::unreadable(format!("who '{user}' is")))
}

/// Tries it in a process of its own, before a user's logins depend on it.
///
/// # Errors
/// They would be denied.
pub fn verify(vrf: &str) -> Result<(), Error> {
    let failed = |why: String| Error::NoEtc { vrf: vrf.to_owned(), why };
    let ended = trial::run(&["__verify-etc", vrf]).map_err(|error| failed(format!("a trial failed: {error}")))?;
    let head = format!("vrfsetup: {}", failed(String::new()));
    if ended.is_success { Ok(()) } else { Err(failed(ended.said.trim().trim_start_matches(&head).to_owned())) }
}

/// The trial.
///
/// # Errors
/// As [`verify`].
pub fn try_here(vrf: &str) -> Result<(), Error> {
    unshare(CloneFlags::CLONE_NEWNS).map_err(|errno| Error::unreadable("a mount namespace")(errno))?;
    put(vrf)
}

fn put(vrf: &str) -> Result<(), Error> {
    let failed = |why: String| Error::NoEtc { vrf: vrf.to_owned(), why };
    let program = vrfrun().map_err(|error| failed(format!("vrfrun is not beside vrfsetup: {error}")))?;
    let ended = trial::run_other(&program, &["__login-etc", vrf]).map_err(|error| failed(error.to_string()))?;
    let said = ended.said.lines().next().unwrap_or_default().trim_start_matches("vrfrun: ").to_owned();
    if ended.is_success { Ok(()) } else { Err(failed(said)) }
}

/// The one that was installed with this program.
fn vrfrun() -> io::Result<PathBuf> {
    let own = env::current_exe()?;
    let directory = own.parent().ok_or(io::ErrorKind::NotFound)?;
    let places = [directory.join("vrfrun"), directory.join("../bin/vrfrun")];
    places.into_iter().find(|path| path.is_file()).ok_or_else(|| io::ErrorKind::NotFound.into())
}
