//! `vrfsetup tunnel`: the outside of a tunnel in a VRF, by a mark or by the device that it names, and what keeps that so when
//! VRFs and ports change.

use crate::error::Error;
use crate::model::device::Device;
use crate::model::link::Link;
use crate::model::nft::TUNNELS;
use crate::model::rule::Rule;
use crate::model::step::Step;
use crate::model::tunnel::Tunnel;
use crate::plan::inventory::Inventory;
use crate::plan::memory::Memory;
use crate::plan::outsides;
use crate::plan::system::{self, System};
use crate::plan::tunnels::{self, ByName, Now};
use crate::plan::zones::Members;
use crate::sys::nft;
use crate::transaction::lockout;
use crate::transaction::report::Outcome;
use crate::transaction::session::{Session, Transaction};

/// What is to be done.
pub struct Plan {
    steps: Vec<Step>,
}

impl Plan {
    /// What making it would report.
    pub fn preview(&self) -> Outcome {
        Outcome::of(&self.steps)
    }
}

/// Whether the nftables tables are made as they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receiving {
    Follows,
    /// They stay as they are, and nobody asks nft.
    Stays,
}

/// Plans to put the outside of a tunnel into a VRF, or, with None, back where it was; changes nothing.
///
/// # Errors
/// It is no tunnel whose outside can be changed, has no port or the mark of another, there is no such VRF, or a connection would
/// break.
pub fn plan(session: &Session, name: &str, vrf: Option<&str>) -> Result<Plan, Error> {
    let inventory = Inventory::read(session.kernel)?;
    let mut wanted = Memory::read().tunnels;
    // By an alternative name as well; what is gone is known by its own.
    let link = inventory.system.link(name).filter(|_| !wanted.contains_key(name));
    let name = link.map_or(name, |link| &link.name);
    match vrf {
        Some(vrf) => {
            let vrf = inventory.system.existing_vrf(vrf)?.name.clone();
            add(&inventory.system, &inventory.rules, &mut wanted, name, &vrf)?;
        }
        None if wanted.remove(name).is_none() => refuse_if_kept(&inventory.system, name)?,
        None => {}
    }
    let members = Members::of(&inventory.system);
    let mut steps = steps(&inventory.system, &inventory.rules, &members, &wanted, Receiving::Follows)?;
    let is_its_own = |step: &Step| matches!(step, Step::SetOutside { device, .. } if device.name == name);
    if vrf.is_none() && !steps.iter().any(is_its_own) {
        // Nobody remembers it: somebody else has put it there.
        steps.extend(outsides::step_back(&inventory.system, name, None));
    }
    if !steps.is_empty() {
        refuse_if_used(session, &inventory.system, std::iter::once(name))?;
    }
    Ok(Plan { steps })
}

/// What was made for a VRF stays there.
fn refuse_if_kept(system: &System, name: &str) -> Result<(), Error> {
    let link = system.existing(name)?;
    match outsides::all(system).any(|(of, ..)| of.ifindex == link.ifindex) && !outsides::is_changed(link) {
        true => Err(keeps(link, "default")),
        false => Ok(()),
    }
}

fn keeps(link: &Link, vrf: &str) -> Error {
    if link.is_of_elsewhere && link.names_its_outside() {
        return Error::OutsideElsewhere(link.name.clone());
    }
    let kind = link.kind.clone().unwrap_or_else(|| "physical".to_owned());
    Error::KeepsItsOutside { name: link.name.clone(), kind, vrf: vrf.to_owned() }
}

/// Refuses, unless the user takes the risk, to change the outside of a tunnel over which there is a connection.
///
/// # Errors
/// There is one.
pub fn refuse_if_used<'a>(
    session: &Session,
    system: &System,
    names: impl Iterator<Item = &'a str>,
) -> Result<(), Error> {
    if session.takes_risks() {
        return Ok(());
    }
    let links: Vec<&Link> = names.filter_map(|name| system.link(name)).collect();
    lockout::refuse_if_in_use(session, system, &links)
}

