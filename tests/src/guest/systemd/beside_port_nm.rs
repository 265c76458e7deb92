//! A port that NetworkManager configures itself: the same as `beside_port` of systemd-networkd.

use std::fs;

use super::beside::run;
use super::beside_port::{
    GATEWAY4, GATEWAY6, OWN4, OWN6, Place, ROUTES, assert_apart, assert_apply_would_attach, attach, fix_as_doctor_says,
    place, wait_for, with_plain_port,
};
use super::guest_tests;
use super::machine::{Machine, systemctl};
use crate::harness::judge::root;
use crate::harness::wait;

guest_tests! {
    port_stays_where_its_profile_says_so,
    port_is_taken_out_of_a_vrf_that_its_profile_does_not_name,
}

fn networkmanager(world: &mut Machine, more: &str) {
    fs::write("/etc/NetworkManager/conf.d/beside.conf", "[main]\nno-auto-default=*\n").expect("a file");
    systemctl(world, 0, "start NetworkManager.service");
    // Of eth0's metric its default route would be one of two next hops.
    let of4 = format!("ipv4.route-metric 300 ipv4.method manual ipv4.addresses {OWN4}/24 ipv4.gateway {GATEWAY4}");
    let of6 = format!("ipv6.route-metric 300 ipv6.method manual ipv6.addresses {OWN6}/64 ipv6.gateway {GATEWAY6}");
    run(world, &format!("nmcli connection add type ethernet con-name beside ifname blue0 {of4} {of6} {more}"));
    let route = format!("198.18.0.0/15 {GATEWAY4}");
    let routed = world.judge(&root(["nmcli", "connection", "modify", "beside", "ipv4.routes", &route]));
    assert_eq!(routed.code, 0, "{routed}");
    run(world, "nmcli connection up beside");
    wait_until_activated(world);
    let uuid = run(world, "nmcli -g connection.uuid connection show beside").text();
    attach(world, &format!("NetworkManager (connection {})", uuid.trim()), true);
}

fn wait_until_activated(world: &mut Machine) {
    let state = ["nmcli", "-g", "GENERAL.STATE", "connection", "show", "beside"];
    wait::until(|| world.judge(&root(state)).text(), |state| state == "activated\n");
}

fn end_networkmanager(world: &mut Machine) {
    run(world, "nmcli connection delete beside");
    systemctl(world, 0, "stop NetworkManager.service");
}

/// The VRF is vrfsetup's: NetworkManager needs no profile of it. These are the names that 1.42 has for the two.
fn port_stays_where_its_profile_says_so() {
    let mut world = with_plain_port();
    networkmanager(&mut world, "connection.master blue connection.slave-type vrf");
    wait_for(&world, &Place::in_blue());
    for step in ["connection reload", "device reapply blue0", "connection up beside"] {
        run(&mut world, &format!("nmcli {step}"));
        wait_until_activated(&mut world);
        wait_for(&world, &Place::in_blue());
        assert_apart(&mut world, step);
    }
    systemctl(&mut world, 0, "restart NetworkManager.service");
    wait_until_activated(&mut world);
    wait_for(&world, &Place::in_blue());
    assert_apart(&mut world, "the restart");
    end_networkmanager(&mut world);
}

/// It stays until the restart, but its routes are made in main again at once.
fn port_is_taken_out_of_a_vrf_that_its_profile_does_not_name() {
    let mut world = with_plain_port();
    networkmanager(&mut world, "");
    wait_for(&world, &Place::of(Some("blue"), &ROUTES, &ROUTES));
    for step in ["connection reload", "device reapply blue0"] {
        run(&mut world, &format!("nmcli {step}"));
        wait_until_activated(&mut world);
        assert_eq!(place(&world), Place::of(Some("blue"), &ROUTES, &ROUTES), "{step}");
    }
    fix_as_doctor_says(&mut world);
    assert_eq!(place(&world), Place::of(Some("blue"), &["198.18.0.0/15"], &ROUTES));
    systemctl(&mut world, 0, "restart NetworkManager.service");
    wait_for(&world, &Place::of(None, &ROUTES, &[]));
    assert_apply_would_attach(&mut world);
    end_networkmanager(&mut world);
}
