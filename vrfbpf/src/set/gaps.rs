//! What the programs of a cgroup do not hold, because a kernel or another manager's cgroup did not take one of them. Pure.

use std::fmt::{self, Display, Formatter};

use nix::errno::Errno;

use crate::call::Hook;

/// Where a program stands, and the tags by which programs know sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The map of tags.
    Tags,
    /// connect(2) of IPv4.
    Connect4,
    /// The same of IPv6.
    Connect6,
    /// bind(2) of IPv4.
    Bind4,
    /// The same of IPv6.
    Bind6,
    /// sendto(2) and sendmsg(2) of IPv4.
    Sendmsg4,
    /// The same of IPv6.
    Sendmsg6,
    /// A packet that leaves.
    Egress,
    /// setsockopt(2).
    Setsockopt,
    /// socket(2). Without this one there is no mechanism.
    Create,
}

impl Place {
    /// All of them, in the order in which they are made: `Create` has to know whether the others bind MPTCP.
    pub const ALL: [Place; 10] = {
        use Place::{Bind4, Bind6, Connect4, Connect6, Create, Egress, Sendmsg4, Sendmsg6, Setsockopt, Tags};
        [Tags, Connect4, Connect6, Bind4, Bind6, Sendmsg4, Sendmsg6, Egress, Setsockopt, Create]
    };

    /// The hook of the program; None for the tags.
    pub fn hook(self) -> Option<Hook> {
        Some(match self {
            Place::Tags => return None,
            Place::Connect4 => Hook::CONNECT4,
            Place::Connect6 => Hook::CONNECT6,
            Place::Bind4 => Hook::BIND4,
            Place::Bind6 => Hook::BIND6,
            Place::Sendmsg4 => Hook::SENDMSG4,
            Place::Sendmsg6 => Hook::SENDMSG6,
            Place::Egress => Hook::EGRESS,
            Place::Setsockopt => Hook::SETSOCKOPT,
            Place::Create => Hook::SOCK_CREATE,
        })
    }

    /// As bpftool(8) and users call it.
    pub fn name(self) -> &'static str {
        match self {
            Place::Tags => "sk_storage",
            Place::Connect4 => "connect4",
            Place::Connect6 => "connect6",
            Place::Bind4 => "bind4",
            Place::Bind6 => "bind6",
            Place::Sendmsg4 => "sendmsg4",
            Place::Sendmsg6 => "sendmsg6",
            Place::Egress => "egress",
            Place::Setsockopt => "setsockopt",
            Place::Create => "sock_create",
        }
    }

    /// The first release of the kernel's own that has it; distributions take it into older ones.
    pub fn since(self) -> &'static str {
        match self {
            Place::Tags => "5.10",
            Place::Connect4 | Place::Connect6 | Place::Bind4 | Place::Bind6 => "4.17",
            Place::Sendmsg4 | Place::Sendmsg6 => "4.18",
            Place::Setsockopt => "5.3",
            Place::Egress | Place::Create => "4.10",
        }
    }
}

/// For each place the error with which it was refused; 0 where all is well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gaps([i32; Place::ALL.len()]);

impl Gaps {
    /// Notes a refusal.
    pub fn add(&mut self, place: Place, errno: Errno) {
        self.0[place as usize] = errno as i32;
    }

    /// Whether this place is held.
    pub fn holds(&self, place: Place) -> bool {
        self.0[place as usize] == 0
    }

    /// Whether there is no gap.
    pub fn is_empty(&self) -> bool {
        *self == Gaps::default()
    }

    /// What can leave the VRF by these gaps, in words.
    pub fn open(&self) -> Vec<&'static str> {
        use Place::{Connect4, Connect6, Egress, Sendmsg4, Sendmsg6, Setsockopt, Tags};
        let all = |places: &[Place]| places.iter().all(|place| self.holds(*place));
        let (judges_bound, judges_all) = (self.holds(Egress), all(&[Egress, Tags]));
        [
            (judges_bound, "packets that name another interface (IP_PKTINFO, IPv6 scope ids)"),
            (judges_bound, "IPv4 multicast and broadcast"),
            (judges_all, "raw and ping sockets after connect(AF_UNSPEC)"),
            (judges_all || all(&[Connect4, Connect6, Sendmsg4, Sendmsg6]), "UDP sockets after connect(AF_UNSPEC)"),
            (judges_all || all(&[Connect4, Connect6]), "AF_SMC"),
            (self.holds(Setsockopt), "reports of multicast joins that name no interface of the VRF"),
        ]
        .into_iter()
        .filter_map(|(is_held, what)| (!is_held).then_some(what))
        .collect()
    }

    /// One number for each place, for the record on the cgroup and the pipe of a trial.
    pub fn errors(&self) -> [i32; Place::ALL.len()] {
        self.0
    }

    /// From such numbers; None if they are too few or too many.
    pub fn from_errors(errors: &[i32]) -> Option<Self> {
        errors.try_into().ok().map(Self)
    }
}

/// The words for `-v` and `--explain`; nothing if there is no gap.
impl Display for Gaps {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let missing = Place::ALL.into_iter().filter(|place| !self.holds(*place));
        let named = missing.map(|place| {
            let errno = Errno::from_raw(self.0[place as usize]);
            let unknown =
                if errno == Errno::EINVAL { format!("new in Linux {}: ", place.since()) } else { String::new() };
            format!("{} ({unknown}{})", place.name(), errno.desc())
        });
        let named = named.collect::<Vec<_>>().join(", ");
        match self.open()[..] {
            _ if named.is_empty() => Ok(()),
            [] => write!(f, "without {named}; nothing is open by that"),
            ref open => write!(f, "without {named}; open: {}", open.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn without(places: &[Place]) -> Gaps {
        let mut gaps = Gaps::default();
        places.iter().for_each(|place| gaps.add(*place, Errno::EINVAL));
        gaps
    }

    #[test]
    fn places_are_numbered_in_their_order() {
        assert!(Place::ALL.iter().enumerate().all(|(at, place)| *place as usize == at));
    }

    #[test]
    fn the_egress_program_alone_holds_what_others_would_bind() {
        use Place::{Bind4, Bind6, Connect4, Connect6, Sendmsg4, Sendmsg6};
        let gaps = without(&[Connect4, Connect6, Bind4, Bind6, Sendmsg4, Sendmsg6]);
        assert_eq!(gaps.open(), [""; 0]);
        assert!(gaps.to_string().ends_with("nothing is open by that"), "{gaps}");
    }

    #[test]
    fn what_is_open_is_said_with_the_reason() {
        let gaps = without(&[Place::Egress]);
        let text = gaps.to_string();
        assert!(
            text.starts_with("without egress (new in Linux 4.10: Invalid argument); open: packets that name"),
            "{text}"
        );
        assert!(!text.contains("UDP"), "{text}");
        assert!(without(&[Place::Tags, Place::Sendmsg4]).to_string().contains("UDP sockets after"));
        assert!(
            without(&[Place::Setsockopt])
                .to_string()
                .ends_with("open: reports of multicast joins that name no interface of the VRF")
        );
        assert_eq!(Gaps::default().to_string(), "");
    }

    #[test]
    fn numbers_are_read_back() {
        let gaps = without(&[Place::Tags, Place::Create]);
        assert_eq!(Gaps::from_errors(&gaps.errors()), Some(gaps));
        assert_eq!(Gaps::from_errors(&[0; 9]), None);
    }
}
