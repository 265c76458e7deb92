//! D-Bus messages, as far as one question about a property goes: little-endian, and nothing that is not understood is read.

const METHOD_CALL: u8 = 1;
const METHOD_RETURN: u8 = 2;
/// Nothing is to be started that does not run.
const NO_AUTO_START: u8 = 2;
const VERSION: u8 = 1;
/// Of a header, with the length of its fields.
const FIXED: usize = 16;
/// The field that says which call is answered.
const REPLY_SERIAL: u8 = 5;

/// A call of `[DESTINATION, INTERFACE, MEMBER]` with arguments that are strings.
pub fn call(serial: u32, path: &str, [destination, interface, member]: [&str; 3], arguments: &[&str]) -> Vec<u8> {
    let (mut body, mut fields) = (Vec::new(), Vec::new());
    arguments.iter().for_each(|argument| put(&mut body, argument));
    for (code, kind, value) in [(1, b'o', path), (2, b's', interface), (3, b's', member), (6, b's', destination)] {
        pad(&mut fields, 8);
        fields.extend([code, 1, kind, 0]);
        put(&mut fields, value);
    }
    if !arguments.is_empty() {
        pad(&mut fields, 8);
        fields.extend([8, 1, b'g', 0, arguments.len() as u8]);
        fields.extend(arguments.iter().map(|_| b's').chain([0]));
    }
    let mut message = vec![b'l', METHOD_CALL, NO_AUTO_START, VERSION];
    [body.len() as u32, serial, fields.len() as u32].iter().for_each(|number| message.extend(number.to_le_bytes()));
    message.extend(fields);
    pad(&mut message, 8);
    message.extend(body);
    message
}

fn put(bytes: &mut Vec<u8>, text: &str) {
    pad(bytes, 4);
    bytes.extend((text.len() as u32).to_le_bytes());
    bytes.extend(text.bytes().chain([0]));
}

fn pad(bytes: &mut Vec<u8>, to: usize) {
    bytes.resize(bytes.len().next_multiple_of(to), 0);
}

/// How much follows the fixed part of a header.
pub fn length(fixed: &[u8]) -> Option<usize> {
    let mut reader = Reader(fixed, 4);
    let (body, _serial, fields) = (reader.u32()?, reader.u32()?, reader.u32()?);
    (fixed.first() == Some(&b'l')).then(|| (fields as usize).next_multiple_of(8).checked_add(body as usize))?
}

/// Which call a whole message answers, and its body: 0 and nothing where it is no answer.
pub fn reply_to(message: &[u8]) -> Option<(u32, &[u8])> {
    let length = Reader(message, 12).u32()? as usize;
    let mut fields = Reader(message.get(..FIXED.checked_add(length)?)?, FIXED);
    let body = message.get(FIXED + length.next_multiple_of(8)..)?;
    let mut serial = 0;
    while !fields.is_at_end() {
        fields.align(8)?;
        match (fields.byte()?, fields.signature()?) {
            (REPLY_SERIAL, b"u") => serial = fields.u32()?,
            (_, b"u") => drop(fields.u32()?),
            (_, b"s" | b"o") => drop(fields.string()?),
            (_, b"g") => drop(fields.signature()?),
            _ => return None,
        }
    }
    // To an error the answer is that there is none.
    Some((serial, if message.get(1) == Some(&METHOD_RETURN) { body } else { &[] }))
}

/// Bytes, and how far they were read; each value is aligned to its size.
pub struct Reader<'a>(pub &'a [u8], pub usize);

impl<'a> Reader<'a> {
    /// Whether all was read.
    pub fn is_at_end(&self) -> bool {
        self.1 >= self.0.len()
    }

    /// Goes on to the next multiple.
    pub fn align(&mut self, to: usize) -> Option<()> {
        self.1 = self.1.checked_next_multiple_of(to)?;
        (self.1 <= self.0.len()).then_some(())
    }

    /// The next bytes.
    pub fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let taken = self.0.get(self.1..self.1.checked_add(length)?)?;
        self.1 += length;
        Some(taken)
    }

    /// `y`.
    pub fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    /// `q`.
    pub fn u16(&mut self) -> Option<u16> {
        self.align(2)?;
        self.take(2)?.try_into().ok().map(u16::from_le_bytes)
    }

    /// `u`, `i` or `b`.
    pub fn u32(&mut self) -> Option<u32> {
        self.align(4)?;
        self.take(4)?.try_into().ok().map(u32::from_le_bytes)
    }

    /// `s` or `o`.
    pub fn string(&mut self) -> Option<String> {
        let length = self.u32()?;
        let text = self.take(length as usize)?.to_vec();
        self.byte()?;
        String::from_utf8(text).ok()
    }

    /// `g`.
    pub fn signature(&mut self) -> Option<&'a [u8]> {
        let length = self.byte()?;
        let text = self.take(length.into())?;
        self.byte().map(|_| text)
    }

    /// `v`, if it holds this.
    pub fn variant(mut self, signature: &str) -> Option<Self> {
        (self.signature()? == signature.as_bytes()).then_some(self)
    }

    /// `a(…)`, which alone is then read.
    pub fn array(mut self) -> Option<Self> {
        let length = self.u32()? as usize;
        self.align(8)?;
        Some(Self(self.0.get(..self.1.checked_add(length)?)?, self.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proptests;

    #[test]
    fn a_call_has_the_length_that_it_says_and_is_no_answer() {
        let call = call(7, "/a", ["b.c", "d.e", "F"], &["x", "yz"]);
        assert_eq!(length(&call), Some(call.len() - FIXED));
        assert_eq!(reply_to(&call), Some((0, &b""[..])));
    }

    #[test]
    fn no_message_makes_a_panic() {
        proptests::check(proptests::cut_and_changed(call(7, "/a", ["b.c", "d.e", "F"], &["x"])), |message| {
            let _ = (length(&message), reply_to(&message));
        });
    }
}
