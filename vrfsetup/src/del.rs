//! `vrfsetup del`: a VRF goes, with the seal of its table; its ports stay.

use crate::error::Error;
use crate::family::Family;
use crate::guard;
use crate::kernel::Kernel;
use crate::outcome::Outcome;
use crate::step::Step;
use crate::system::System;
use crate::transaction::Transaction;

/// Deletes the VRF; one that is not there is as good as deleted.
///
/// # Errors
/// It is not a VRF, a connection would break, or the kernel refused; then nothing is changed.
pub fn del(kernel: &Kernel, name: &str, is_forced: bool) -> Result<Outcome, Error> {
    let system = System::read(kernel)?;
    let Some(link) = system.link(name) else { return Ok(Outcome::default()) };
    let Some(table) = link.table else { return Err(Error::NotAVrf(name.to_owned())) };
    if !is_forced {
        guard::refuse_if_in_use(&system, std::iter::once(link).chain(system.ports(link)))?;
    }
    let mut transaction = Transaction::new(kernel);
    transaction.make_all(system.ports(link).map(|port| Step::Release(port.device(), link.device())))?;
    // Routes without a device (the seal) outlive the VRF.
    for family in Family::available() {
        match kernel.routes(family, Some(table)) {
            Ok(routes) => {
                let outlive = routes.into_iter().filter(|route| !route.is_unicast() && !route.is_kernels());
                transaction.make_all(outlive.map(Step::DeleteRoute))?;
            }
            Err(refusal) => {
                let what = format!("the {family} routes of table {table}");
                return Err(transaction.abandon(Error::Unreadable { what, refusal }));
            }
        }
    }
    transaction.make(Step::DeleteVrf(link.device(), table))?;
    Ok(Outcome::of(&transaction.commit()))
}
