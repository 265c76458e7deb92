//! Steps, made: one, or several that are sent together.

use std::thread::sleep;
use std::time::Duration;

use rtnetlink::packet_core::{NLM_F_ACK, NLM_F_REQUEST};

use super::reply::{Message, Reply};
use super::socket::bytes_of;
use super::{Change, Kernel, KernelError, address, link, message, route, rule, wireguard};
use crate::model::address::Address;
use crate::model::link::Link;
use crate::model::nft::{TUNNELS, ZONES};
use crate::model::place::Place;
use crate::model::ports;
use crate::model::route::Route;
use crate::model::rule::Rule;
use crate::model::step::Step;
use crate::sys::{files, nft, sysctl, users};

/// How long duplicate address detection can take: a random second before the probe, and one after it.
const DETECTION: Duration = Duration::from_millis(3000);
const PAUSE: Duration = Duration::from_millis(50);
/// How long the kernel's worker may take to come to an address, where nothing else makes that address wait.
const WORKER: Duration = Duration::from_millis(1000);
const MOMENT: Duration = Duration::from_millis(2);

impl Kernel {
    /// Makes the step.
    ///
    /// # Errors
    /// The kernel's own.
    pub fn make(&self, step: &Step) -> Result<(), KernelError> {
        match step {
            Step::AddRoute(route) => self.add_route_in_time(route),
            Step::MoveRule(rule) => self.move_rule(rule),
            Step::AddNeighbour(neighbour) => self.add_neighbour(neighbour),
            Step::DeleteNeighbour(neighbour) => self.delete_neighbour(neighbour),
            Step::AddAltname(device, name) => self.add_altname(device, name),
            Step::DeleteAltname(device, name) => self.delete_altname(device, name),
            Step::AddNexthop(nexthop) => self.add_nexthop(nexthop),
            Step::DeleteNexthop(nexthop) => self.delete_nexthop(nexthop),
            Step::SetSysctl { key, to, .. } => {
                if to != "0" {
                    self.await_addresses(key)?;
                }
                sysctl::write(key, to).map_err(|error| KernelError::from_io(&error))
            }
            Step::WriteFile { path, to, .. } => {
                files::write(path, to.as_deref()).map_err(|error| KernelError::from_io(&error))
            }
            Step::SetZones { to, .. } => nft::replace(ZONES, to.as_deref()),
            Step::SetTunnels { to, .. } => nft::replace(TUNNELS, to.as_deref()),
            Step::SetFwmark { device, to, .. } => wireguard::set_mark(device.ifindex, *to),
            Step::SetOutside { device, to, .. } => self.set_outside(device, to.as_ref()),
            Step::SetUser { uid, to, .. } => self.set_user(*uid, to.as_ref()),
            _ => change(step).map_or(Ok(()), |change| self.change(change)),
        }
    }

    /// Sends steps to the kernel together: each is tried, whatever became of those before, and its refusal stands in
    /// its place. A new VRF learns its index. A step that is no request to the kernel is passed over.
    ///
    /// # Errors
    /// The answers could not be read: each step may be made or not.
    pub fn make_together(&self, steps: &mut [Step]) -> Result<Vec<Option<KernelError>>, KernelError> {
        let mut refusals: Vec<Option<KernelError>> = steps.iter().map(|_| None).collect();
        let (owners, mut requests) = requests(steps);
        let Some(last) = requests.last_mut() else { return Ok(refusals) };
        last.header.flags |= NLM_F_ACK;
        let requests: Vec<Vec<u8>> = requests.into_iter().map(bytes_of).collect();
        let answered = self.socket.borrow_mut().exchange(&requests, |place, reply| {
            let owner = owners[place];
            match reply.is_end() {
                true => refusals[owner] = refusals[owner].take().or(reply.error()),
                false => learn(&mut steps[owner], &reply),
            }
        });
        answered.map_err(|error| KernelError::from_io(&error))?;
        Ok(refusals)
    }

    /// The kernel deletes the first of two that are the same. Where there are two already, a run was killed between.
    fn move_rule(&self, moved: &Rule) -> Result<(), KernelError> {
        let count = self.rules(moved.family)?.iter().filter(|rule| *rule == moved).count();
        if count < 2 {
            self.change(rule::add(moved))?;
        }
        let delete = || self.change(rule::delete(moved));
        // Of a step that is refused nothing is to be undone.
        if count > 0 { delete().or_else(|refusal| delete().and(Err(refusal))) } else { Ok(()) }
    }

