//! The programs of users on the root cgroup: loads the best variant of each that the kernel takes, attaches it, finds it again.

use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;

use super::{PROGRAM, Users};
use crate::asm::Program;
use crate::attachment::{attach, attached, detach_program};
use crate::call::{Hook, load_as};
use crate::found::{Found, by_id};
use crate::memlock::OfNobody;
use crate::programs::{Rescue, user_bind, user_connect, user_create, user_packet, user_sendmsg};

/// Where programs ask who calls.
pub const ADDRESS_HOOKS: [Hook; 7] =
    [Hook::SOCK_CREATE, Hook::CONNECT4, Hook::CONNECT6, Hook::BIND4, Hook::BIND6, Hook::SENDMSG4, Hook::SENDMSG6];

/// Where packets are judged.
const PACKET_HOOKS: [Hook; 2] = [Hook::EGRESS, Hook::INGRESS];

/// All places. The programs that let packets pass come first: no tag is put where nothing reads it.
const HOOKS: [Hook; 9] = [
    Hook::EGRESS,
    Hook::INGRESS,
    Hook::CONNECT4,
    Hook::CONNECT6,
    Hook::BIND4,
    Hook::BIND6,
    Hook::SENDMSG4,
    Hook::SENDMSG6,
    Hook::SOCK_CREATE,
];

impl Users {
    /// Whether one of this map's programs stands at each hook.
    ///
    /// # Errors
    /// As bpf(2).
    pub fn is_attached(&self, cgroup: impl AsFd) -> nix::Result<bool> {
        self.hooks().try_fold(true, |all, hook| Ok(all && self.has_program(hook, &cgroup)?))
    }

    /// Attaches the programs that are missing. Where one is refused, those that were attached here are detached.
    ///
    /// # Errors
    /// EPERM where the cgroup has a program that allows no other; else as bpf(2).
    pub fn attach(&self, cgroup: impl AsFd) -> nix::Result<()> {
        let _account = OfNobody::begin();
        let mut added = Vec::new();
        let outcome = self.hooks().try_for_each(|hook| self.attach_one(hook, &cgroup, &mut added));
        if outcome.is_err() {
            for (hook, program) in &added {
                // What cannot be detached finds an empty map, or one that is in use.
                let _ = detach_program(*hook, program, &cgroup);
            }
        }
        outcome
    }

    fn attach_one(&self, hook: Hook, cgroup: impl AsFd, added: &mut Vec<(Hook, OwnedFd)>) -> nix::Result<()> {
        if self.has_program(hook, &cgroup)? {
            return Ok(());
        }
        let program = self.load_best(hook)?;
        attach(hook, &program, &cgroup)?;
        added.push((hook, program));
        Ok(())
    }

    /// The best variant that the kernel takes.
    fn load_best(&self, hook: Hook) -> nix::Result<OwnedFd> {
        let mut last = Errno::EINVAL;
        for program in self.variants(hook) {
            match load_as(hook, &program, PROGRAM) {
                Ok(program) => return Ok(program),
                Err(errno) => last = errno,
            }
        }
        Err(last)
    }

    /// Whether the kernel takes what guards.
    pub(super) fn can_guard(&self) -> bool {
        PACKET_HOOKS.into_iter().chain([Hook::SOCK_CREATE]).all(|hook| self.load_best(hook).is_ok())
    }

    fn variants(&self, hook: Hook) -> Vec<Program> {
        let users = self.assignments();
        let both =
            |make: fn(&_, Rescue) -> Program| [Rescue::BindOwn, Rescue::Deny].map(|how| make(&users, how)).into();
        match hook {
            Hook::EGRESS | Hook::INGRESS => users.guard.iter().map(user_packet).collect(),
            Hook::CONNECT4 | Hook::CONNECT6 => both(user_connect),
            Hook::BIND4 | Hook::BIND6 => vec![user_bind(&users)],
            Hook::SENDMSG4 | Hook::SENDMSG6 => both(user_sendmsg),
            _ => vec![user_create(&users)],
        }
    }

    fn hooks(&self) -> impl Iterator<Item = Hook> + use<> {
        let is_guarded = self.is_guarded();
        HOOKS.into_iter().filter(move |hook| is_guarded || !PACKET_HOOKS.contains(hook))
    }

    /// Each names the map of users second, and those of packets that of devices.
    fn has_program(&self, hook: Hook, cgroup: impl AsFd) -> nix::Result<bool> {
        let id = match &self.guarding {
            Some(guarding) if PACKET_HOOKS.contains(&hook) => guarding.id()?,
            _ => self.map.id()?,
        };
        Ok(programs(hook, cgroup)?.iter().any(|found| found.maps.get(1) == Some(&id)))
    }

    /// Takes all such programs off the cgroup, whatever their maps: these go with them.
    ///
    /// # Errors
    /// As bpf(2).
    pub fn detach_all(cgroup: impl AsFd) -> nix::Result<()> {
        for hook in HOOKS {
            for found in programs(hook, &cgroup)? {
                detach_program(hook, &found.program, &cgroup)?;
            }
        }
        Ok(())
    }
}

/// Our programs at this hook.
pub fn programs(hook: Hook, cgroup: impl AsFd) -> nix::Result<Vec<Found>> {
    let found = attached(hook, cgroup)?.into_iter().map(|id| match by_id(id, PROGRAM) {
        Err(Errno::ENOENT) => Ok(None), // it has gone meanwhile
        found => found,
    });
    found.filter_map(Result::transpose).collect()
}
