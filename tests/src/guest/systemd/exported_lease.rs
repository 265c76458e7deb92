//! `vrfsetup export` of a port with a lease: by the files networkd asks for one itself, in the VRF.

use std::fs;
use std::process::Command;

use super::beside::wait_for_address;
use super::beside_dhclient::{LEASED, defaults, dhclient, end, server, wait_for_renewal, with_server};
use super::exported::{NETWORKD, remove_files, tear_down};
use super::guest_tests;
use super::machine::systemctl;
use crate::guest::setup::rules::assert_vrf_holds;
use crate::guest::setup::{nothing_to_do, vrfsetup};
use crate::harness::wait;

guest_tests! {
    networkd_asks_for_the_lease_in_the_vrf,
}

/// networkd, which goes on with the end of this value.
struct Stopped;

impl Drop for Stopped {
    fn drop(&mut self) {
        let _ = Command::new("systemctl").args(["kill", "--signal=CONT", "systemd-networkd.service"]).status();
    }
}

fn networkd_asks_for_the_lease_in_the_vrf() {
    let (mut world, first_server) = with_server();
    fs::create_dir_all(NETWORKD).expect("a directory");
    vrfsetup(&mut world, 0, "detach blue0 --force");
    let client = dhclient(&mut world, false);
    vrfsetup(&mut world, 0, "attach blue blue0 --force");
    end(&mut world, [client, first_server]);
    // It is dhclient's, whose script gives no protocol.
    assert_eq!(defaults(&world, "10 proto boot"), ["blue0"]);
    let toml = vrfsetup(&mut world, 0, "export").text();
    assert!(!toml.contains("default via 198.51.100.1 dev blue0"), "{toml}");
    let file = world.directory().join("vrf.toml");
    fs::write(&file, toml).expect("a file");
    nothing_to_do(&mut world, &format!("apply {} --prune", file.display()));
    vrfsetup(&mut world, 0, &format!("export --format networkd --directory {NETWORKD}"));
    tear_down(&mut world);
    let server = server(&mut world);
    systemctl(&mut world, 0, "start systemd-networkd.service");
    wait_for_address(&world, "blue0", LEASED);
    let by_lease = |world: &_| [defaults(world, "10 proto dhcp"), defaults(world, "main proto dhcp")];
    wait::until(|| by_lease(&world), |seen| *seen == [vec!["blue0".to_owned()], vec![]]);
    let each = || (vec!["blue0".to_owned()], vec!["eth0".to_owned()]);
    assert_eq!((defaults(&world, "10"), defaults(&world, "main")), each());
    assert_eq!(world.ip_json("link show dev blue0")[0]["master"], "blue");
    wait_for_renewal(&world);
    assert_eq!((defaults(&world, "10"), defaults(&world, "main")), each());
    // Its requests would count as the program's.
    systemctl(&mut world, 0, "kill --signal=STOP systemd-networkd.service");
    let stopped = Stopped;
    assert_vrf_holds(&mut world, "networkd's lease");
    drop(stopped);
    systemctl(&mut world, 0, "stop systemd-networkd.service systemd-networkd.socket");
    remove_files(NETWORKD);
    end(&mut world, [server]);
}
