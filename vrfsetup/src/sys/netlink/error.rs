//! What the kernel says when it refuses: an errno and, from 4.12 on, a sentence of its own (extended ack).

use std::fmt;
use std::io;

use nix::errno::Errno;
use rtnetlink::packet_core::ErrorMessage;
use serde::Serialize;

const NLMSG_HEADER: usize = 16;
const NLMSGERR_ATTR_MSG: u16 = 1;

/// A refused request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KernelError {
    /// The positive errno.
    pub errno: i32,
    /// The kernel's sentence, where it gave one.
    pub text: Option<String>,
}

impl KernelError {
    /// A refusal without a sentence.
    pub fn from_errno(errno: i32) -> Self {
        Self { errno, text: None }
    }

    /// The errno of a system call; the words of an error that is of this program's own making.
    pub fn from_io(error: &io::Error) -> Self {
        match error.raw_os_error() {
            Some(errno) => Self::from_errno(errno),
            None => Self { errno: libc::EIO, text: Some(error.to_string()) },
        }
    }

    /// The same about a file, which it names.
    pub fn of_file(path: &str, error: &io::Error) -> Self {
        let Self { errno, text } = Self::from_io(error);
        Self { errno, text: Some(text.map_or_else(|| path.to_owned(), |text| format!("{path}: {text}"))) }
    }

    /// Reads an NLMSG_ERROR message.
    pub fn from_message(message: &ErrorMessage) -> Self {
        Self { errno: message.raw_code().wrapping_neg(), text: sentence(&message.header) }
    }
}

impl From<io::Error> for KernelError {
    fn from(error: io::Error) -> Self {
        Self::from_io(&error)
    }
}

impl From<Errno> for KernelError {
    fn from(errno: Errno) -> Self {
        Self::from_errno(errno as i32)
    }
}

impl fmt::Display for KernelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(text) = &self.text {
            write!(f, "{}: ", text.trim_end_matches('.'))?;
        }
        write!(f, "{}", errno_text(self.errno))
    }
}

/// The C library's words for an errno, without the "(os error 1)" that Rust appends.
pub fn errno_text(errno: i32) -> String {
    let text = io::Error::from_raw_os_error(errno).to_string();
    match text.rsplit_once(" (os error") {
        Some((words, _)) => words.to_owned(),
        None => text,
    }
}

/// The attributes follow a copy of the refused request, whose length is the first word of its header.
fn sentence(copy_and_attributes: &[u8]) -> Option<String> {
    let request_len = u32::from_ne_bytes(copy_and_attributes.get(..4)?.try_into().ok()?) as usize;
    let mut rest = copy_and_attributes.get(align(request_len.max(NLMSG_HEADER))..)?;
    loop {
        let len = u16::from_ne_bytes(rest.get(..2)?.try_into().ok()?) as usize;
        let kind = u16::from_ne_bytes(rest.get(2..4)?.try_into().ok()?);
        let value = rest.get(4..len)?;
        if kind == NLMSGERR_ATTR_MSG {
            let text = value.split(|&b| b == 0).next().unwrap_or_default();
            return Some(String::from_utf8_lossy(text).into_owned());
        }
        rest = rest.get(align(len)..)?;
    }
}

fn align(len: usize) -> usize {
    (len + 3) & !3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_sentence_stands_behind_the_copy_of_the_request() {
        let mut bytes = 20u32.to_ne_bytes().to_vec();
        bytes.resize(20, 0);
        bytes.extend([8u16, 99].map(u16::to_ne_bytes).concat());
        bytes.extend([0; 4]);
        bytes.extend([10u16, 1].map(u16::to_ne_bytes).concat());
        bytes.extend(b"No VRF\0\0");
        assert_eq!(sentence(&bytes).as_deref(), Some("No VRF"));
    }

    #[test]
    fn a_bare_errno_has_no_sentence() {
        assert_eq!(sentence(&16u32.to_ne_bytes()), None);
        assert_eq!(sentence(&[0; 16]), None);
        assert_eq!(sentence(&[]), None);
    }

    #[test]
    fn errno_text_comes_last_and_bare() {
        let refusal = KernelError { errno: libc::EPERM, text: Some("Not here.".into()) };
        assert_eq!(refusal.to_string(), "Not here: Operation not permitted");
    }
}
