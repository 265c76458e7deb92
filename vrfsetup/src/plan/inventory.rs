//! Everything that a plan depends on, read once: interfaces, addresses, routes, rules, and the table numbers in use.

use std::cell::OnceCell;
use std::collections::{BTreeSet, HashMap};

use crate::error::Error;
use crate::model::route::Route;
use crate::model::rule::Rule;
use crate::plan::held::Held;
use crate::plan::system::{self, System};
use crate::sys::netlink::{Kernel, KernelError};
use crate::sys::rt_tables::Names;

/// What is there.
pub struct Inventory {
    /// Interfaces and addresses.
    pub system: System,
    pub routes: Vec<Route>,
    pub rules: Vec<Rule>,
    by_table: HashMap<u32, Vec<usize>>,
    by_device: HashMap<u32, Vec<usize>>,
    held: OnceCell<Held>,
}

impl Inventory {
    /// Reads it all.
    ///
    /// # Errors
    /// The kernel's own.
    pub fn read(kernel: &Kernel) -> Result<Self, Error> {
        let system = System::read(kernel)?;
        let routes = system.routes(kernel)?;
        Ok(Self::new(system, routes, system::rules(kernel)?))
    }

    /// Puts together what was read.
    pub fn new(system: System, routes: Vec<Route>, rules: Vec<Rule>) -> Self {
        let (mut by_table, mut by_device) = (HashMap::<_, Vec<_>>::new(), HashMap::<_, Vec<_>>::new());
        for (at, route) in routes.iter().enumerate() {
            by_table.entry(route.table()).or_default().push(at);
            for oif in route.oifs() {
                by_device.entry(oif).or_default().push(at);
            }
        }
        Self { system, routes, rules, by_table, by_device, held: OnceCell::new() }
    }

    /// What interfaces have beyond this; read when it is asked for first.
    ///
    /// # Errors
    /// The kernel's own.
    pub fn held(&self, kernel: &Kernel) -> Result<&Held, Error> {
        if self.held.get().is_none() {
            let _ = self.held.set(Held::read(kernel, &self.system)?);
        }
        self.held.get().ok_or_else(|| Error::unreadable("the neighbours")(KernelError::from_errno(libc::EIO)))
    }

    /// The routes of a table.
    pub fn table(&self, table: u32) -> impl Iterator<Item = &Route> {
        self.by_table.get(&table).into_iter().flatten().map(|&at| &self.routes[at])
    }

    /// The routes, of any table, that lead over an interface.
    pub fn over(&self, ifindex: u32) -> impl Iterator<Item = &Route> {
        self.by_device.get(&ifindex).into_iter().flatten().map(|&at| &self.routes[at])
    }

    /// The table numbers that something refers to: VRFs, rules, routes, names.
    pub fn taken_tables(&self) -> BTreeSet<u32> {
        let mut taken: BTreeSet<u32> = self.system.vrfs().filter_map(|vrf| vrf.table).collect();
        taken.extend(self.rules.iter().map(|rule| rule.table));
        taken.extend(self.by_table.keys());
        taken.extend(Names::read().numbers());
        taken
    }
}