/// Puts one more tunnel on the list.
///
/// # Errors
/// As [`plan`].
pub fn add(system: &System, rules: &[Rule], wanted: &mut ByName, name: &str, vrf: &str) -> Result<(), Error> {
    let link = system.existing(name)?;
    if !tunnels::is_wireguard(link) {
        return add_named(system, wanted, link, vrf);
    }
    let name = link.name.clone();
    let outsides = tunnels::outsides(system, std::iter::once(&name))?;
    let outside = outsides.get(&name).map(|(_, outside)| *outside).ok_or_else(|| Error::NoSuchLink(name.clone()))?;
    if outside.port == 0 {
        return Err(Error::NoTunnelPort(name));
    }
    let (mark, was) = match wanted.get(&name).filter(|known| known.named.is_none()) {
        // Else it has been given one of its own since.
        Some(known) if [0, known.mark, known.was].contains(&outside.mark) => (known.mark, known.was),
        _ => (tunnels::mark(wanted, rules, outside.mark), outside.mark),
    };
    if let Some((other, _)) = wanted.iter().find(|(other, of)| **other != name && of.mark == mark && of.vrf != vrf) {
        return Err(Error::SharedMark { name, mark, other: other.clone() });
    }
    wanted.insert(name, Tunnel { vrf: vrf.to_owned(), mark, was, named: None });
    Ok(())
}

/// One that names the device of its outside. What was made for the VRF is well as it is.
fn add_named(system: &System, wanted: &mut ByName, link: &Link, vrf: &str) -> Result<(), Error> {
    let name = link.name.clone();
    let is_there = outsides::all(system).any(|(of, below, _)| of.ifindex == link.ifindex && below.name == vrf);
    if !outsides::is_changed(link) && !is_there {
        return Err(keeps(link, vrf));
    }
    let tunnel = outsides::wanted(system, wanted.get(&name), link, vrf);
    wanted.remove(&name);
    wanted.extend(tunnel.map(|tunnel| (name, tunnel)));
    Ok(())
}

/// Puts a tunnel on the list that is not there yet, but at this place among the names of a file: with the mark, it is led or stopped from its
/// first packet on.
pub fn expect(rules: &[Rule], wanted: &mut ByName, name: &str, vrf: &str, place: u32) {
    if let Some(known) = wanted.get_mut(name).filter(|known| known.named.is_some()) {
        vrf.clone_into(&mut known.vrf);
        return;
    }
    let known = wanted.get(name).map(|known| (known.mark, known.was));
    let (mark, was) = known.unwrap_or_else(|| (tunnels::free_mark(wanted, rules, place), 0));
    let is_shared = wanted.iter().any(|(other, of)| other != name && of.mark == mark && of.vrf != vrf);
    if !is_shared {
        wanted.insert(name.to_owned(), Tunnel { vrf: vrf.to_owned(), mark, was, named: None });
    }
}

/// Makes a plan.
///
/// # Errors
/// nft(8) or the kernel refused; then nothing is changed.
pub fn make(session: &Session, plan: Plan) -> Result<Outcome, Error> {
    let mut transaction = session.begin()?;
    transaction.make_all(plan.steps)?;
    transaction.commit()
}

/// Leads the outer packets of tunnels by VRFs and ports as they are by now: the last step of a change but for the zones.
///
/// # Errors
/// As [`make`]; what the transaction did is undone.
pub fn follow(session: &Session, transaction: &mut Transaction) -> Result<(), Error> {
    follow_to(session, transaction, None, Receiving::Follows)
}

