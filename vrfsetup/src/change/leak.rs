//! `vrfsetup leak`: prefixes of one routing domain that another one reaches.

use crate::error::Error;
use crate::model::family::Family;
use crate::model::prefix::Prefix;
use crate::model::step::Step;
use crate::plan::inventory::Inventory;
use crate::plan::leak as plan;
use crate::sys::sysctl;
use crate::transaction::lockout;
use crate::transaction::report::Outcome;
use crate::transaction::session::Session;

/// Makes prefixes of either domain reachable from the other one, or, with `removes`, unreachable again.
///
/// # Errors
/// A domain does not exist, a prefix is neither's, or the kernel refused; then nothing is changed.
pub fn leak(session: &Session, names: [&str; 2], prefixes: &[Prefix], removes: bool) -> Result<Outcome, Error> {
    let inventory = Inventory::read(session.kernel)?;
    let [a, b] = names;
    let domains = [plan::domain(&inventory.system, a)?, plan::domain(&inventory.system, b)?];
    if domains[0] == domains[1] {
        return Err(Error::Usage(format!("'{a}' and '{b}' are one routing domain")));
    }
    let mut steps = Vec::new();
    for &prefix in prefixes {
        let (owner, other) = plan::owner(&inventory, &domains, prefix)?;
        let route = plan::route(&inventory, owner, other.table, prefix)?;
        if removes {
            let existing = inventory.table(other.table).find(|existing| plan::is_same(existing, &route));
            steps.extend(existing.cloned().map(Step::DeleteRoute));
        } else {
            steps.extend(plan::step(inventory.table(other.table), route));
        }
    }
    lockout::refuse_if_cut(session, &inventory.system, &steps)?;
    let mut transaction = session.begin()?;
    transaction.make_all(steps)?;
    if !removes {
        forwarding(prefixes).into_iter().for_each(|note| transaction.note(note));
    }
    transaction.commit()
}

/// What crosses between domains is forwarded; the machine's own packets are not.
fn forwarding(prefixes: &[Prefix]) -> Vec<String> {
    let settings = [(Family::V4, "net/ipv4/ip_forward"), (Family::V6, "net/ipv6/conf/all/forwarding")];
    let off = settings.into_iter().filter(|(family, key)| {
        prefixes.iter().any(|(address, _)| Family::from(*address) == *family)
            && sysctl::read(key).as_deref() == Some("0")
    });
    off.map(|(family, key)| {
        let name = key.replace('/', ".");
        format!("{family} forwarding is off, only this machine's own packets cross: sysctl -w {name}=1")
    })
    .collect()
}
