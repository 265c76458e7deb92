//! The smallest nameserver: every name exists, with the world's web address in both families and
//! the domain's name as TXT. Pure: bytes in, bytes out.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::harness::world::plan::{WEB4, WEB6};

const TYPE_A: u16 = 1;
const TYPE_TXT: u16 = 16;
const TYPE_AAAA: u16 = 28;

/// A query that could be answered, and the answer.
#[derive(Debug, PartialEq, Eq)]
pub struct Reply {
    /// The name asked for, as text.
    pub name: String,
    /// The whole answer, header included.
    pub message: Vec<u8>,
}

/// Answers `query`; what is not a query with one question is left unanswered.
pub fn answer(query: &[u8], domain: &str) -> Option<Reply> {
    let is_query = query.get(2)? & 0x80 == 0;
    let one_question = query.get(4..6)? == [0, 1];
    if !is_query || !one_question {
        return None;
    }
    let (name, end) = read_name(query, 12)?;
    let kind = u16::from_be_bytes(query.get(end..end + 2)?.try_into().ok()?);
    let data = match kind {
        TYPE_A => Some(Ipv4Addr::octets(&WEB4).to_vec()),
        TYPE_AAAA => Some(Ipv6Addr::octets(&WEB6).to_vec()),
        TYPE_TXT => Some([&[domain.len() as u8], domain.as_bytes()].concat()),
        _ => None,
    };
    let mut message = query.get(..2)?.to_vec();
    // A response, authoritative, recursion available; RD copied; no error; one question.
    message.extend([0x84 | (query[2] & 1), 0x80, 0, 1, 0, u8::from(data.is_some()), 0, 0, 0, 0]);
    message.extend(query.get(12..end + 4)?);
    if let Some(data) = data {
        // A pointer to the question's name, the type, class IN, no time to live, the data.
        message.extend([0xc0, 12]);
        message.extend(kind.to_be_bytes());
        message.extend([0, 1, 0, 0, 0, 0]);
        message.extend((data.len() as u16).to_be_bytes());
        message.extend(data);
    }
    Some(Reply { name, message })
}

/// The name at `at` and the offset behind it; questions hold no compression pointers.
fn read_name(message: &[u8], mut at: usize) -> Option<(String, usize)> {
    let mut labels = Vec::new();
    loop {
        let length = usize::from(*message.get(at)?);
        at += 1;
        match length {
            0 => return Some((labels.join("."), at)),
            64.. => return None,
            _ => labels.push(String::from_utf8_lossy(message.get(at..at + length)?).into_owned()),
        }
        at += length;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(kind: u16) -> Vec<u8> {
        let mut query = vec![0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        query.extend(b"\x03www\x03vrf\x04test\x00");
        query.extend(kind.to_be_bytes());
        query.extend([0, 1]);
        query
    }

    #[test]
    fn a_name_has_the_worlds_address_and_the_id_of_the_query() {
        let reply = answer(&query(TYPE_A), "blue").expect("an answer");
        assert_eq!(reply.name, "www.vrf.test");
        assert_eq!(reply.message[..2], [0xab, 0xcd]);
        assert!(reply.message.ends_with(&[0, 4, 192, 0, 2, 80]));
    }

    #[test]
    fn txt_tells_the_domain() {
        let reply = answer(&query(TYPE_TXT), "red").expect("an answer");
        assert!(reply.message.ends_with(b"\x00\x04\x03red"));
    }

    #[test]
    fn an_unknown_type_has_no_records_but_no_error() {
        let reply = answer(&query(15), "blue").expect("an answer");
        assert_eq!(reply.message[3] & 0x0f, 0);
        assert_eq!(reply.message[6..8], [0, 0]);
    }

    #[test]
    fn a_truncated_query_or_a_response_is_not_answered() {
        assert_eq!(answer(&query(TYPE_A)[..15], "blue"), None);
        assert_eq!(answer(&[0; 12], "blue"), None);
        let mut response = query(TYPE_A);
        response[2] |= 0x80;
        assert_eq!(answer(&response, "blue"), None);
    }
}
