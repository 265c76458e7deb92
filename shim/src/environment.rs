//! What the environment says: whether vrfrun started this program, and for which device.

use crate::name::Name;
use vrfabi::environment::{parse_shim, shim_value};

const PRELOAD: &[u8] = b"LD_PRELOAD=";
const OWN_NAME: &[u8] = b"libvrfshim";

/// How a process wants its sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// The program linked the library and will say itself: sockets stay as they are until it does.
    Nothing,
    /// The library was preloaded, but for which device got lost: no inet socket may be made.
    Closed,
    /// vrfrun's order. The cookie tells its seccomp filter which calls are ours; 0 means that there is no filter.
    Bound { cookie: u64, name: Name },
}

/// Reads the order from the entries (`NAME=value`) of an environment.
pub(crate) fn read<'a>(entries: impl Iterator<Item = &'a [u8]>) -> Wanted {
    let mut wanted = Wanted::Nothing;
    for entry in entries {
        if let Some(order) = shim_value(entry) {
            return parse(order);
        }
        if entry.strip_prefix(PRELOAD).is_some_and(|list| list.windows(OWN_NAME.len()).any(|part| part == OWN_NAME)) {
            wanted = Wanted::Closed;
        }
    }
    wanted
}

fn parse(order: &[u8]) -> Wanted {
    let Some((cookie, device)) = parse_shim(order) else { return Wanted::Closed };
    Name::new(device).map_or(Wanted::Closed, |name| Wanted::Bound { cookie, name })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(entries: &[&str]) -> Wanted {
        read(entries.iter().map(|entry| entry.as_bytes()))
    }

    #[test]
    fn an_order_has_a_cookie_and_a_device() {
        let name = Name::new(b"blue").unwrap();
        let wanted = read_all(&["HOME=/", "VRFSHIM=0123456789abcdef:blue", "LD_PRELOAD=/libvrfshim.so"]);
        assert_eq!(wanted, Wanted::Bound { cookie: 0x0123_4567_89ab_cdef, name });
        let odd = Name::new(b"a:b=c").unwrap();
        assert_eq!(read_all(&["VRFSHIM=0000000000000000:a:b=c"]), Wanted::Bound { cookie: 0, name: odd });
    }

    #[test]
    fn a_malformed_order_closes() {
        for order in [
            "VRFSHIM=",
            "VRFSHIM=blue",
            "VRFSHIM=0123456789abcdef",
            "VRFSHIM=0123456789abcdef:",
            "VRFSHIM=0123456789ABCDEF:blue",
            "VRFSHIM=123456789abcdef:blue",
            "VRFSHIM=+123456789abcdef:blue",
            "VRFSHIM=0123456789abcdef:sixteen-letters-",
        ] {
            assert_eq!(read_all(&[order]), Wanted::Closed, "{order}");
        }
    }

    #[test]
    fn preloaded_without_an_order_closes() {
        for list in ["LD_PRELOAD=/usr/lib/libvrfshim.so", "LD_PRELOAD=a.so:/x/libvrfshim.so.0 b.so"] {
            assert_eq!(read_all(&["A=b", list]), Wanted::Closed, "{list}");
        }
    }

    #[test]
    fn a_program_that_only_links_the_library_decides_itself() {
        for entries in [&[][..], &["LD_PRELOAD=/usr/lib/libjemalloc.so"], &["XVRFSHIM=1", "MY_LD_PRELOAD=libvrfshim"]] {
            assert_eq!(read_all(entries), Wanted::Nothing);
        }
    }

    /// An order that is not exactly one closes; nothing panics, and no name is longer than a device's.
    #[cfg(target_arch = "x86_64")]
    #[test]
    fn no_environment_makes_a_panic_or_an_unbound_preload() {
        use proptest::prelude::*;
        let word =
            prop::sample::select(vec!["VRFSHIM=", "LD_PRELOAD=", "libvrfshim", "0123456789abcdef", ":", "blue", "+"]);
        let known = word.prop_map(|word| word.as_bytes().to_vec());
        let piece = prop_oneof![4 => known, 1 => prop::collection::vec(1u8.., 0..4)];
        let entry = prop::collection::vec(piece, 0..5).prop_map(|pieces| pieces.concat());
        crate::elf::tests::hostile(prop::collection::vec(entry, 0..4), |entries| {
            let is_ordered = entries.iter().any(|entry| shim_value(entry).is_some());
            match read(entries.iter().map(Vec::as_slice)) {
                Wanted::Nothing => assert!(!is_ordered),
                Wanted::Bound { name, .. } => assert!(is_ordered && (1..16).contains(&name.as_bytes().len())),
                Wanted::Closed => {}
            }
        });
    }
}
