//! The programs of one cgroup: loads the best variant of each that the kernel takes, attaches it, and notes which it did
//! not take.

use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use nix::errno::Errno;

use crate::asm::Program;
use crate::netns::netns_cookie;
use crate::ports::List;
use crate::programs::{Rescue, Target, bind, connect, create, egress, sendmsg, setsockopt};
use crate::set::Device;
use crate::set::gaps::{Gaps, Place};
use crate::set::record::Record;
use crate::set::refused::{Refused, Step};
use crate::tags::Tags;
use crate::{attachment, call};

/// Puts the programs on the cgroup; they stay as long as it does. Where some are there already, by `is_there`, those that are
/// missing come first: if the kernel takes none of them, it never has, and nothing else is attached. If it takes one, that
/// was lost, and the others are attached beside those that are there: programs know raw sockets by a map that they share, and
/// what one notes in a new map the old ones do not see. `is_fixed`: no socket can be rebound. Writes no record.
///
/// # Errors
/// The kernel refused the program without which there is none, or what all of them need.
pub fn attach(
    device: &Device<'_>,
    cgroup: &OwnedFd,
    ports: &List,
    is_fixed: bool,
    is_there: impl Fn(Place) -> bool,
) -> Result<Record, Refused> {
    let mut gaps = Gaps::default();
    let tags = match Tags::create() {
        Ok(tags) => Some(tags),
        Err(errno) => note(&mut gaps, Step::Load(Place::Tags).refused()(errno)).map(|()| None)?,
    };
    let target = Target {
        ifindex: device.ifindex,
        name: device.name,
        netns: netns_cookie(),
        tags: tags.as_ref().map(AsRawFd::as_raw_fd),
    };
    let ports_id = ports.id().map_err(Step::Ports.refused())?;
    let record = Record { ports: ports_id, programs: [0; Place::ALL.len()], gaps };
    let mut set = Set { cgroup, target, ports: ports.as_raw_fd(), is_fixed, binds_mptcp: true, record };
    // `Create` comes last in any case: it has to know whether the others bind MPTCP.
    let others = Place::ALL.into_iter().filter(|place| place.hook().is_some() && *place != Place::Create);
    let (there, missing): (Vec<_>, Vec<_>) = others.partition(|place| is_there(*place));
    set.attach_each(&missing)?;
    if !is_there(Place::Create) || !set.record.is_empty() {
        set.attach_each(&there)?;
        set.attach_each(&[Place::Create])?;
    }
    Ok(set.record)
}

/// Where programs meet MPTCP's subflows.
const MPTCP: [Place; 4] = [Place::Connect4, Place::Connect6, Place::Bind4, Place::Bind6];

/// Notes a gap. Without the first program or a privilege that all of them need, there is no mechanism at all.
fn note(gaps: &mut Gaps, refused: Refused) -> Result<(), Refused> {
    match refused.step {
        Step::Load(_) if [Errno::EPERM, Errno::ENOSYS].contains(&refused.errno) => Err(refused),
        Step::Load(place) | Step::Attach(place) if place != Place::Create => {
            gaps.add(place, refused.errno);
            Ok(())
        }
        _ => Err(refused),
    }
}

/// What all programs of the cgroup share.
struct Set<'a> {
    cgroup: &'a OwnedFd,
    target: Target<'a>,
    ports: RawFd,
    is_fixed: bool,
    /// Whether every program so far that meets MPTCP's subflows binds them.
    binds_mptcp: bool,
    record: Record,
}

impl Set<'_> {
    /// Attaches the programs of these places and notes what came of it.
    fn attach_each(&mut self, places: &[Place]) -> Result<(), Refused> {
        for place in places {
            match self.attach(*place) {
                Ok(id) => self.record.programs[*place as usize] = id,
                Err(refused) => note(&mut self.record.gaps, refused)?,
            }
        }
        Ok(())
    }

    /// Loads and attaches the program of this place; returns its id.
    fn attach(&mut self, place: Place) -> Result<u32, Refused> {
        let outcome = self.attach_best(place);
        if MPTCP.contains(&place) {
            self.binds_mptcp &= matches!(outcome, Ok((_, 0)));
        }
        outcome.map(|(id, _)| id)
    }

    /// The id, and which variant it is: 0 is the best.
    fn attach_best(&self, place: Place) -> Result<(u32, usize), Refused> {
        let (load, attach) = (Step::Load(place), Step::Attach(place));
        let hook = place.hook().ok_or(Errno::EINVAL).map_err(load.refused())?;
        let mut last = Errno::EINVAL;
        for (variant, program) in self.variants(place).iter().enumerate() {
            match call::load(hook, program) {
                Ok(program) => {
                    attachment::attach(hook, &program, self.cgroup).map_err(attach.refused())?;
                    return Ok((call::program_id(&program).map_err(attach.refused())?, variant));
                }
                Err(errno) => last = errno,
            }
        }
        Err(load.refused()(last))
    }

    /// The program of this place for newer kernels, then those for older ones.
    fn variants(&self, place: Place) -> Vec<Program> {
        use Rescue::{BindAll, BindOwn, Deny};
        let (target, all) = (&self.target, |make: fn(&Target<'_>, Rescue) -> Program, rescues: &[Rescue]| {
            rescues.iter().map(|rescue| make(&self.target, *rescue)).collect()
        });
        match place {
            Place::Connect4 | Place::Connect6 => all(connect, &[BindAll, BindOwn, Deny]),
            Place::Bind4 | Place::Bind6 => all(bind, &[BindAll, Deny]),
            Place::Sendmsg4 | Place::Sendmsg6 => all(sendmsg, &[BindAll, Deny]),
            Place::Egress => vec![egress(target, self.ports)],
            Place::Setsockopt => vec![setsockopt(target, self.ports, self.is_fixed)],
            Place::Create => vec![create(target, self.binds_mptcp)],
            Place::Tags => Vec::new(),
        }
    }
}
