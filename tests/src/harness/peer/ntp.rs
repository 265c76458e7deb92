//! A time server's answer (RFC 5905), from this machine's own clock. Pure.

use std::time::Duration;

const LENGTH: usize = 48;
/// From 1900, where NTP begins to count, to 1970.
const EPOCH: u64 = 2_208_988_800;
const SERVER: u8 = 4;

/// The answer to a client's packet; None for anything else. `now` is the time since 1970.
pub fn answer(request: &[u8], now: Duration) -> Option<Vec<u8>> {
    let request = request.get(..LENGTH).filter(|request| request[0] & 7 == 3)?;
    let mut reply = vec![0; LENGTH];
    reply[0] = request[0] & 0b0011_1000 | SERVER;
    // Stratum 1, the client's poll interval, a precision of a microsecond, a name for the clock.
    reply[1..4].copy_from_slice(&[1, request[2], 0xec]);
    reply[12..16].copy_from_slice(b"TEST");
    reply[24..32].copy_from_slice(&request[40..48]);
    for field in [16, 32, 40] {
        reply[field..field + 8].copy_from_slice(&timestamp(now).to_be_bytes());
    }
    Some(reply)
}

/// Seconds in the upper half, a fraction in the lower.
fn timestamp(since_1970: Duration) -> u64 {
    let fraction = (u64::from(since_1970.subsec_nanos()) << 32) / 1_000_000_000;
    (since_1970.as_secs() + EPOCH) << 32 | fraction
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_gets_its_own_time_back_beside_the_servers() {
        let mut request = vec![0; LENGTH];
        (request[0], request[2]) = (0x23, 6);
        request[40..48].copy_from_slice(b"mytime!!");
        let reply = answer(&request, Duration::from_millis(1500)).unwrap();
        assert_eq!((reply[0], reply[1], reply[2]), (0x24, 1, 6));
        assert_eq!(&reply[24..32], b"mytime!!");
        assert_eq!(reply[40..44], (2_208_988_801u32).to_be_bytes());
        assert_eq!(reply[44..48], (1u32 << 31).to_be_bytes());
    }

    #[test]
    fn what_is_no_request_is_not_answered() {
        assert_eq!(answer(&[0x23; 47], Duration::ZERO), None);
        assert_eq!(answer(&[0x24; 48], Duration::ZERO), None);
    }
}
