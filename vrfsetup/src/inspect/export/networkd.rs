//! systemd-networkd's files: one .netdev and .network for each VRF, one .network for each port.
//!
//! networkd cannot move the kernel's `local` rule: `vrfsetup rules fix` does, and its rules are of protocol kernel, so
//! that networkd leaves them alone. For the same reason the l3mdev rules are not exported.

use std::fmt::Write;
use std::net::IpAddr;
use std::path::Path;

use rtnetlink::packet_route::route::{RouteAttribute, RouteMetric};

use super::{All, Exported, File, has_unreachable_rule, route_words};
use crate::model::address::Address;
use crate::model::family::Family;
use crate::model::link::Link;
use crate::model::route::Route;
use crate::model::rule::Rule;
use crate::sys::{families, sysctl};

const DIRECTORY: &str = "/etc/systemd/network";

pub fn files(all: &All, rules: &[Rule]) -> Vec<File> {
    let mut files = Vec::new();
    for vrf in &all.vrfs {
        files.push(file(&format!("10-{}.netdev", vrf.name), netdev(vrf)));
        files.push(file(&format!("10-{}.network", vrf.name), device(vrf, all, rules)));
        for port in &vrf.ports {
            files.push(file(&format!("20-{}.network", port.name), network(vrf, all, port)));
        }
    }
    files
}

fn file(name: &str, text: String) -> File {
    File { path: Path::new(DIRECTORY).join(name), text }
}

fn netdev(vrf: &Exported) -> String {
    format!("[NetDev]\nName={}\nKind=vrf\n\n[VRF]\nTable={}\n", vrf.name, vrf.table)
}

fn device(vrf: &Exported, all: &All, rules: &[Rule]) -> String {
    let mut text = format!("[Match]\nName={}\n\n[Network]\nLinkLocalAddressing=no\n", vrf.name);
    text += "KeepConfiguration=yes\nConfigureWithoutCarrier=yes\n";
    if vrf.has_loopback {
        for family in families::of_device(vrf.name) {
            text += match family {
                Family::V4 => "\n[Address]\nAddress=127.0.0.1/8\nBroadcast=no\n",
                Family::V6 => "\n[Address]\nAddress=::1/128\nDuplicateAddressDetection=none\n",
            };
        }
    }
    addresses(&mut text, vrf, vrf.name);
    if vrf.is_sealed {
        for family in families::available() {
            let destination = if family == Family::V4 { "0.0.0.0/0" } else { "::/0" };
            let seal = crate::model::route::SEAL_METRIC;
            let _ = write!(
                text,
                "\n[Route]\nType=unreachable\nDestination={destination}\nMetric={seal}\nTable={}\nProtocol=kernel\n",
                vrf.table
            );
        }
    } else if !has_unreachable_rule(rules) {
        text += "\n# what this table lacks falls through into the default domain\n";
    }
    let nowhere = vrf.routes.iter().filter(|route| !route.is_unicast());
    nowhere.for_each(|route| text += &section(all, route));
    text + &routes_over(all, vrf.name, None)
}

fn network(vrf: &Exported, all: &All, port: &Link) -> String {
    let name = &port.name;
    let mut text = format!("[Match]\nName={name}\n\n[Network]\nVRF={}\n{}", vrf.name, autoconfiguration(name));
    let is_by_dhcp = |family| vrf.by_dhcp.contains(&(port.ifindex, family));
    text += match (is_by_dhcp(Family::V4), is_by_dhcp(Family::V6)) {
        (true, true) => "DHCP=yes\n",
        (true, false) => "DHCP=ipv4\n",
        (false, true) => "DHCP=ipv6\n",
        (false, false) => "",
    };
    addresses(&mut text, vrf, name);
    text + &routes_over(all, name, Some(port.ifindex))
}

/// What the kernel does by itself on this port networkd does in its place, or neither of them.
fn autoconfiguration(port: &str) -> String {
    const NO_LINK_LOCAL: &str = "1";
    let setting = |name: &str| sysctl::read(&format!("net/ipv6/conf/{port}/{name}"));
    // A kernel without IPv6 has none of these.
    let has_link_local = setting("addr_gen_mode").is_some_and(|mode| mode != NO_LINK_LOCAL);
    // A router takes no advertisements, but where the setting says 2.
    let is_router = setting("forwarding").as_deref() == Some("1");
    let accepts = match setting("accept_ra").as_deref() {
        _ if !has_link_local => false,
        Some("0") | None => false,
        Some("2") => true,
        _ => !is_router,
    };
    let link_local = if has_link_local { "ipv6" } else { "no" };
    format!("LinkLocalAddressing={link_local}\nIPv6AcceptRA={}\n", if accepts { "yes" } else { "no" })
}

