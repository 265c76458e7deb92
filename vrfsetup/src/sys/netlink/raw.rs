//! Requests that the packet crate has no types for, or that are simpler without: header, fixed part, attributes.

use rtnetlink::packet_core::{NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST};

use super::reply::{Reply, align};
use super::{ATTEMPTS, Kernel, KernelError};

const HEADER: usize = 16;

impl Kernel {
    /// Asks for a list, and keeps what `wanted` recognises.
    ///
    /// # Errors
    /// The kernel's own.
    pub(super) fn list<T>(
        &self,
        kind: u16,
        body: &[u8],
        wanted: impl Fn(&Reply) -> Option<T>,
    ) -> Result<Vec<T>, KernelError> {
        for _ in 0..ATTEMPTS {
            match self.exchange_bytes(request(kind, NLM_F_DUMP, body), &wanted) {
                Err(refusal) if refusal.errno == libc::EINTR => {}
                answer => return answer,
            }
        }
        Err(KernelError::from_errno(libc::EINTR))
    }

    /// Makes one change and waits for the acknowledgement.
    ///
    /// # Errors
    /// The kernel's own.
    pub(super) fn tell(&self, kind: u16, flags: u16, body: &[u8]) -> Result<(), KernelError> {
        self.exchange_bytes(request(kind, NLM_F_ACK | flags, body), &|_| None::<()>).map(drop)
    }
}

pub(super) fn request(kind: u16, flags: u16, body: &[u8]) -> Vec<u8> {
    let mut bytes = ((HEADER + body.len()) as u32).to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend((NLM_F_REQUEST | flags).to_ne_bytes());
    bytes.extend([0; 8]);
    bytes.extend(body);
    bytes
}

/// One attribute: its length, its kind, its value, and what aligns the next one.
pub(super) fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = 4 + value.len();
    let mut bytes = (length as u16).to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(align(length), 0);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attribute_is_aligned_and_a_request_says_its_length() {
        let body = attribute(1, b"abcde");
        assert_eq!((body.len(), body[0]), (12, 9));
        assert_eq!(request(104, 0, &body)[..4], 28u32.to_ne_bytes());
    }
}
