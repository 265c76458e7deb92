//! interfaces(5), for ifupdown: the commands of ip(8), since it knows no VRFs of its own.

use std::fmt::Write;

use super::{All, Exported, File, route_words};
use crate::model::family::Family;
use crate::model::route::{Route, SEAL_METRIC};
use crate::model::syntax;
use crate::sys::families;

/// One file for each VRF.
pub fn files(all: &All) -> Vec<File> {
    let file =
        |vrf: &Exported| File { path: format!("/etc/network/interfaces.d/{}", vrf.name).into(), text: text(vrf, all) };
    all.vrfs.iter().map(file).collect()
}

fn text(vrf: &Exported, all: &All) -> String {
    let Exported { name, table, .. } = vrf;
    let mut text = format!("auto {name}\niface {name} inet manual\n");
    line(&mut text, "pre-up", &format!("ip link add {name} type vrf table {table}"));
    if vrf.is_sealed {
        for family in families::available() {
            let flag = family.ip_flag();
            line(
                &mut text,
                "pre-up",
                &format!("ip {flag}route add unreachable default table {table} metric {SEAL_METRIC} protocol kernel"),
            );
        }
    }
    line(&mut text, "up", &format!("ip link set {name} up"));
    if vrf.has_loopback {
        for family in families::of_device(name) {
            let address = if family == Family::V4 { "127.0.0.1/8" } else { "::1/128" };
            let nodad = if family == Family::V4 { "" } else { " nodad" };
            line(&mut text, "up", &format!("ip addr add {address} dev {name}{nodad}"));
        }
    }
    addresses(&mut text, vrf, name);
    let nowhere = vrf.routes.iter().filter(|route| !route.is_unicast());
    nowhere.for_each(|route| add(&mut text, all, route));
    routes_over(&mut text, all, name, None);
    line(&mut text, "post-down", &format!("ip link del {name}"));
    for family in families::available() {
        let flag = family.ip_flag();
        line(&mut text, "post-down", &format!("ip {flag}route flush table {table} || true"));
    }
    for port in &vrf.ports {
        let (port, ifindex) = (&port.name, port.ifindex);
        let _ = write!(text, "\nauto {port}\niface {port} inet manual\n");
        line(&mut text, "pre-up", &format!("ip link set {port} master {name}"));
        line(&mut text, "up", &format!("ip link set {port} up"));
        addresses(&mut text, vrf, port);
        routes_over(&mut text, all, port, Some(ifindex));
        line(&mut text, "down", &format!("ip link set {port} nomaster"));
    }
    text
}

fn addresses(text: &mut String, vrf: &Exported, device: &str) {
    for address in vrf.addresses.iter().filter(|address| address.device.name == device) {
        line(text, "up", &format!("ip addr add {}", syntax::address::write(address)));
    }
}

/// A route is made with the interface that it leads over, or the first of them, whatever table it is in: the other
/// VRF's device may not be there when this one's is made.
fn routes_over(text: &mut String, all: &All, device: &str, ifindex: Option<u32>) {
    all.routes_over(device, ifindex).for_each(|route| add(text, all, route));
}

fn add(text: &mut String, all: &All, route: &Route) {
    match route_words(all, route) {
        Ok(words) => {
            // The table stands before the next hops.
            let words = words.strip_prefix("-6 ").unwrap_or(&words);
            let (words, hops) = words
                .split_once(" nexthop")
                .map_or((words, String::new()), |(words, hops)| (words, format!(" nexthop{hops}")));
            let (flag, table) = (route.family().ip_flag(), route.table());
            line(text, "up", &format!("ip {flag}route add {words} table {table}{hops}"));
        }
        Err(why) => _ = writeln!(text, "    # {why}"),
    }
}

fn line(text: &mut String, when: &str, command: &str) {
    let _ = writeln!(text, "    {when} {command}");
}