/// The same for other tunnels than until now, where some are `wanted`.
///
/// # Errors
/// As [`follow`].
pub fn follow_to(
    session: &Session,
    transaction: &mut Transaction,
    wanted: Option<ByName>,
    receiving: Receiving,
) -> Result<(), Error> {
    let Some(wanted) = concerned(wanted) else { return Ok(()) };
    let planned = Inventory::read(session.kernel).and_then(|inventory| {
        let Inventory { system, rules, .. } = &inventory;
        let steps = steps(system, rules, &Members::of(system), &wanted, receiving)?;
        without_used(session, system, steps)
    });
    let (planned, notes) = planned.map_err(|error| transaction.abandon(error))?;
    transaction.make_all(planned)?;
    notes.into_iter().for_each(|note| transaction.note(note));
    Ok(())
}

/// Somebody may have put a tunnel elsewhere, and use it there: it stays, whatever the change is about, and that is said.
fn without_used(session: &Session, system: &System, steps: Vec<Step>) -> Result<(Vec<Step>, Vec<String>), Error> {
    let (mut made, mut notes) = (Vec::new(), Vec::new());
    for step in steps {
        let link = changed(&step).and_then(|device| system.link_by_index(device.ifindex));
        let link = link.filter(|link| !outsides::is_lost(system, link) || outsides::falls_back(link));
        match refuse_if_used(session, system, link.map(|link| &*link.name).into_iter()) {
            Ok(()) => made.push(step),
            Err(Error::InUse { device, connection }) => {
                notes.push(format!("left out '{step}': {connection} uses '{device}'"));
            }
            Err(Error::UnknownWay { connection, unread }) => {
                notes.push(format!("left out '{step}': {connection} might break: cannot read {unread}"));
            }
            Err(error) => return Err(error),
        }
    }
    Ok((made, notes))
}

/// The tunnel whose outside the step puts elsewhere.
fn changed(step: &Step) -> Option<&Device> {
    match step {
        Step::SetOutside { device, .. } | Step::SetFwmark { device, .. } => Some(device),
        _ => None,
    }
}

/// What [`follow_to`] will do behind these steps.
///
/// # Errors
/// As [`plan`].
pub fn preview<'a>(
    session: &Session,
    system: &System,
    before: impl Iterator<Item = &'a Step>,
    wanted: Option<ByName>,
    receiving: Receiving,
) -> Result<Vec<Step>, Error> {
    let Some(wanted) = concerned(wanted) else { return Ok(Vec::new()) };
    let (mut members, mut rules) = (Members::of(system), system::rules(session.kernel)?);
    for step in before {
        members.apply(step);
        step.apply_to_rules(&mut rules);
    }
    without_used(session, system, steps(system, &rules, &members, &wanted, receiving)?).map(|(steps, _)| steps)
}

/// The tunnels that are to be in VRFs; None where there are and were none, and nobody asks the kernel or nft.
fn concerned(wanted: Option<ByName>) -> Option<ByName> {
    let known = Memory::read().tunnels;
    let wanted = wanted.unwrap_or_else(|| known.clone());
    (!wanted.is_empty() || !known.is_empty()).then_some(wanted)
}

fn steps(
    system: &System,
    rules: &[Rule],
    members: &Members,
    wanted: &ByName,
    receiving: Receiving,
) -> Result<Vec<Step>, Error> {
    let memory = Memory::read();
    if wanted.is_empty() && memory.tunnels.is_empty() {
        return Ok(Vec::new());
    }
    let wanted = &tunnels::as_they_came(system, wanted);
    let outsides = tunnels::outsides(system, wanted.keys().chain(memory.tunnels.keys()))?;
    let list = || nft::list(TUNNELS).map_err(|refusal| Error::Nft { table: TUNNELS, refusal });
    // One that names its VRF receives there by itself.
    let has_marks = wanted.values().chain(memory.tunnels.values()).any(|tunnel| tunnel.named.is_none());
    let listing = (receiving == Receiving::Follows && has_marks).then(list).transpose()?;
    tunnels::steps(&Now { system, members, rules, outsides: &outsides, listing }, memory, wanted)
}
