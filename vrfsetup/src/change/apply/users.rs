//! `[user]`: the users whose sockets are in a VRF.

use toml::Spanned;

use super::planner::Planner;
use super::{Plan, Section};
use crate::change::user;
use crate::error::Error;
use crate::model::link::Link;
use crate::model::place::Place;
use crate::model::step::Step;
use crate::model::user_line::UserLine;
use crate::sys::accounts::Account;
use crate::sys::netlink::KernelError;
use crate::sys::run_dir;
use crate::sys::users::{self, Assigned, State};

impl Planner<'_> {
    /// Plans them, and with `--prune` that those who are not declared leave. Whom the file puts into a VRF that a boot
    /// cannot make has no network: the default domain is not where it was to be.
    pub(super) fn users(&mut self, plan: &mut Plan) -> Result<(), Error> {
        let config = self.config;
        let state = self.known_users()?;
        let mut declared: Vec<Account> = Vec::new();
        for (name, line) in &config.user {
            self.at = Section::User(name.clone());
            let account = account(self, name, line)?;
            if let Some(other) = declared.iter().find(|other| other.uid == account.uid) {
                return Err(self.source.mistake_at(line, &format!("the same user as '{}'", other.name)));
            }
            let place = place(self, line, &account, plan)?;
            let is_made = will_be(self, line)?;
            if !is_made {
                plan.notes.push(format!("all sockets of user '{name}' fail: there is no VRF '{}'", place.vrf));
            }
            if let Some(step) = step(self, &state, account.uid, &place) {
                plan.then.push((self.at.clone(), step));
                plan.users.extend(is_made.then(|| (account.clone(), place.vrf)));
            }
            declared.push(account);
        }
        self.closed_users(&state, &mut declared, plan);
        self.at = Section::All;
        if self.prunes {
            let is_declared = |uid| declared.iter().any(|account| account.uid == uid);
            let surplus: Vec<_> = state.users.iter().filter(|user| !is_declared(user.uid)).collect();
            if !surplus.is_empty() {
                user::refuse_elsewhere()?;
            }
            let steps = surplus.into_iter().filter_map(|other| user::step(&state, other.uid, None));
            plan.then.extend(steps.map(|step| (Section::All, step)));
        }
        Ok(())
    }

    /// Whom the kernel has in VRFs: without it nobody knows who is to leave, and what a step is undone to. That nobody can tell whose
    /// logins have files is no reason to have no VRF at boot.
    fn known_users(&self) -> Result<State, Error> {
        if !run_dir::is_first_netns() {
            return Ok(State::default());
        }
        let known = users::known().map_err(user::unreadable())?;
        let is_concerned = self.prunes || !self.config.user.is_empty() || !self.config.closed.is_empty();
        if is_concerned && !self.may_lack_ports { known.whole().map_err(user::unreadable()) } else { Ok(known) }
    }

    /// Those of lines with a mistake, which has been named. Who is in a VRF stays there.
    fn closed_users(&mut self, state: &State, declared: &mut Vec<Account>, plan: &mut Plan) {
        if !run_dir::is_first_netns() {
            // They would be closed on the whole machine.
            return;
        }
        for name in &self.config.closed {
            let Some(account) = closed_account(name) else { continue };
            if state.of(account.uid).is_some() || declared.iter().any(|other| other.uid == account.uid) {
                continue;
            }
            plan.notes.push(format!("all sockets of user '{name}' fail until its line in [user] is right"));
            plan.then.extend(
                user::step(state, account.uid, Some(&Place::nowhere())).map(|step| (Section::User(name.clone()), step)),
            );
            declared.push(account);
        }
    }
}

/// Called as the file calls it, so that errors name what is left out.
fn account(planner: &Planner, name: &str, line: &Spanned<UserLine>) -> Result<Account, Error> {
    user::refuse_elsewhere()?;
    users::look().map_err(|error| user::unreadable()(KernelError::from(error)))?;
    let account = user::account(name).map_err(|error| planner.source.mistake_at(line, &error.to_string()))?;
    Ok(Account { name: name.to_owned(), ..account })
}

/// Whom a key means that may be no string: `al.x = "blue"` without quotes is about `al` in TOML, and means `al.x`.
fn closed_account(name: &str) -> Option<Account> {
    let first = || name.split_once('.').and_then(|(first, _)| user::account(first.trim_matches(['"', '\''])).ok());
    user::account(name).ok().or_else(first)
}

/// Without the group nobody leaves, nor who has it as its primary one, and without pam_namespace no login has files of its
/// own: a mistake, but at boot no reason to have no network.
fn place(planner: &Planner, line: &Spanned<UserLine>, account: &Account, plan: &mut Plan) -> Result<Place, Error> {
    let mut place = line.get_ref().0.clone();
    let way_out = if place.may_leave { user::check_way_out(account) } else { Ok(()) };
    let logins = if place.has_etc { user::check_logins(account) } else { Ok(()) };
    place.may_leave &= way_out.is_ok();
    place.has_etc &= logins.is_ok();
    for (refused, lacks) in [(way_out, "cannot leave the VRF"), (logins, "has the machine's names")] {
        let Err(refused) = refused else { continue };
        let (name, what) = (&account.name, refused.to_string());
        if !planner.may_lack_ports {
            return Err(planner.source.mistake_at(line, &what));
        }
        plan.notes.push(format!("user '{name}' {lacks}: {what}"));
    }
    Ok(place)
}

/// Whether there is such a VRF in the end. Where not, it is a mistake; not at boot, which makes what it can.
fn will_be(planner: &Planner, line: &Spanned<UserLine>) -> Result<bool, Error> {
    let vrf = &line.get_ref().0.vrf;
    let is_there = !planner.prunes && there(planner, vrf).is_some();
    let declared = planner.config.vrf.get(vrf);
    if declared.map_or(is_there, |declared| !declared.emulate) {
        return Ok(true);
    }
    let what = if declared.is_some() { "users cannot be in an emulated VRF" } else { "no such VRF" };
    if planner.may_lack_ports { Ok(false) } else { Err(planner.source.mistake_at(line, what)) }
}

fn there<'p>(planner: &'p Planner, vrf: &str) -> Option<&'p Link> {
    planner.inventory.system.link(vrf).filter(|link| link.is_vrf() && link.name == vrf)
}

/// None where the kernel has it so. One that knows an older VRF of this name is told again.
fn step(planner: &Planner, state: &State, uid: u32, place: &Place) -> Option<Step> {
    let (now, index) = (state.of(uid), there(planner, &place.vrf).map(|link| link.ifindex));
    let is_it = |user: &Assigned| user.place() == *place && user.ifindex == index && !user.has_stale_group();
    let is_so = now.is_some_and(is_it) && !state.lacks_programs;
    let from = now.map(Assigned::place);
    (!is_so).then(|| Step::SetUser { uid, from, to: Some(place.clone()) })
}
