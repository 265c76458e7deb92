//! The name of a device, in the form in which the kernel takes it.

use core::ffi::c_void;

/// IFNAMSIZ: the longest name and its NUL.
pub(crate) const SIZE: usize = libc::IFNAMSIZ;

/// A device name of 1 to 15 bytes, padded with NUL. Bytes: the kernel knows no encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Name([u8; SIZE]);

impl Name {
    /// None for a name that no device can have: empty, too long, or with a NUL in it.
    pub(crate) fn new(bytes: &[u8]) -> Option<Self> {
        if bytes.is_empty() || bytes.len() >= SIZE || bytes.contains(&0) {
            return None;
        }
        let mut padded = [0; SIZE];
        padded.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        Some(Self(padded))
    }

    /// A name as the kernel hands it out or takes it in: up to the first NUL, and never more than 15 bytes.
    pub(crate) fn from_option(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..SIZE - 1).unwrap_or(bytes);
        Self::new(bytes.split(|&b| b == 0).next()?)
    }

    /// The name without padding.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.split(|&b| b == 0).next().unwrap_or_default()
    }

    /// Where the name begins; [`SIZE`] bytes can be read, and a NUL is among them.
    pub(crate) fn as_ptr(&self) -> *const c_void {
        self.0.as_ptr().cast()
    }

    /// The name with its padding, as the value of an option.
    pub(crate) fn as_option(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn to_words(self) -> [u64; 2] {
        let bits = u128::from_ne_bytes(self.0);
        [bits as u64, (bits >> 64) as u64]
    }

    pub(crate) fn from_words(words: [u64; 2]) -> Self {
        Self((u128::from(words[0]) | u128::from(words[1]) << 64).to_ne_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_1_to_15_bytes_and_no_nul() {
        for name in [&b""[..], b"sixteen-letters-", b"a\0b"] {
            assert_eq!(Name::new(name), None, "{name:?}");
        }
        assert!(Name::new(b"b").is_some() && Name::new(b"fifteen-letters").is_some());
    }

    #[test]
    fn the_kernels_form_ends_at_the_nul_or_at_15_bytes() {
        let blue = Name::new(b"blue");
        for form in [&b"blue"[..], b"blue\0", b"blue\0rubbish-behind"] {
            assert_eq!(Name::from_option(form), blue);
        }
        assert_eq!(Name::from_option(b"sixteen-letters-"), Name::new(b"sixteen-letters"));
        assert_eq!(Name::from_option(b""), None);
    }

    #[test]
    fn words_and_back_is_the_same_name() {
        for name in [&b"b"[..], b"eightlet", b"fifteen-letters", &[0xff, 0x80]] {
            let name = Name::new(name).unwrap();
            assert_eq!(Name::from_words(name.to_words()), name);
        }
    }
}
