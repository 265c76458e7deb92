//! The interfaces and addresses of this network namespace, read once per command.

use std::net::IpAddr;

use crate::address::Address;
use crate::error::Error;
use crate::kernel::Kernel;
use crate::link::Link;

/// What is there.
pub struct System {
    /// All interfaces, in the kernel's order.
    pub links: Vec<Link>,
    /// All addresses, with the names of their interfaces.
    pub addresses: Vec<Address>,
}

impl System {
    /// Reads both.
    ///
    /// # Errors
    /// The kernel's own.
    pub fn read(kernel: &Kernel) -> Result<Self, Error> {
        let unreadable = |what: &str| {
            let what = what.to_owned();
            |refusal| Error::Unreadable { what, refusal }
        };
        let links = kernel.links().map_err(unreadable("the interfaces"))?;
        let mut addresses = kernel.addresses().map_err(unreadable("the addresses"))?;
        for address in &mut addresses {
            if let Some(link) = links.iter().find(|link| link.ifindex == address.device.ifindex) {
                address.device.name.clone_from(&link.name);
            }
        }
        Ok(Self { links, addresses })
    }

    /// The interface of this name.
    pub fn link(&self, name: &str) -> Option<&Link> {
        self.links.iter().find(|link| link.name == name)
    }

    /// The interface of this index.
    pub fn link_by_index(&self, ifindex: u32) -> Option<&Link> {
        self.links.iter().find(|link| link.ifindex == ifindex)
    }

    /// The interface of this name.
    ///
    /// # Errors
    /// There is none.
    pub fn existing(&self, name: &str) -> Result<&Link, Error> {
        self.link(name).ok_or_else(|| Error::NoSuchLink(name.to_owned()))
    }

    /// All VRFs.
    pub fn vrfs(&self) -> impl Iterator<Item = &Link> {
        self.links.iter().filter(|link| link.is_vrf())
    }

    /// The ports of a VRF.
    pub fn ports(&self, vrf: &Link) -> impl Iterator<Item = &Link> {
        let master = vrf.ifindex;
        self.links.iter().filter(move |link| link.master == Some(master))
    }

    /// The addresses of an interface.
    pub fn addresses_of(&self, ifindex: u32) -> impl Iterator<Item = &Address> {
        self.addresses.iter().filter(move |address| address.device.ifindex == ifindex)
    }

    /// Whether the machine itself has this address.
    pub fn is_own(&self, address: IpAddr) -> bool {
        address.is_loopback() || self.addresses.iter().any(|own| own.local == address)
    }
}
