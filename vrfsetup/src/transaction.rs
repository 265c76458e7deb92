//! A command's changes as one: a step that fails takes the earlier ones back, in reverse order.

use crate::error::Error;
use crate::kernel::{Kernel, Refusal};
use crate::step::{Device, Step};

/// What has been done so far.
pub struct Transaction<'a> {
    kernel: &'a Kernel,
    done: Vec<Step>,
}

impl<'a> Transaction<'a> {
    /// Nothing done yet.
    pub fn new(kernel: &'a Kernel) -> Self {
        Self { kernel, done: Vec::new() }
    }

    /// Makes one step.
    ///
    /// # Errors
    /// The kernel refused; everything that was done is taken back by then.
    pub fn make(&mut self, step: Step) -> Result<(), Error> {
        match make(self.kernel, &step) {
            Ok(()) => {
                self.done.push(step);
                Ok(())
            }
            Err(refusal) => Err(self.give_up(&step, refusal)),
        }
    }

    /// Makes several steps.
    ///
    /// # Errors
    /// As [`Self::make`].
    pub fn make_all(&mut self, steps: impl IntoIterator<Item = Step>) -> Result<(), Error> {
        steps.into_iter().try_for_each(|step| self.make(step))
    }

    /// Creates a VRF and says what the kernel made.
    ///
    /// # Errors
    /// As [`Self::make`].
    pub fn make_vrf(&mut self, name: &str, table: u32) -> Result<Device, Error> {
        let new = Device { ifindex: 0, name: name.to_owned() };
        let step = Step::AddVrf(new, table);
        let made = make(self.kernel, &step).and_then(|()| find(self.kernel, name));
        match made {
            Ok(device) => {
                self.done.push(Step::AddVrf(device.clone(), table));
                Ok(device)
            }
            Err(refusal) => Err(self.give_up(&step, refusal)),
        }
    }

    /// Takes everything back, because of an error outside the steps.
    pub fn abandon(&mut self, error: Error) -> Error {
        let left = self.roll_back();
        match (error, left.is_empty()) {
            (Error::Refused { step, refusal }, false) => Error::NotRolledBack { step, refusal, left },
            (error, _) => error,
        }
    }

    /// Keeps what was done and hands it out.
    pub fn commit(self) -> Vec<Step> {
        self.done
    }

    fn give_up(&mut self, step: &Step, refusal: Refusal) -> Error {
        let step = step.to_string();
        self.abandon(Error::Refused { step, refusal })
    }

    fn roll_back(&mut self) -> Vec<String> {
        let mut left = Vec::new();
        while let Some(step) = self.done.pop() {
            let inverse = step.inverse();
            if let Err(refusal) = make(self.kernel, &inverse) {
                left.push(format!("'{inverse}' ({refusal})"));
            }
        }
        left
    }
}

fn make(kernel: &Kernel, step: &Step) -> Result<(), Refusal> {
    match step {
        Step::AddRule(rule) => kernel.add_rule(rule),
        Step::DeleteRule(rule) => kernel.delete_rule(rule),
        Step::AddVrf(device, table) => kernel.add_vrf(device, *table),
        Step::DeleteVrf(device, _) => kernel.delete_link(device),
        Step::SetUp(device) => kernel.set_up(device, true),
        Step::SetDown(device) => kernel.set_up(device, false),
        Step::Enslave(port, vrf) => kernel.set_master(port, Some(vrf)),
        Step::Release(port, _) => kernel.set_master(port, None),
        Step::AddAddress(address) => kernel.add_address(address),
        Step::DeleteAddress(address) => kernel.delete_address(address),
        Step::AddRoute(route) => kernel.add_route(route),
        Step::DeleteRoute(route) => kernel.delete_route(route),
    }
}

fn find(kernel: &Kernel, name: &str) -> Result<Device, Refusal> {
    let links = kernel.links()?;
    let made = links.into_iter().find(|link| link.name == name);
    made.map(|link| link.device()).ok_or(Refusal::from_errno(libc::ENODEV))
}
