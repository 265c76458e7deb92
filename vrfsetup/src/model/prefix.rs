//! Prefixes of addresses.

use std::net::IpAddr;

/// An address and the length of the prefix.
pub type Prefix = (IpAddr, u8);

/// Whether the address lies in the prefix.
pub fn contains((network, len): Prefix, address: IpAddr) -> bool {
    match (network, address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(len.min(32))).unwrap_or(0);
            (network.to_bits() ^ address.to_bits()) & mask == 0
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(len.min(128))).unwrap_or(0);
            (network.to_bits() ^ address.to_bits()) & mask == 0
        }
        _ => false,
    }
}

/// The prefix without the bits behind its length.
pub fn network((address, len): Prefix) -> Prefix {
    let address = match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(len.min(32))).unwrap_or(0);
            IpAddr::V4((address.to_bits() & mask).into())
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(len.min(128))).unwrap_or(0);
            IpAddr::V6((address.to_bits() & mask).into())
        }
    };
    (address, len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_no_bits_behind_its_prefix() {
        for (text, len, of) in [("2001:db8::1", 64, "2001:db8::"), ("192.0.2.77", 24, "192.0.2.0"), ("::1", 0, "::")] {
            assert_eq!(network((text.parse().unwrap(), len)), (of.parse().unwrap(), len));
        }
    }
}
