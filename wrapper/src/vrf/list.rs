//! The VRFs of this network namespace, by name (`ip link show type vrf`), and those that are emulated.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use vrfnl::link;

use crate::error::Error;
use crate::vrf::device;
use crate::vrf::emulated::Tables;
use crate::vrf::netlink::Netlink;

/// The names of all VRFs, sorted.
pub fn names() -> Result<Vec<OsString>, Error> {
    let mut names = Vec::new();
    let mut netlink = Netlink::open()?;
    let tables = Tables::read(&mut netlink)?;
    for name in tables.names() {
        // A name that is no longer one, or a VRF's own, comes by itself or not at all.
        let found = device::find(&mut netlink, name).ok();
        let is_emulated = found.is_some_and(|(link, own_name)| link.vrf_table.is_none() && own_name != name);
        names.extend(is_emulated.then(|| name.to_owned()));
    }
    names.extend(netlink.links(&link::vrfs(), name).map_err(Error::kernel("list the VRFs"))?);
    names.sort();
    // A link that changes while the kernel lists them can come twice.
    names.dedup();
    Ok(names)
}

/// The name of a VRF, None for any other link: a kernel that knows no VRFs lists all links.
fn name(body: &[u8]) -> Option<OsString> {
    link::parse(body)?.vrf_table?;
    Some(OsStr::from_bytes(link::name(body)?).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An RTM_NEWLINK body with IFLA_IFNAME and IFLA_LINKINFO {IFLA_INFO_KIND, IFLA_INFO_DATA {IFLA_VRF_TABLE 10}}.
    fn link(name: &[u8; 4], kind: &[u8; 4]) -> Vec<u8> {
        let header = [[0, 0, 1, 0], [7, 0, 0, 0], [1, 0, 0, 0], [0; 4]].concat();
        let data = [[12, 0, 2, 0], [8, 0, 1, 0], 10u32.to_ne_bytes()].concat();
        [&header, &[8, 0, 3, 0][..], name, &[24, 0, 18, 0, 8, 0, 1, 0], kind, &data].concat()
    }

    #[test]
    fn of_all_links_only_vrfs_are_listed() {
        assert_eq!(name(&link(b"red\0", b"vrf\0")), Some("red".into()));
        assert_eq!(name(&link(b"red\0", b"tun\0")), None);
        assert_eq!(name(&link(b"red\0", b"vrf\0")[..28]), None);
    }

    /// A kernel without VRFs sends every link, though it was asked for VRFs.
    #[test]
    fn this_machine_answers() {
        assert!(names().unwrap().iter().all(|name| name != "lo"));
    }
}