    /// The VRF may be gone by now, or not be there yet: then the user's sockets fail until it is.
    fn set_user(&self, uid: u32, place: Option<&Place>) -> Result<(), KernelError> {
        let links = self.links()?;
        let is_it = |link: &&Link, vrf: &str| link.name == vrf && link.is_vrf();
        let index = |vrf| links.iter().find(|link| is_it(link, vrf)).map(|link| link.ifindex);
        users::set(uid, place.map(|place| (place, index(&place.vrf))), &ports::of(&links))
    }

    /// The kernel acknowledges a new address before a worker of its own looks at accept_dad: until the setting is as it was
    /// no address of the interface is to be waiting for that.
    fn await_addresses(&self, key: &str) -> Result<(), KernelError> {
        let Some(name) = key.strip_prefix("net/ipv6/conf/").and_then(|rest| rest.strip_suffix("/accept_dad")) else {
            return Ok(());
        };
        // "all" and "default" are no interfaces, and one that is gone has no addresses.
        let Ok(link) = self.link(name) else { return Ok(()) };
        let mut waited = Duration::ZERO;
        while waited < WORKER && self.addresses_of(link.ifindex)?.iter().any(Address::is_tentative) {
            sleep(MOMENT);
            waited += MOMENT;
        }
        Ok(())
    }

    /// An IPv6 route with a source address is refused (EINVAL) while that address is still being probed, as it is after
    /// its interface has been down.
    fn add_route_in_time(&self, route: &Route) -> Result<(), KernelError> {
        let mut waited = Duration::ZERO;
        loop {
            match self.change(route::add(route)) {
                Err(refusal)
                    if refusal.errno == libc::EINVAL && route.may_wait_for_its_source() && waited < DETECTION =>
                {
                    sleep(PAUSE);
                    waited += PAUSE;
                }
                answer => return answer,
            }
        }
    }
}

/// What is asked of the kernel for each step, and by which step. The kernel tells the index of a new VRF only if asked.
fn requests(steps: &[Step]) -> (Vec<usize>, Vec<Message>) {
    let mut all = Vec::new();
    for (at, step) in steps.iter().enumerate() {
        all.extend(change(step).map(|change| (at, change.into_message())));
        if let Step::AddVrf(device, _) = step {
            all.push((at, message(link::question(&device.name), NLM_F_REQUEST)));
        }
    }
    all.into_iter().unzip()
}

fn learn(step: &mut Step, reply: &Reply) {
    if let (Step::AddVrf(device, _), Some(link)) = (step, link::answer(reply)) {
        *device = link.device();
    }
}

/// The step as a request; None if it is none.
fn change(step: &Step) -> Option<Change> {
    Some(match step {
        Step::AddRule(rule) => rule::add(rule),
        Step::DeleteRule(rule) => rule::delete(rule),
        Step::AddVrf(device, table) => link::add_vrf(device, *table),
        Step::DeleteVrf(device, _) => link::delete(device),
        Step::SetUp(device) => link::set_up(device, true),
        Step::SetDown(device) => link::set_up(device, false),
        Step::Enslave(port, vrf) => link::set_master(port, Some(vrf)),
        Step::Release(port, _) => link::set_master(port, None),
        Step::AddAddress(address) => address::add(address),
        Step::DeleteAddress(address) => address::delete(address),
        Step::ReplaceAddress { to, .. } => address::replace(to),
        Step::AddRoute(route) => route::add(route),
        Step::DeleteRoute(route) => route::delete(route),
        Step::ReplaceRoute { to, .. } => route::replace(to),
        Step::AddNeighbour(_) | Step::DeleteNeighbour(_) | Step::AddNexthop(_) | Step::DeleteNexthop(_) => return None,
        Step::AddAltname(..) | Step::DeleteAltname(..) | Step::SetOutside { .. } => return None,
        Step::SetSysctl { .. } | Step::WriteFile { .. } | Step::MoveRule(_) => return None,
        Step::SetZones { .. } | Step::SetUser { .. } | Step::SetTunnels { .. } | Step::SetFwmark { .. } => return None,
    })
}
