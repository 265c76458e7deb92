//! `vrfsetup add`: a VRF that is up, sealed, and has its own loopback addresses and ports.

use std::collections::BTreeSet;

use crate::address::Address;
use crate::attach::{self, Defaults};
use crate::error::Error;
use crate::family::Family;
use crate::kernel::Kernel;
use crate::link::Link;
use crate::outcome::Outcome;
use crate::port::Domain;
use crate::route::Route;
use crate::rule::Rule;
use crate::rules::plan::Unreachable;
use crate::rules::{L3MDEV, UNREACHABLE};
use crate::step::{Device, Step};
use crate::system::System;
use crate::table;
use crate::transaction::Session;

/// What the VRF is to be.
pub struct Wish<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its table; None for the one it has, or a free one.
    pub table: Option<u32>,
    /// The interfaces that become its ports.
    pub ports: &'a [String],
    /// Whether it gets 127.0.0.1/8 and ::1/128.
    pub has_loopback: bool,
    /// What stops packets that its table has no route for.
    pub unreachable: Unreachable,
}

/// Makes the VRF what it is to be; what is so already is left alone.
///
/// # Errors
/// It cannot be so, or the kernel refused; then nothing is changed.
pub fn add(session: &Session, wish: &Wish) -> Result<Outcome, Error> {
    let kernel = session.kernel;
    let system = System::read(kernel)?;
    let existing = existing_vrf(&system, wish)?;
    let ports = attach::new_ports(&system, wish.ports, wish.name)?;
    attach::guard(session, &system, &ports)?;
    let mut transaction = session.begin()?;
    let (vrf, table) = match existing {
        Some(link) => (link.device(), link.table.unwrap_or_default()),
        None => {
            let table = free_table(kernel, &system, wish.table)?;
            (transaction.make_vrf(wish.name, table)?, table)
        }
    };
    match missing(kernel, &system, wish, &vrf, table) {
        Ok(steps) => transaction.make_all(steps)?,
        Err(error) => return Err(transaction.abandon(error)),
    }
    if let Some(step) = table::name_step(wish.name, table) {
        transaction.try_make(step)?;
    }
    let to = Domain { device: Some(vrf), table };
    attach::move_ports(session, &system, &mut transaction, &ports, &to, Defaults::Move)?;
    Ok(transaction.commit())
}

fn existing_vrf<'a>(system: &'a System, wish: &Wish) -> Result<Option<&'a Link>, Error> {
    let Some(link) = system.link(wish.name) else { return Ok(None) };
    match (link.table, wish.table) {
        (None, _) => Err(Error::NotAVrf(wish.name.to_owned())),
        (Some(table), Some(wanted)) if table != wanted => Err(Error::OtherTable { name: wish.name.to_owned(), table }),
        _ => Ok(Some(link)),
    }
}

/// The table that was asked for, if it is nobody's, or one that nothing refers to.
fn free_table(kernel: &Kernel, system: &System, wanted: Option<u32>) -> Result<u32, Error> {
    if let Some(table) = wanted {
        return match system.vrfs().find(|vrf| vrf.table == Some(table)) {
            Some(owner) => Err(Error::TableTaken { table, owner: format!("VRF '{}'", owner.name) }),
            None => Ok(table),
        };
    }
    let mut taken: BTreeSet<u32> = system.vrfs().filter_map(|vrf| vrf.table).collect();
    taken.extend(table::named());
    for family in Family::available() {
        let unreadable = |refusal| Error::unreadable(format!("the {family} rules and routes"))(refusal);
        taken.extend(kernel.rules(family).map_err(unreadable)?.iter().map(|rule| rule.table));
        taken.extend(kernel.routes(family, None).map_err(unreadable)?.iter().map(Route::table));
    }
    Ok(table::first_free(&taken))
}

/// The steps that an existing, perhaps bare, VRF still lacks. The seal comes first: from the moment when the VRF is
/// up, packets may be sent into it.
fn missing(kernel: &Kernel, system: &System, wish: &Wish, vrf: &Device, table: u32) -> Result<Vec<Step>, Error> {
    let mut steps = Vec::new();
    for family in Family::available() {
        let unreadable = |refusal| Error::unreadable(format!("the {family} rules and routes"))(refusal);
        let rules = kernel.rules(family).map_err(unreadable)?;
        let ensure = |rule: Rule| (!rules.iter().any(|r| r.is_same_as(&rule))).then_some(Step::AddRule(rule));
        // The kernel makes it with the first VRF of a namespace only, even if it was deleted since.
        steps.extend(ensure(Rule::l3mdev(family, L3MDEV)));
        match wish.unreachable {
            Unreachable::Rule => steps.extend(ensure(Rule::l3mdev_unreachable(family, UNREACHABLE))),
            Unreachable::Route => {
                let routes = kernel.routes(family, Some(table)).map_err(unreadable)?;
                let is_sealed = routes.iter().any(Route::is_seal);
                steps.extend((!is_sealed).then(|| Step::AddRoute(Route::seal(family, table))));
            }
            Unreachable::None => {}
        }
    }
    let existing = system.link_by_index(vrf.ifindex);
    if !existing.is_some_and(Link::is_up) {
        steps.push(Step::SetUp(vrf.clone()));
    }
    if wish.has_loopback {
        let wanted = Family::available().into_iter().map(|family| Address::loopback(vrf, family));
        let is_there = |address: &Address| system.addresses_of(vrf.ifindex).any(|own| own.is_same_as(address));
        steps.extend(wanted.filter(|address| !is_there(address)).map(Step::AddAddress));
    }
    Ok(steps)
}
