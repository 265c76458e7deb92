//! BPF_CGROUP_INET_SOCK_CREATE (4.10): binds each AF_INET and AF_INET6 socket when it is made.
//!
//! Stops: everything that a program does with a socket that it does not unbind. It does not see the sockets that the
//! kernel makes inside others (MPTCP's subflows, AF_SMC's TCP socket), so IPPROTO_SMC (6.11) is refused here, and MPTCP
//! where no other hook can bind its subflows. AF_SMC never gets here: it is refused at connect and bind.

use libc::IPPROTO_MPTCP;
use vrfabi::socket::IPPROTO_SMC;

use super::{SOCK_BOUND_DEV_IF, SOCK_PROTOCOL, SOCK_TYPE, TAG_FOREIGN, TAG_OTHER, Target};
use crate::asm::{Label, Program};

/// The program. `allows_mptcp`: the programs at connect and bind bind its subflows ([`super::Rescue::BindAll`]).
pub fn create(target: &Target<'_>, allows_mptcp: bool) -> Program {
    let mut program = Program::default();
    program.begin_with_ours(target).load_word(1, 6, SOCK_PROTOCOL).if_equal(1, IPPROTO_SMC, Label::Deny);
    if !allows_mptcp {
        program.if_equal(1, IPPROTO_MPTCP, Label::Deny);
    }
    program.set(2, target.ifindex as i32).store_word(6, SOCK_BOUND_DEV_IF, 2);
    match target.tags {
        // Not streams and datagrams, which have the lowest numbers: a tag costs a fifth of a socket.
        Some(tags) => {
            program.load_word(1, 6, SOCK_TYPE).if_below(1, libc::SOCK_RAW, Label::Allow);
            program.put_tag(tags, 6, TAG_OTHER).goto(Label::Allow);
            program.label(Label::Foreign).put_tag(tags, 6, TAG_FOREIGN)
        }
        None => program.label(Label::Foreign),
    };
    program.end();
    program
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::programs::tests::TARGET;

    #[test]
    fn a_foreign_network_namespace_jumps_over_the_binding() {
        for netns in [None, Some(0x1_0000_0002)] {
            for tags in [None, Some(3)] {
                let code = create(&Target { netns, tags, ..TARGET }, false).finish().unwrap();
                let test = code.iter().position(|step| step.code == 0x5d).unwrap();
                let store = code.iter().position(|step| step.code == 0x63).unwrap();
                let target = test + 1 + code[test].offset as usize;
                assert!(store > test && store < target, "{code:?}");
            }
        }
    }

    /// One comparison, for what many programs make: streams and datagrams go on without a tag.
    #[test]
    fn all_but_streams_and_datagrams_get_a_tag() {
        let code = create(&TARGET, true).finish().unwrap();
        let below = code.iter().position(|step| step.code == 0xa5).expect("a comparison of the type");
        assert_eq!(code[below].immediate, libc::SOCK_RAW);
        let passed = &code[below + 1..=below + code[below].offset as usize];
        assert!(passed.iter().any(|step| (step.code, step.immediate) == (0x85, crate::programs::SK_STORAGE_GET)));
        assert!([libc::SOCK_STREAM, libc::SOCK_DGRAM].iter().all(|kind| *kind < libc::SOCK_RAW));
    }

    #[test]
    fn mptcp_is_refused_unless_its_subflows_are_bound() {
        let refuses = |allows, protocol| {
            let code = create(&TARGET, allows).finish().unwrap();
            code.iter().any(|step| (step.code, step.immediate) == (0x15, protocol))
        };
        assert!(refuses(false, IPPROTO_MPTCP) && !refuses(true, IPPROTO_MPTCP));
        assert!(refuses(false, IPPROTO_SMC) && refuses(true, IPPROTO_SMC));
    }
}