/// networkd keeps a route with the interface that it leads over, or the first of them, whatever table it is in.
fn routes_over(all: &All, device: &str, ifindex: Option<u32>) -> String {
    all.routes_over(device, ifindex).map(|route| section(all, route)).collect()
}

fn addresses(text: &mut String, vrf: &Exported, device: &str) {
    for address in vrf.addresses.iter().filter(|address| address.device.name == device) {
        text.push_str(&address_section(address));
    }
}

fn address_section(address: &Address) -> String {
    let Address { local, prefix_len, .. } = address;
    let mut text = format!("\n[Address]\nAddress={local}/{prefix_len}\n");
    if let Some(peer) = address.peer {
        let _ = writeln!(text, "Peer={peer}/{prefix_len}");
    }
    // networkd invents a broadcast address where none is named.
    if local.is_ipv4() {
        let broadcast = address.broadcast.map_or("no".to_owned(), |broadcast| broadcast.to_string());
        let _ = writeln!(text, "Broadcast={broadcast}");
    }
    if let Some(label) = address.label.as_ref().filter(|label| **label != address.device.name) {
        let _ = writeln!(text, "Label={label}");
    }
    if let Some(metric) = address.metric {
        let _ = writeln!(text, "RouteMetric={metric}");
    }
    if address.scope != 0 && local.is_ipv4() {
        let _ = writeln!(text, "Scope={}", address.scope_name());
    }
    if address.flags & libc::IFA_F_NODAD != 0 {
        text += "DuplicateAddressDetection=none\n";
    }
    if address.flags & libc::IFA_F_NOPREFIXROUTE != 0 {
        text += "AddPrefixRoute=no\n";
    }
    if address.is_deprecated() {
        text += "PreferredLifetime=0\n";
    }
    text
}

fn section(all: &All, route: &Route) -> String {
    if route.wraps() {
        return format!("\n# not declared, networkd has no words for what it wraps packets in: {route}\n");
    }
    // Without the words that are missing it would be another route.
    if let Err(why) = route_words(all, route) {
        return format!("\n# {why}\n");
    }
    let any: IpAddr = if route.family() == Family::V4 { [0; 4].into() } else { [0u8; 16].into() };
    let (destination, len) = route.destination().unwrap_or((any, 0));
    let mut text = format!("\n[Route]\nDestination={destination}/{len}\nTable={}\n", route.table());
    if !route.is_unicast() {
        let _ = writeln!(text, "Type={}", route.type_name());
    }
    if let Some(gateway) = route.gateway() {
        let _ = writeln!(text, "Gateway={gateway}");
    }
    for hop in route.next_hops() {
        let gateway = hop.gateway.map_or_else(String::new, |gateway| gateway.to_string());
        let _ = writeln!(text, "MultiPathRoute={gateway} {}", hop.weight);
    }
    if let Some(metric) = route.metric() {
        let _ = writeln!(text, "Metric={metric}");
    }
    if let Some(source) = route.source() {
        let _ = writeln!(text, "PreferredSource={source}");
    }
    if route.is_onlink() {
        text += "GatewayOnLink=yes\n";
    }
    for metric in route.message.attributes.iter().filter_map(metrics).flatten() {
        match metric {
            RouteMetric::Mtu(mtu) => _ = writeln!(text, "MTUBytes={mtu}"),
            RouteMetric::Advmss(advmss) => _ = writeln!(text, "TCPAdvertisedMaximumSegmentSize={advmss}"),
            _ => {}
        }
    }
    let _ = writeln!(text, "Protocol={}", route.protocol_name());
    text
}

fn metrics(attribute: &RouteAttribute) -> Option<&Vec<RouteMetric>> {
    match attribute {
        RouteAttribute::Metrics(metrics) => Some(metrics),
        _ => None,
    }
}
