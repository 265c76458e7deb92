//! By which interfaces a connection's packets leave: through tunnels, the packets around them as well.
//!
//! Asks the kernel and changes nothing.

use std::cell::OnceCell;
use std::collections::HashSet;

use crate::model::family::Family;
use crate::model::flow::{Flow, Sender};
use crate::model::link::Link;
use crate::model::route::Route;
use crate::plan::system::System;
use crate::sys::netlink::{Kernel, KernelError};
use crate::sys::sock_diag::Connection;
use crate::transaction::around::{Around, Unread};

/// One routing of packets on their way.
pub struct Hop<'a> {
    pub flow: Flow,
    /// The route that they take.
    pub route: Route,
    /// The interface that they leave by, and what it stands upon: what is below a VLAN, the ports of a bridge.
    pub links: Vec<&'a Link>,
}

/// What is known of the way of a connection.
pub struct Path<'a> {
    /// The connection's own packets first; none that have no route.
    pub hops: Vec<Hop<'a>>,
    /// What the kernel refused to tell: the packets may leave by anything.
    pub unread: Option<Unread>,
}

/// The paths of connections.
pub struct Paths<'a> {
    kernel: &'a Kernel,
    system: &'a System,
    around: Around<'a>,
    /// Whether a rule of IPv4 goes by where packets are from.
    goes_by_source: OnceCell<Result<bool, KernelError>>,
}

impl<'a> Paths<'a> {
    pub fn new(kernel: &'a Kernel, system: &'a System) -> Self {
        Self { kernel, system, around: Around::new(kernel, system), goes_by_source: OnceCell::new() }
    }

    pub fn of(&mut self, connection: &Connection) -> Path<'a> {
        let (to, from) = (connection.peer.0, Some(connection.local.0));
        let own = Flow { to, from, oif: connection.bound, mark: connection.mark() };
        let (protocol, ports) = (connection.protocol, [connection.local.1, connection.peer.1]);
        let mut waiting = vec![(own, Some(Sender { protocol, ports, user: connection.user() }))];
        let (mut path, mut seen) = (Path { hops: Vec::new(), unread: None }, HashSet::new());
        while let Some((flow, sender)) = waiting.pop() {
            let route = match self.route(&flow, sender.as_ref(), connection) {
                Ok(route) => route,
                Err(refusal) if is_no_route(&refusal) => continue,
                Err(refusal) => {
                    path.unread.get_or_insert(Unread { what: format!("the route to {}", flow.to), refusal });
                    continue;
                }
            };
            let links = self.upon(route.oif());
            // A tunnel may lead to itself.
            for link in links.iter().filter(|link| seen.insert(link.ifindex)) {
                match self.around.of(link) {
                    Ok(flows) => waiting.extend(flows.into_iter().map(|flow| (flow, None))),
                    Err(unread) => drop(path.unread.get_or_insert(unread)),
                }
            }
            path.hops.push(Hop { flow, route, links });
        }
        path
    }

    /// Of IPv4 the kernel looks nothing up from an address that is not this machine's, as a socket of a transparent proxy has
    /// it, and says that there is no route. Its packets take the one that there is without that address, unless a rule asks for
    /// it.
    fn route(&self, flow: &Flow, sender: Option<&Sender>, connection: &Connection) -> Result<Route, KernelError> {
        let answer = self.kernel.route_from(flow, sender);
        let is_foreign = |own| !self.system.is_own(own) && connection.is_transparent().unwrap_or(true);
        let is_hidden = sender.is_some() && flow.to.is_ipv4() && flow.from.is_some_and(is_foreign);
        match answer {
            Err(refusal) if refusal.errno == libc::ENETUNREACH && is_hidden => {
                if self.goes_by_source.get_or_init(|| goes_by_source(self.kernel)).clone()? {
                    let text = Some("a rule goes by its own address, which is not this machine's".to_owned());
                    return Err(KernelError { errno: libc::EOPNOTSUPP, text });
                }
                self.kernel.route_from(&Flow { from: None, ..flow.clone() }, sender)
            }
            answer => answer,
        }
    }

    fn upon(&self, oif: Option<u32>) -> Vec<&'a Link> {
        let system = self.system;
        let mut links: Vec<&Link> = oif.and_then(|oif| system.link_by_index(oif)).into_iter().collect();
        let mut at = 0;
        while let Some(link) = links.get(at).copied() {
            let below = link.lower.and_then(|lower| system.link_by_index(lower));
            let ports = system.ports(link).filter(|_| !link.is_vrf());
            let is_new = |other: &&Link| links.iter().all(|known| known.ifindex != other.ifindex);
            let more: Vec<&Link> = ports.chain(below).filter(is_new).collect();
            links.extend(more);
            at += 1;
        }
        links
    }
}

fn goes_by_source(kernel: &Kernel) -> Result<bool, KernelError> {
    Ok(kernel.rules(Family::V4)?.iter().any(|rule| rule.selectors.from.is_some()))
}

/// What the kernel says of packets that it would not send: nothing leads there, or what does is unreachable, prohibited,
/// a blackhole or a throw, or is for an interface or a family that is not there. Of a request that it does not understand
/// it says why as well.
fn is_no_route(refusal: &KernelError) -> bool {
    const NO_ROUTE: [i32; 7] = [
        libc::ENETUNREACH,
        libc::EHOSTUNREACH,
        libc::EACCES,
        libc::EAGAIN,
        libc::ESRCH,
        libc::ENODEV,
        libc::EAFNOSUPPORT,
    ];
    const UNLESS_EXPLAINED: [i32; 2] = [libc::EINVAL, libc::EOPNOTSUPP];
    NO_ROUTE.contains(&refusal.errno) || (UNLESS_EXPLAINED.contains(&refusal.errno) && refusal.text.is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_to_look_up_is_not_taken_for_no_route() {
        let is_none = |errno| is_no_route(&KernelError::from_errno(errno));
        let none = [libc::ENETUNREACH, libc::EHOSTUNREACH, libc::EACCES, libc::EINVAL, libc::ENODEV, libc::EOPNOTSUPP];
        assert_eq!(none.map(is_none), [true; 6]);
        assert_eq!([libc::EPERM, libc::ENOBUFS, libc::ENOMEM, libc::EIO, libc::EINTR].map(is_none), [false; 5]);
        let text = Some("Invalid flags for get route request".to_owned());
        assert!(!is_no_route(&KernelError { text, ..KernelError::from_errno(libc::EINVAL) }));
    }
}
