//! Addresses, as netlink and its neighbours have them: bytes in network order, four for IPv4 and sixteen for IPv6.

use core::net::IpAddr;

/// The address of this family (`AF_INET`, `AF_INET6`) at the beginning of some bytes.
pub fn of_family(family: i32, bytes: &[u8]) -> Option<IpAddr> {
    match family {
        libc::AF_INET => bytes.first_chunk::<4>().map(|octets| IpAddr::from(*octets)),
        libc::AF_INET6 => bytes.first_chunk::<16>().map(|octets| IpAddr::from(*octets)),
        _ => None,
    }
}

/// The address that these bytes are, where nothing but their number tells its family.
pub fn whole(bytes: &[u8]) -> Option<IpAddr> {
    let family = match bytes.len() {
        4 => libc::AF_INET,
        16 => libc::AF_INET6,
        _ => return None,
    };
    of_family(family, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_by_its_family_or_by_its_length() {
        let bytes = [192, 0, 2, 80, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17];
        let (four, six) =
            (IpAddr::from([192, 0, 2, 80]), bytes.first_chunk::<16>().map(|octets| IpAddr::from(*octets)));
        let of = |family, len| bytes.get(..len).and_then(|bytes| of_family(family, bytes));
        assert_eq!([4, 17].map(|len| of(libc::AF_INET, len)), [Some(four); 2]);
        assert_eq!([16, 17].map(|len| of(libc::AF_INET6, len)), [six; 2]);
        assert_eq!([of(libc::AF_INET, 3), of(libc::AF_INET6, 15), of(libc::AF_BRIDGE, 17)], [None; 3]);
        let whole = |len| bytes.get(..len).and_then(whole);
        assert_eq!([4, 16].map(whole), [Some(four), six]);
        assert_eq!([0, 3, 5, 15, 17].map(whole), [None; 5]);
    }
}
