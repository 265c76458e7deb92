//! What follows a `struct inet_diag_msg`: attributes, of which a kernel knows some and tells some.

/// The value of the attribute of this kind.
pub(super) fn attribute<const LENGTH: usize>(mut attributes: &[u8], wanted: u16) -> Option<[u8; LENGTH]> {
    let half = |bytes: &[u8], at: usize| Some(u16::from_ne_bytes(*bytes.get(at..)?.first_chunk()?));
    loop {
        let (length, kind) = (usize::from(half(attributes, 0)?), half(attributes, 2)?);
        let value = attributes.get(4..length)?;
        if kind == wanted {
            return value.first_chunk().copied();
        }
        attributes = attributes.get((length + 3) & !3..)?;
    }
}
