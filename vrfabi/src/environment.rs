//! The variables that vrfrun gives to the program: the shim obeys one of them, and vrfsetup tells by both which VRF a
//! process is in.

/// Names the VRF, for prompts and scripts.
pub const VRF: &str = "VRFRUN_VRF";

/// What the shim is told: the cookie in 16 lower-case hexadecimal digits (0: there is no filter), a colon, the device.
pub const SHIM: &str = "VRFSHIM";
const SHIM_ENTRY: [u8; 8] = *b"VRFSHIM=";

const DIGITS: usize = 16;

/// The cookie as it is written before the device.
pub fn cookie_field(cookie: u64) -> impl core::fmt::Display {
    struct Field(u64);
    impl core::fmt::Display for Field {
        fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
            write!(f, "{:0DIGITS$x}:", self.0)
        }
    }
    Field(cookie)
}

/// The value of [`SHIM`] in an entry (`NAME=value`) of an environment. The shim has 16 KiB: eight bytes are compared as
/// one number, without a call.
#[inline(always)]
pub fn shim_value(entry: &[u8]) -> Option<&[u8]> {
    let (name, value) = entry.split_first_chunk()?;
    (*name == SHIM_ENTRY).then_some(value)
}

/// The cookie and the device of a value of [`SHIM`].
#[inline(always)]
pub fn parse_shim(value: &[u8]) -> Option<(u64, &[u8])> {
    let (digits, rest) = value.split_first_chunk::<DIGITS>()?;
    let (b':', device) = rest.split_first()? else { return None };
    let cookie = digits.iter().try_fold(0, |sum, &digit| Some(sum << 4 | hex(digit)?))?;
    Some((cookie, device))
}

#[inline(always)]
fn hex(digit: u8) -> Option<u64> {
    match digit {
        b'0'..=b'9' => Some(u64::from(digit - b'0')),
        b'a'..=b'f' => Some(u64::from(digit - b'a' + 10)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;

    #[test]
    fn an_entry_is_the_variable_and_a_sign() {
        assert_eq!(&SHIM_ENTRY[..], std::format!("{SHIM}=").as_bytes());
    }

    #[test]
    fn what_is_written_reads_back() {
        for cookie in [0, 0x1f, u64::MAX] {
            let value = std::format!("{}blue", cookie_field(cookie));
            assert_eq!(parse_shim(value.as_bytes()), Some((cookie, &b"blue"[..])), "{value}");
        }
    }
}
