//! What the packets around those of a tunnel are routed by.
//!
//! Asks the kernel, each thing once, and changes nothing. What it refuses to tell is an answer of its own, which is not taken
//! for nothing. Of IPsec only the states of an xfrm or VTI interface are known: the kernel does not tell by which policy other
//! packets are taken. Of a tunnel whose packets each have ends of their own, and of one that a program makes (OpenVPN), nobody
//! knows what is around which connection.

use std::cell::OnceCell;
use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

use crate::model::flow::Flow;
use crate::model::link::Link;
use crate::plan::outsides;
use crate::plan::system::System;
use crate::sys::netlink::ipsec::{self, State};
use crate::sys::netlink::{Kernel, KernelError, wireguard};

/// What the kernel refused to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    pub what: String,
    pub refusal: KernelError,
}

/// What is around tunnels: many connections may go through one.
pub struct Around<'a> {
    kernel: &'a Kernel,
    system: &'a System,
    /// IPsec's, of all interfaces: the kernel lists them together.
    states: OnceCell<Result<Vec<State>, Unread>>,
    /// By the tunnels' indices.
    known: HashMap<u32, Result<Vec<Flow>, Unread>>,
}

impl<'a> Around<'a> {
    pub fn new(kernel: &'a Kernel, system: &'a System) -> Self {
        Self { kernel, system, states: OnceCell::new(), known: HashMap::new() }
    }

    /// # Errors
    /// The kernel refuses to tell.
    pub fn of(&mut self, link: &Link) -> Result<Vec<Flow>, Unread> {
        if let Some(known) = self.known.get(&link.ifindex) {
            return known.clone();
        }
        let asked = self.ask(link);
        self.known.insert(link.ifindex, asked.clone());
        asked
    }

    fn ask(&self, link: &Link) -> Result<Vec<Flow>, Unread> {
        let (kernel, device) = (self.kernel, link.device());
        let of_it = |what: &str| format!("{what} of '{}'", link.name);
        let named = || told(kernel.flow_around(&device), || of_it("the ends"));
        Ok(match link.kind.as_deref() {
            Some("wireguard") => told(wireguard::flows(link.ifindex), || of_it("the peers"))?,
            _ if link.is_of_elsewhere => Vec::new(),
            Some("vxlan") => {
                let own = told(kernel.own_end(&device), || of_it("the ends"))?;
                let others = told(kernel.far_ends(link.ifindex), || of_it("the far ends"))?;
                of_vxlan(link, own, named()?, others)
            }
            Some("xfrm") => match told(kernel.xfrm_number(&device), || of_it("the number"))? {
                None | Some(0) => Vec::new(),
                Some(number) => {
                    let its = self.states()?.iter().filter(|state| state.interface == number);
                    of_states(self.system, link.lower.unwrap_or(0), its)
                }
            },
            Some("vti" | "vti6") => match named()? {
                Some(named) => of_vti(self.system, link, named, self.states()?),
                None => Vec::new(),
            },
            Some("geneve") => named()?.into_iter().collect(),
            _ if outsides::is_changed(link) => named()?.into_iter().collect(),
            _ => Vec::new(),
        })
    }

    fn states(&self) -> Result<&[State], Unread> {
        let asked = self.states.get_or_init(|| told(ipsec::states(), || "the IPsec states".to_owned()));
        asked.as_deref().map_err(Unread::clone)
    }
}

/// What the kernel does not have is nothing: the interface (any more), its kind (a module that is not loaded), or a protocol
/// by which nobody can have told it anything. All else may hide something.
fn told<T: Default>(answer: Result<T, KernelError>, what: impl FnOnce() -> String) -> Result<T, Unread> {
    const NOTHING: [i32; 4] = [libc::ENODEV, libc::ENOENT, libc::EOPNOTSUPP, libc::EPROTONOSUPPORT];
    match answer {
        Err(refusal) if NOTHING.contains(&refusal.errno) => Ok(T::default()),
        answer => answer.map_err(|refusal| Unread { what: what(), refusal }),
    }
}

