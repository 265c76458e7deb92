//! `vrfsetup user`: every inet socket of a user's processes is in a VRF, however they were started.

use std::path::Path;

use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};
use vrfabi::group::DEFAULT_DOMAIN;

use crate::change::session::names;
use crate::change::unit;
use crate::error::Error;
use crate::inspect::doctor;
use crate::model::place::Place;
use crate::model::step::Step;
use crate::plan::system::System;
use crate::sys::accounts::{self, Account};
use crate::sys::netlink::{Kernel, KernelError};
use crate::sys::users::{self, Assigned, State};
use crate::sys::{cgroup, namespaces, resolver, run_dir, trial};
use crate::transaction::report::Outcome;
use crate::transaction::session::{Session, Transaction};
use crate::transaction::users as map;

/// Puts the user into the VRF.
///
/// # Errors
/// There is no such user, VRF or group to leave by, the kernel refused, sockets stay unbound, or logins would be denied; then
/// nothing is changed.
pub fn set(session: &Session, user: &str, place: Place) -> Result<Outcome, Error> {
    let account = account(user)?;
    let vrf = System::read(session.kernel)?.existing_vrf(&place.vrf)?.name.clone();
    if place.may_leave {
        check_way_out(&account)?;
    }
    let state = read()?;
    refuse_elsewhere()?;
    if place.has_etc {
        check_logins(&account)?;
        names::verify(&vrf)?;
    }
    let repaired = repair(session, &state)?;
    let mut transaction = session.begin()?;
    let place = Place { vrf: vrf.clone(), ..place };
    transaction.make_all(step(&state, account.uid, Some(&place)))?;
    verify(&account, &vrf).map_err(|error| transaction.abandon(error))?;
    let about_names = if place.has_etc { about_logins() } else { about_names(&vrf) };
    about_names.into_iter().chain(about_guard()).for_each(|note| transaction.note(note));
    let outcome = transaction.commit()?;
    Ok(Outcome { changed: outcome.changed || repaired, ..outcome })
}

/// Whom a user's programs ask for names is the machine's choice.
fn about_names(vrf: &str) -> Option<String> {
    if let Some(why) = resolver::outside() {
        return Some(format!("names may not be resolved in '{vrf}': {why}"));
    }
    let directory = Path::new("/etc/vrf").join(vrf);
    let is_there = directory.is_dir();
    is_there.then(|| {
        format!("{} is for programs of vrfrun; a user's read /etc/resolv.conf without --etc", directory.display())
    })
}

/// Whose logins have the files PAM decides.
fn about_logins() -> Option<String> {
    let is_there = doctor::gives_logins_files();
    (!is_there)
        .then(|| format!("no login has the files yet: no file of /etc/pam.d has the lines '{NAMESPACE}' and '{FILES}'"))
}

const NAMESPACE: &str = "session required pam_namespace.so";
const FILES: &str = "session required pam_exec.so seteuid /usr/sbin/vrfsetup session --etc";

/// Whether PAM can give this user's logins mount namespaces.
///
/// # Errors
/// It cannot, or nobody can tell.
pub fn check_logins(account: &Account) -> Result<(), Error> {
    namespaces::names().map_err(|error| Error::file(Path::new(namespaces::FILE), &error))?;
    let can_be_named = namespaces::can_be_named(account.uid).map_err(Error::unreadable("/etc/passwd"))?;
    let why = match can_be_named {
        true if namespaces::is_read() => return Ok(()),
        true => "there is no pam_namespace with a directory /etc/security/namespace.d",
        false => "pam_namespace knows users by plain names of /etc/passwd",
    };
    Err(Error::NoNamespace { user: account.name.clone(), why })
}

/// Takes the user out of its VRF; with the last one, the programs go.
///
/// # Errors
/// There is no such user, or the kernel refused.
pub fn remove(session: &Session, user: &str) -> Result<Outcome, Error> {
    let account = account(user)?;
    let state = read()?;
    refuse_elsewhere()?;
    let mut transaction = session.begin()?;
    transaction.make_all(step(&state, account.uid, None))?;
    // One whom no boot has put into a VRF again may still be there.
    keep_in_file(&mut transaction, |uid| uid != account.uid)?;
    let outcome = transaction.commit()?;
    namespaces::remove_unused_point();
    Ok(outcome)
}

/// Leaves these users in PAM's file.
fn keep_in_file(transaction: &mut Transaction, is_kept: impl Fn(u32) -> bool) -> Result<(), Error> {
    match namespaces::step_to_keep(is_kept) {
        Ok(step) => transaction.make_all(step),
        Err(error) => Err(transaction.abandon(Error::file(Path::new(namespaces::FILE), &error))),
    }
}

/// Brings the kernel's map up to date: VRFs that others made again or deleted, programs that others detached.
///
/// # Errors
/// The kernel refused.
pub fn refresh(session: &Session) -> Result<Outcome, Error> {
    let state = users::look().map_err(|error| unreadable()(error.into()))?;
    refuse_elsewhere()?;
    let mut transaction = session.begin()?;
    // First: nobody wants it undone where the file cannot be read or written.
    let repaired = repair(session, &state)?;
    let state = state.whole().map_err(|error| transaction.abandon(unreadable()(error)))?;
    keep_in_file(&mut transaction, |uid| state.of(uid).is_some_and(|user| user.has_etc))?;
    let outcome = transaction.commit()?;
    namespaces::remove_unused_point();
    Ok(Outcome { changed: outcome.changed || repaired, ..outcome })
}

