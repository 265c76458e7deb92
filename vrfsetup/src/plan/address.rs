//! From the address that is there to the one that is declared, and the order in which addresses go. Pure.

use crate::model::address::Address;
use crate::model::family::Family;
use crate::model::prefix::contains;
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

/// The steps that delete these addresses, which come in the kernel's order. With the first IPv4 address of a network the
/// kernel deletes the others of it, unless it is told to promote one of them: so they go before it, and come back behind it.
/// An IPv6 address comes to stand before the others: the first of them goes first, and comes back last.
pub fn deletions<'a>(addresses: impl Iterator<Item = &'a Address>) -> Vec<Step> {
    let (four, six): (Vec<&Address>, Vec<&Address>) = addresses.partition(|address| address.family() == Family::V4);
    six.into_iter().chain(four.into_iter().rev()).cloned().map(Step::DeleteAddress).collect()
}

/// Whether one of these IPv4 addresses, which stay, would go with the other.
pub fn takes_along<'a>(gone: &Address, mut stay: impl Iterator<Item = &'a Address>) -> bool {
    gone.family() == Family::V4
        && gone.flags & libc::IFA_F_SECONDARY == 0
        && stay.any(|other| other.flags & libc::IFA_F_SECONDARY != 0 && share_network(gone, other))
}

/// Whether two addresses of an interface are in one network, where the first of them is the primary one.
pub fn share_network(one: &Address, other: &Address) -> bool {
    let network = |address: &Address| (address.peer.unwrap_or(address.local), address.prefix_len);
    one.prefix_len == other.prefix_len && contains(network(one), network(other).0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::syntax::address::parse;

    #[test]
    fn the_first_address_of_a_network_goes_last_and_takes_only_its_own_along() {
        let of = |text: &str, flags| Address { flags, ..parse(text).unwrap() };
        let first = of("192.0.2.1/24 dev eth1", 0);
        let second = of("192.0.2.2/24 dev eth1", libc::IFA_F_SECONDARY);
        let steps = deletions([&first, &second].into_iter());
        assert_eq!(steps, [second.clone(), first.clone()].map(Step::DeleteAddress));
        let six = ["2001:db8::1/64 dev eth1", "2001:db8::2/64 dev eth1"].map(|text| of(text, 0));
        assert_eq!(deletions(six.iter()), six.clone().map(Step::DeleteAddress));
        assert!(takes_along(&first, [&second].into_iter()));
        assert!(!takes_along(&second, [&first].into_iter()));
        for other in ["192.0.2.3/25 dev eth1", "198.51.100.1/24 dev eth1"] {
            assert!(!takes_along(&first, [&of(other, libc::IFA_F_SECONDARY)].into_iter()), "{other}");
        }
    }

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
