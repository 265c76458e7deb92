//! interfaces(5), for ifupdown: the commands of ip(8), since it knows no VRFs of its own.

use std::fmt::Write;

use super::{Exported, File, route_words};
use crate::route::{Route, SEAL_METRIC};
use crate::words;

/// One file for each VRF.
pub fn files(vrfs: &[Exported]) -> Vec<File> {
    let file =
        |vrf: &Exported| File { path: format!("/etc/network/interfaces.d/{}", vrf.name).into(), text: text(vrf) };
    vrfs.iter().map(file).collect()
}

fn text(vrf: &Exported) -> String {
    let Exported { name, table, .. } = vrf;
    let mut text = format!("auto {name}\niface {name} inet manual\n");
    line(&mut text, "pre-up", &format!("ip link add {name} type vrf table {table}"));
    if vrf.is_sealed {
        for flag in ["", "-6 "] {
            line(
                &mut text,
                "pre-up",
                &format!("ip {flag}route add unreachable default table {table} metric {SEAL_METRIC}"),
            );
        }
    }
    line(&mut text, "up", &format!("ip link set {name} up"));
    if vrf.has_loopback {
        line(&mut text, "up", &format!("ip addr add 127.0.0.1/8 dev {name}"));
        line(&mut text, "up", &format!("ip addr add ::1/128 dev {name}"));
    }
    let is_on_port = |route: &Route| vrf.ports.iter().any(|port| route.oifs().contains(&port.ifindex));
    belongings(&mut text, vrf, name, |route| !is_on_port(route));
    line(&mut text, "post-down", &format!("ip link del {name}"));
    for flag in ["", "-6 "] {
        line(&mut text, "post-down", &format!("ip {flag}route flush table {table} || true"));
    }
    for port in &vrf.ports {
        let port = &port.name;
        let _ = write!(text, "\nauto {port}\niface {port} inet manual\n");
        line(&mut text, "pre-up", &format!("ip link set {port} master {name}"));
        line(&mut text, "up", &format!("ip link set {port} up"));
        belongings(&mut text, vrf, port, |route| route.device.as_ref() == Some(port));
        line(&mut text, "down", &format!("ip link set {port} nomaster"));
    }
    text
}

fn belongings(text: &mut String, vrf: &Exported, device: &str, has: impl Fn(&Route) -> bool) {
    for address in vrf.addresses.iter().filter(|address| address.device.name == device) {
        line(text, "up", &format!("ip addr add {}", words::address::write(address)));
    }
    for route in vrf.routes.iter().copied().filter(|route| has(route)) {
        match route_words(route) {
            Ok(words) => {
                let words = words.strip_prefix("-6 ").unwrap_or(&words);
                let flag = route.family().ip_flag();
                line(text, "up", &format!("ip {flag}route add {words} table {}", vrf.table));
            }
            Err(why) => _ = writeln!(text, "    # {why}"),
        }
    }
}

fn line(text: &mut String, when: &str, command: &str) {
    let _ = writeln!(text, "    {when} {command}");
}
