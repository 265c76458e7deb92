//! From the address that is there to the one that is declared. Pure.

use crate::model::address::Address;
use crate::model::family::Family;
use crate::model::step::Step;

/// The flags that the kernel changes on an IPv6 address that is there. It changes none of an IPv4 address.
const CHANGEABLE: u32 =
    libc::IFA_F_NODAD | libc::IFA_F_HOMEADDRESS | libc::IFA_F_MANAGETEMPADDR | libc::IFA_F_NOPREFIXROUTE;

/// The step that gives the address the flags that are wanted; none if it has them.
pub fn step(there: &Address, wanted: &Address) -> Option<Step> {
    let differs = (there.flags ^ wanted.flags) & CHANGEABLE != 0;
    let is_changeable = there.family() == Family::V6 && there.peer == wanted.peer;
    (differs && is_changeable).then(|| {
        let flags = there.flags & !CHANGEABLE | wanted.flags & CHANGEABLE;
        let to = Address { flags, ..there.clone() };
        Step::ReplaceAddress { from: Box::new(there.clone()), to: Box::new(to) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::syntax::address::parse;

    fn steps(there: &str, wanted: &str) -> Option<String> {
        step(&parse(there).unwrap(), &parse(wanted).unwrap()).map(|step| step.to_string())
    }

    #[test]
    fn only_changed_flags_of_ipv6_make_a_step() {
        let (plain, nodad) = ("2001:db8::1/64 dev eth1", "2001:db8::1/64 dev eth1 nodad");
        assert_eq!(steps(plain, plain), None);
        assert_eq!(steps(plain, nodad).as_deref(), Some("ip addr change 2001:db8::1/64 dev eth1 nodad"));
        assert_eq!(steps(nodad, plain).as_deref(), Some("ip addr change 2001:db8::1/64 dev eth1"));
        assert_eq!(steps("192.0.2.1/24 dev eth1", "192.0.2.1/24 dev eth1 noprefixroute"), None);
    }
}
