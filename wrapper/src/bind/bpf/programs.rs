//! The programs of one cgroup: loads the best variant of each that the kernel takes, attaches it, and notes which it did
//! not take.

use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use vrfbpf::programs::{Rescue, Target, bind, connect, create, egress, sendmsg, setsockopt};
use vrfbpf::{List, Program, Tags};

use crate::bind::bpf::gaps::{Gaps, Place};
use crate::bind::bpf::ports::NEEDS;
use crate::bind::bpf::record::Record;
use crate::error::unavailable::Unavailable;
use crate::sys::feature::Feature;
use crate::vrf::device::Device;

/// Puts the programs on the cgroup; they stay as long as it does. Where some are there already, by `is_there`, those that are
/// missing come first: if the kernel takes none of them, it never has, and nothing else is attached. If it takes one, that
/// was lost, and the others are attached beside those that are there: programs know raw sockets by a map that they share, and
/// what one notes in a new map the old ones do not see. `is_fixed`: no socket can be rebound.
pub fn attach(
    device: &Device,
    cgroup: &OwnedFd,
    ports: &List,
    is_fixed: bool,
    is_there: impl Fn(Place) -> bool,
) -> Result<Record, Unavailable> {
    let mut gaps = Gaps::default();
    let tags = Tags::create().map_err(Trouble::Load).map_err(|trouble| note(&mut gaps, Place::Tags, trouble));
    let tags = match tags {
        Ok(tags) => Some(tags),
        Err(noted) => noted.map(|()| None)?,
    };
    let target = Target {
        ifindex: device.ifindex,
        name: device.name_bytes(),
        netns: vrfbpf::netns_cookie(),
        tags: tags.as_ref().map(AsRawFd::as_raw_fd),
    };
    let ports_id = ports.id().map_err(Unavailable::kernel("read the id of a BPF map"))?;
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

/// What the kernel refused: the program itself, or its place on the cgroup.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    Load(Errno),
    Attach(Errno),
}

/// Notes a gap. Without the first program or a privilege that all of them need, there is no mechanism at all.
fn note(gaps: &mut Gaps, place: Place, trouble: Trouble) -> Result<(), Unavailable> {
    match (trouble, place) {
        (Trouble::Load(Errno::EPERM), _) => Err(Unavailable::new(NEEDS)),
        (Trouble::Load(Errno::ENOSYS), _) => Err(Unavailable::new(Feature::CgroupPrograms.missing())),
        (Trouble::Load(errno), Place::Create) => Err(Unavailable::kernel("load the BPF program")(errno)),
        (Trouble::Attach(Errno::EPERM), Place::Create) => {
            Err(Unavailable::new("an ancestor cgroup has a BPF program that allows no other below it"))
        }
        (Trouble::Attach(errno), Place::Create) => Err(Unavailable::kernel("attach the BPF program")(errno)),
        (Trouble::Load(errno) | Trouble::Attach(errno), place) => {
            gaps.add(place, errno);
            Ok(())
        }
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
    fn attach_each(&mut self, places: &[Place]) -> Result<(), Unavailable> {
        for place in places {
            match self.attach(*place) {
                Ok(id) => self.record.programs[*place as usize] = id,
                Err(trouble) => note(&mut self.record.gaps, *place, trouble)?,
            }
        }
        Ok(())
    }

    /// Loads and attaches the program of this place; returns its id.
    fn attach(&mut self, place: Place) -> Result<u32, Trouble> {
        let outcome = self.attach_best(place);
        if MPTCP.contains(&place) {
            self.binds_mptcp &= matches!(outcome, Ok((_, 0)));
        }
        outcome.map(|(id, _)| id)
    }

    /// The id, and which variant it is: 0 is the best.
    fn attach_best(&self, place: Place) -> Result<(u32, usize), Trouble> {
        let hook = place.hook().ok_or(Trouble::Load(Errno::EINVAL))?;
        let mut last = Errno::EINVAL;
        for (variant, program) in self.variants(place).iter().enumerate() {
            match vrfbpf::load(hook, program) {
                Ok(program) => {
                    vrfbpf::attach(hook, &program, self.cgroup).map_err(Trouble::Attach)?;
                    return Ok((vrfbpf::program_id(&program).map_err(Trouble::Attach)?, variant));
                }
                Err(errno) => last = errno,
            }
        }
        Err(Trouble::Load(last))
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
