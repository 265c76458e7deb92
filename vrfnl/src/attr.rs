//! Netlink attributes: `struct rtattr` and the payload behind it, aligned to four bytes.

/// Walks the attributes in a byte string; ends at the first one that does not fit.
#[derive(Clone, Copy, Debug)]
pub struct Attributes<'a>(pub &'a [u8]);

/// NLA_F_NESTED and NLA_F_NET_BYTEORDER are flags in the type word, not part of it.
const TYPE_MASK: u16 = 0x3fff;

impl<'a> Iterator for Attributes<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let len = usize::from(u16_at(self.0, 0)?);
        let kind = u16_at(self.0, 2)? & TYPE_MASK;
        let payload = self.0.get(4..len)?;
        self.0 = self.0.get(align(len)..).unwrap_or_default();
        Some((kind, payload))
    }
}

impl<'a> Attributes<'a> {
    /// The payload of the first attribute of this type.
    pub fn find(self, wanted: u16) -> Option<&'a [u8]> {
        let mut all = self;
        all.find_map(|(kind, payload)| (kind == wanted).then_some(payload))
    }

    /// The first attribute of this type as a number in host order.
    pub fn find_u32(self, wanted: u16) -> Option<u32> {
        u32_at(self.find(wanted)?, 0)
    }
}

/// NLMSG_ALIGN and RTA_ALIGN: up to the next multiple of four.
pub(crate) const fn align(len: usize) -> usize {
    (len + 3) & !3
}

pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// A C string's bytes without its NUL.
pub(crate) fn c_bytes(bytes: &[u8]) -> &[u8] {
    bytes.split(|&b| b == 0).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_read_in_order_and_padding_is_skipped() {
        let bytes = [[5u16.to_ne_bytes(), 1u16.to_ne_bytes()].concat(), [7, 0, 0, 0].to_vec()].concat();
        let more = [bytes.clone(), [8u16.to_ne_bytes(), 2u16.to_ne_bytes()].concat(), 9u32.to_ne_bytes().to_vec()];
        let bytes = more.concat();
        let mut all = Attributes(&bytes);
        assert_eq!(all.next(), Some((1, &[7u8][..])));
        assert_eq!(Attributes(&bytes).find_u32(2), Some(9));
    }

    #[test]
    fn a_length_that_does_not_fit_ends_the_walk() {
        for len in [0u16, 3, 9, 0xffff] {
            let bytes = [len.to_ne_bytes(), 1u16.to_ne_bytes(), [0, 0]].concat();
            assert_eq!(Attributes(&bytes).next(), None, "length {len}");
        }
    }
}
