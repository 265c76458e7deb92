//! Users whose sockets are in a VRF: where one is not there, or what the kernel has of them is not what it should be.

use super::Finding;
use crate::plan::system::System;
use crate::sys::accounts;
use crate::sys::users::{Assigned, State};

const REFRESH: &str = "vrfsetup user --refresh";

/// All findings about them.
pub fn all(system: &System, state: &State) -> Vec<Finding> {
    let mut findings: Vec<Finding> = state.users.iter().filter_map(|user| of(system, user)).collect();
    if state.lacks_programs {
        let what = "somebody has detached programs of 'vrfsetup user': sockets of users leave by the default domain";
        findings.push(Finding::new("user-programs", what, REFRESH));
    }
    findings
}

fn of(system: &System, user: &Assigned) -> Option<Finding> {
    let name = accounts::name_of(user.uid);
    let index = system.link(&user.vrf).filter(|link| link.is_vrf() && link.name == user.vrf).map(|link| link.ifindex);
    let (finding, what, fix) = match index {
        None => {
            let fix = format!("vrfsetup add {}; or vrfsetup user --remove {name}", user.vrf);
            ("user-without-vrf", format!("all sockets of user '{name}' fail: there is no such VRF"), fix)
        }
        Some(_) if index != user.ifindex => {
            let what = format!("all sockets of user '{name}' fail: the VRF was made again since");
            ("user-stale", what, REFRESH.to_owned())
        }
        Some(_) => return None,
    };
    Some(Finding::new(finding, what, fix).about(&user.vrf))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::link::Link;

    fn link(ifindex: u32, name: &str, table: Option<u32>) -> Link {
        let kind = table.map(|_| "vrf".to_owned());
        let (name, altnames) = (name.to_owned(), Vec::new());
        Link { ifindex, name, flags: 0, mtu: 1500, operstate: 6, master: None, lower: None, altnames, kind, table }
    }

    #[test]
    fn each_way_of_being_cut_off_is_told_apart() {
        let system = System::new(vec![link(7, "blue", Some(10)), link(8, "red", None)], vec![]);
        let finding = |vrf: &str, ifindex, lacks_programs| {
            let users = vec![Assigned { uid: 4_294_967_000, vrf: vrf.to_owned(), ifindex }];
            all(&system, &State { users, lacks_programs })
                .into_iter()
                .map(|finding| finding.finding)
                .collect::<Vec<_>>()
        };
        assert_eq!(finding("blue", Some(7), false), [""; 0]);
        assert_eq!(finding("blue", Some(6), false), ["user-stale"]);
        assert_eq!(finding("blue", None, true), ["user-stale", "user-programs"]);
        assert_eq!(finding("red", Some(8), false), ["user-without-vrf"]);
        assert_eq!(finding("green", None, false), ["user-without-vrf"]);
    }
}
