//! One nexthop object (`ip nexthop`, 5.3), which routes name by its number. The kernel's own attributes are kept as
//! they came, so that an object that is made again has what this program has never heard of.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::shell;

/// A nexthop, or a group of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nexthop {
    /// Its number.
    pub id: u32,
    /// AF_*; 0 for a group.
    pub family: u8,
    /// RTPROT_*.
    pub protocol: u8,
    /// RTNH_F_* that a user may set.
    pub flags: u32,
    /// The index of the interface that it leads to; None for a group or a blackhole.
    pub oif: Option<u32>,
    /// The numbers of a group's members.
    pub members: Vec<u32>,
    /// The attributes that make it again, as the kernel reported them.
    pub attributes: Vec<u8>,
    /// How ip(8) writes what it leads to.
    pub text: String,
}

impl Nexthop {
    /// Gives its interface a name.
    pub fn lead_over(&mut self, device: &str) {
        let space = if self.text.is_empty() { "" } else { " " };
        self.text += &format!("{space}dev {}", shell::word(device));
    }

    /// Whether it is a group of others.
    pub fn is_group(&self) -> bool {
        !self.members.is_empty()
    }
}

/// The object as the arguments of `ip nexthop add`.
impl fmt::Display for Nexthop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "id {} {}", self.id, self.text)
    }
}