/// To the far end that it was made with, which the kernel lists among the others as well, and to those that it has been told
/// of or has learned, always in the same order. It may have been made with a device and no far end.
fn of_vxlan(link: &Link, own: Option<IpAddr>, named: Option<Flow>, others: Vec<(IpAddr, u32)>) -> Vec<Flow> {
    let device = link.lower.unwrap_or(0);
    let others: BTreeSet<(IpAddr, u32)> =
        others.into_iter().map(|(to, oif)| (to, if oif == 0 { device } else { oif })).collect();
    let other = |(to, oif): (IpAddr, u32)| {
        let from = own.filter(|own| own.is_ipv4() == to.is_ipv4());
        Flow { to, from, oif, mark: 0 }
    };
    let others = others.into_iter().map(other).filter(|flow| named.as_ref() != Some(flow));
    named.iter().cloned().chain(others).collect()
}

/// As its states have it; without one it sends nothing yet. It sends by the VRF that it is a port of.
fn of_vti(system: &System, link: &Link, named: Flow, states: &[State]) -> Vec<Flow> {
    let vrf = system.vrf_of(link).map_or(0, |vrf| vrf.ifindex);
    let is_its = |state: &&State| state.to == named.to && named.from.is_none_or(|from| state.from == from);
    let flows = of_states(system, vrf, states.iter().filter(is_its));
    if flows.is_empty() { vec![Flow { oif: vrf, ..named }] } else { flows }
}

/// Of those that are sent by; what comes in has its end here.
fn of_states<'s>(system: &System, oif: u32, states: impl Iterator<Item = &'s State>) -> Vec<Flow> {
    let sent = states.filter(|state| system.is_own(state.from));
    sent.map(|&State { to, from, mark, .. }| Flow { to, from: Some(from), oif, mark }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_not_taken_for_nothing_around_it() {
        let answer = |errno| told::<Vec<Flow>>(Err(KernelError::from_errno(errno)), || "the peers of 'wg0'".into());
        for errno in [libc::ENODEV, libc::ENOENT, libc::EOPNOTSUPP, libc::EPROTONOSUPPORT] {
            assert_eq!(answer(errno), Ok(Vec::new()), "{errno}");
        }
        for errno in [libc::EPERM, libc::EACCES, libc::ENOBUFS, libc::ENOMEM, libc::EINTR, libc::EMSGSIZE, libc::EIO] {
            let refusal = KernelError::from_errno(errno);
            assert_eq!(answer(errno), Err(Unread { what: "the peers of 'wg0'".into(), refusal }), "{errno}");
        }
        assert_eq!(told(Ok(Some(7)), String::new), Ok(Some(7)));
    }

    #[test]
    fn the_far_ends_of_a_vxlan_are_in_one_order_however_the_kernel_lists_them() {
        let link = Link { lower: Some(3), ..Link::plain(9, "vx0", None) };
        let far: Vec<(IpAddr, u32)> = (1..=16).map(|last| (IpAddr::from([192, 0, 2, last]), 0)).collect();
        let turned = far.iter().rev().chain(&far).copied().collect();
        let to: Vec<IpAddr> = far.iter().map(|(to, _)| *to).collect();
        for others in [far.clone(), turned] {
            let flows = of_vxlan(&link, None, None, others);
            assert_eq!(flows.iter().map(|flow| flow.to).collect::<Vec<_>>(), to);
            assert!(flows.iter().all(|flow| flow.oif == 3), "the device of the VXLAN: {flows:?}");
        }
        // The one that it was made with is the first, and once there.
        let named = Flow { to: to[4], from: None, oif: 3, mark: 0 };
        let flows = of_vxlan(&link, None, Some(named), far.clone());
        assert_eq!((flows.len(), flows[0].to, flows[1].to), (far.len(), to[4], to[0]));
    }
}