/// The step that puts a user into a VRF, or takes it out; none where it is so.
pub fn step(state: &State, uid: u32, to: Option<&Place>) -> Option<Step> {
    let from = state.of(uid).map(Assigned::place);
    (from.as_ref() != to).then(|| Step::SetUser { uid, from, to: to.cloned() })
}

/// Whether there is the group by which this user leaves.
///
/// # Errors
/// There is none, or all of the user's processes have it.
pub fn check_way_out(account: &Account) -> Result<(), Error> {
    let unreadable = Error::unreadable("/etc/group and /etc/passwd");
    let gid = accounts::group(DEFAULT_DOMAIN).map_err(unreadable)?.ok_or(Error::NoGroup(DEFAULT_DOMAIN))?;
    let way_out = users::way_out(account.uid).map_err(Error::unreadable("/etc/group and /etc/passwd"))?;
    let is_own = || Error::PrimaryGroup { user: account.name.clone(), group: DEFAULT_DOMAIN };
    way_out.filter(|way_out| *way_out == gid).map(drop).ok_or_else(is_own)
}

/// The users of this VRF, as one calls them.
///
/// # Errors
/// Nobody can tell whether there are any.
pub fn users_of(vrf: &str) -> Result<Vec<String>, Error> {
    let known = if run_dir::is_first_netns() { users::known().map_err(unreadable())? } else { State::default() };
    Ok(known.users.iter().filter(|user| user.vrf == vrf).map(|user| accounts::name_of(user.uid)).collect())
}

/// Whom a name or a number means.
///
/// # Errors
/// Nobody, or root.
pub fn account(user: &str) -> Result<Account, Error> {
    match accounts::look_up(user) {
        None => Err(Error::NoSuchUser(user.to_owned())),
        Some(Account { uid: 0, .. }) => {
            Err(Error::Usage("root's sockets are those of every service, and stay where they are".to_owned()))
        }
        Some(account) => Ok(account),
    }
}

/// # Errors
/// The users of the machine are not those of another network namespace, and not to be seen from another cgroup namespace.
pub fn refuse_elsewhere() -> Result<(), Error> {
    if run_dir::first_netns().map_err(Error::unreadable("the network namespace of the machine"))? {
        return users::expect_root().map_err(Error::unreadable(users::ROOT));
    }
    Err(Error::Usage("users are put into VRFs of the machine's own network namespace only".to_owned()))
}

/// What the kernel has of users.
///
/// # Errors
/// It may not be read.
pub fn read() -> Result<State, Error> {
    users::read().map_err(unreadable())
}

/// What is said where they may not be.
pub fn unreadable() -> impl FnOnce(KernelError) -> Error {
    Error::unreadable("the users of VRFs")
}

/// What is as it should be is left alone; whether anything was not.
fn repair(session: &Session, state: &State) -> Result<bool, Error> {
    let kernel: &Kernel = session.kernel;
    let unrepaired = |refusal| Error::NoProgram { vrf: "the users".to_owned(), refusal };
    map::correct(kernel, state).map_err(unrepaired)
}

/// What stays open on this kernel, if anything does.
pub fn about_guard() -> Option<String> {
    let open = "open on this kernel are: another device that a program asks for after connect(AF_UNSPEC), ping and raw \
                sockets after that, IP_PKTINFO, IPv6 scope ids, IPv4 multicast and broadcast";
    users::visible().ports.is_none().then(|| format!("users' packets are not kept in their VRFs: {open}"))
}

/// A process of this user's finds its sockets in the VRF: else something stands between, as net_cls of cgroup v1 on old
/// kernels.
///
/// # Errors
/// It does not.
pub fn verify(account: &Account, vrf: &str) -> Result<(), Error> {
    let unbound = |why: String| Error::UserUnbound { user: account.name.clone(), vrf: vrf.to_owned(), why };
    let uid = account.uid.to_string();
    match trial::run(&["__verify-bound", vrf, "--as", &uid]) {
        Ok(trial::Ended { is_success: true, .. }) => Ok(()),
        Ok(ended) => Err(unbound(ended.said.trim().trim_start_matches("vrfsetup: ").to_owned())),
        Err(error) => Err(unbound(format!("a trial as this user failed: {error}"))),
    }
}

/// The trial: becomes the user, with its primary group, in the cgroup that all others are below. The caller's own may be bound
/// elsewhere, a login's of root's for one; what binds users stands on the first.
///
/// # Errors
/// A socket is not bound to the VRF, or this process may not go there or become the user.
pub fn verify_as(uid: u32, vrf: &str) -> Result<(), Error> {
    // Of another one success would be no proof: what stands there may bind this process alone.
    let unjoined = |error| Error::NotMoved(format!("the root of cgroup2: {}", KernelError::from_io(&error)));
    cgroup::join("/").map_err(unjoined)?;
    let unread = |errno| Error::unreadable("the sockets of this user")(errno);
    setgroups(&[]).map_err(unread)?;
    if let Some(gid) = accounts::primary_group(uid).map_err(Error::unreadable("/etc/passwd"))? {
        let gid = Gid::from_raw(gid);
        setresgid(gid, gid, gid).map_err(unread)?;
    }
    let uid = Uid::from_raw(uid);
    setresuid(uid, uid, uid).map_err(unread)?;
    unit::verify_bound(vrf)
}
