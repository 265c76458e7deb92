//! `default via 192.0.2.254 dev eth1 metric 100 proto static src 192.0.2.1`.

use std::net::IpAddr;

use rtnetlink::packet_route::route::{
    RouteAttribute, RouteFlags, RouteMessage, RouteMetric, RouteNextHop, RoutePreference, RouteProtocol, RouteScope,
    RouteType,
};

use super::{Tokens, encap, scope};
use crate::model::family::Family;
use crate::model::route::{Route, destination_text, usual_metric};

const TYPES: [(&str, RouteType); 6] = [
    ("unicast", RouteType::Unicast),
    ("unreachable", RouteType::Unreachable),
    ("blackhole", RouteType::BlackHole),
    ("prohibit", RouteType::Prohibit),
    ("throw", RouteType::Throw),
    ("local", RouteType::Local),
];

/// Reads a route into this table; its device has a name and no index yet. `default` is IPv4 unless a word after it is
/// an IPv6 address, or before it `-6`.
///
/// # Errors
/// What is wrong with it, in tokens.
pub fn parse(text: &str, table: u32) -> Result<Route, String> {
    let mut tokens = Tokens::of(text);
    let mut first = tokens.next().ok_or("a destination is missing")?;
    let says_v6 = first == "-6";
    if says_v6 {
        first = tokens.next().ok_or("a destination is missing")?;
    }
    let kind = TYPES.iter().find(|(name, _)| *name == first).map(|(_, kind)| *kind);
    let destination = if kind.is_some() { tokens.next().ok_or("a destination is missing")? } else { first };
    let mut destination = if destination == "default" { None } else { Some(super::destination(destination)?) };

    let mut message = RouteMessage::default();
    message.header.kind = kind.unwrap_or(RouteType::Unicast);
    message.header.protocol = RouteProtocol::Boot;
    let mut family = destination.map(|(address, _)| Family::from(address));
    // `0.0.0.0/0` and `::/0`.
    destination = destination.filter(|(_, len)| *len > 0);
    let (mut device, mut given_scope, mut metric, mut metrics) = (None, None, None, Vec::new());
    let attributes = &mut message.attributes;
    let mut hops: Vec<RouteNextHop> = Vec::new();
    while let Some(word) = tokens.next() {
        match word {
            "nexthop" => hops.push(RouteNextHop::default()),
            "via" if !hops.is_empty() => {
                let address: IpAddr = tokens.parsed(word)?;
                if *family.get_or_insert(address.into()) != Family::from(address) {
                    return Err(format!("'{address}' is of another family than the destination"));
                }
                let hop = hops.last_mut().ok_or("'nexthop' is missing")?;
                hop.attributes.push(RouteAttribute::Gateway(address.into()));
            }
            "weight" => {
                let weight: u8 = tokens.parsed(word)?;
                let hop = hops.last_mut().ok_or("'nexthop' is missing")?;
                hop.hops = weight.checked_sub(1).ok_or("'0' is no weight")?;
            }
            "via" | "src" => {
                let address: IpAddr = tokens.parsed(word)?;
                if *family.get_or_insert(address.into()) != Family::from(address) {
                    return Err(format!("'{address}' is of another family than the destination"));
                }
                let of = if word == "via" { RouteAttribute::Gateway } else { RouteAttribute::PrefSource };
                attributes.push(of(address.into()));
            }
            "dev" => device = Some(tokens.value(word)?.to_owned()),
            "metric" => metric = Some(tokens.parsed(word)?),
            "proto" => message.header.protocol = protocol(tokens.value(word)?)?,
            "scope" => given_scope = Some(scope(tokens.value(word)?)?),
            // The kernel takes 0 for none.
            "mtu" => metrics.extend(Some(tokens.parsed(word)?).filter(|mtu| *mtu != 0).map(RouteMetric::Mtu)),
            "advmss" => metrics.extend(Some(tokens.parsed(word)?).filter(|mss| *mss != 0).map(RouteMetric::Advmss)),
            "encap" => attributes.extend(encap::parse(&mut tokens)?),
            "onlink" => message.header.flags |= RouteFlags::Onlink,
            other => return Err(format!("'{other}' is not known in a route")),
        }
    }
    let family = if says_v6 { Family::V6 } else { family.unwrap_or(Family::V4) };
    message.header.address_family = family.into();
    if let Some((address, len)) = destination {
        message.header.destination_prefix_length = len;
        message.attributes.push(RouteAttribute::Destination(address.into()));
    }
    let metric = metric.filter(|metric| *metric != 0).unwrap_or(usual_metric(family));
    message.attributes.extend((metric != 0).then_some(RouteAttribute::Priority(metric)));
    message.attributes.extend((!metrics.is_empty()).then_some(RouteAttribute::Metrics(metrics)));
    if hops.iter().any(|hop| hop.attributes.is_empty()) {
        return Err("'nexthop' needs 'via'".to_owned());
    }
    let has_hops = !hops.is_empty();
    let has_plain =
        device.is_some() || message.attributes.iter().any(|part| matches!(part, RouteAttribute::Gateway(_)));
    match hops.len() {
        // The kernel makes a plain route of it.
        1 if !has_plain => message.attributes.extend(hops.remove(0).attributes),
        _ => message.attributes.extend(has_hops.then_some(RouteAttribute::MultiPath(hops))),
    }
    message.header.scope = given_scope.map_or_else(|| usual_scope(&message), RouteScope::from);
    let mut route = Route { message, device };
    if has_hops && has_plain {
        return Err("'nexthop' comes last, in the place of 'via' and 'dev'".to_owned());
    }
    if route.is_unicast() && route.device.is_none() && route.gateway().is_none() && !has_hops {
        return Err("'via' or 'dev' is missing".to_owned());
    }
    route.set_table(table);
    Ok(route)
}

/// What iproute2 gives a route without `scope`.
fn usual_scope(message: &RouteMessage) -> RouteScope {
    let has_gateway =
        |attribute: &RouteAttribute| matches!(attribute, RouteAttribute::Gateway(_) | RouteAttribute::MultiPath(_));
    let has_gateway = message.attributes.iter().any(has_gateway);
    match message.header.kind {
        RouteType::Local => RouteScope::Host,
        RouteType::Unicast if !has_gateway && message.header.address_family == Family::V4.into() => RouteScope::Link,
        _ => RouteScope::Universe,
    }
}

fn protocol(word: &str) -> Result<RouteProtocol, String> {
    let named =
        (0..=u8::MAX).map(RouteProtocol::from).find(|protocol| crate::model::route::protocol_name(*protocol) == word);
    named.or_else(|| word.parse::<u8>().ok().map(RouteProtocol::from)).ok_or_else(|| format!("'{word}' is no protocol"))
}

/// Writes what [`parse`] reads back; None for a route that has no such words (encapsulation, say).
pub fn write(route: &Route) -> Option<String> {
    let header = &route.message.header;
    // Of one destination and metric there may be several that differ in these.
    if header.tos != 0 || header.source_prefix_length != 0 {
        return None;
    }
    let mut text = String::new();
    if route.is_default() && route.family() == Family::V6 && route.gateway().is_none() && route.source().is_none() {
        text += "-6 ";
    }
    if !route.is_unicast() {
        text += &format!("{} ", TYPES.iter().find(|(_, kind)| *kind == header.kind)?.0);
    }
    text += &destination_text(route);
    if let Some(gateway) = route.gateway() {
        text += &format!(" via {gateway}");
    }
    if let Some(device) = route.device.as_ref().filter(|_| !route.is_refusal()) {
        text += &format!(" dev {device}");
    }
    if let Some(metric) = route.metric().filter(|metric| *metric != usual_metric(route.family())) {
        text += &format!(" metric {metric}");
    }
    if header.protocol != RouteProtocol::Boot {
        text += &format!(" proto {}", crate::model::route::protocol_name(header.protocol));
    }
    if let Some(source) = route.source() {
        text += &format!(" src {source}");
    }
    if header.scope != usual_scope(&route.message) && route.family() == Family::V4 {
        text += &format!(" scope {}", u8::from(header.scope));
    }
    for attribute in &route.message.attributes {
        text += &more(attribute)?;
    }
    if header.flags.contains(RouteFlags::Onlink) {
        text += " onlink";
    }
    if route.has_wrapping_hop() {
        return None;
    }
    for hop in route.next_hops() {
        // The interface is found by the gateway, which neither a link-local one can tell nor one outside all networks.
        hop.gateway.filter(|gateway| !is_link_local(*gateway) && !hop.is_onlink)?;
        text += &format!(" {hop}");
    }
    Some(text)
}

fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}

/// The words of the attributes that few routes have; None where there are none.
fn more(attribute: &RouteAttribute) -> Option<String> {
    match attribute {
        RouteAttribute::Metrics(metrics) => metrics
            .iter()
            .map(|metric| match metric {
                RouteMetric::Mtu(mtu) => Some(format!(" mtu {mtu}")),
                RouteMetric::Advmss(advmss) => Some(format!(" advmss {advmss}")),
                _ => None,
            })
            .collect(),
        RouteAttribute::Encap(encap) => encap::write(encap),
        RouteAttribute::Via(_) | RouteAttribute::NhId(_) | RouteAttribute::Expires(_) | RouteAttribute::Realm(_) => {
            None
        }
        RouteAttribute::Preference(preference) if *preference != RoutePreference::Medium => None,
        RouteAttribute::CacheInfo(info) if info.expires != 0 => None,
        _ => Some(String::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtnetlink::packet_route::route::{RouteCacheInfo, RouteNextHopFlags};

    #[test]
    fn what_is_written_is_read_back() {
        for text in [
            "default via 192.0.2.254 dev eth1",
            "default via 2001:db8::1 dev eth1 metric 50",
            "-6 unreachable default metric 4278198272",
            "unreachable default metric 4278198272",
            "198.51.100.0/24 dev eth1 proto static",
            "198.51.100.7 via 192.0.2.254 dev eth1 metric 7 proto bgp src 192.0.2.1 onlink",
            "198.51.100.0/24 dev red scope 0",
            "2001:db8:9::/48 dev eth1 mtu 1400",
            "blackhole 198.51.100.0/24 proto 77",
            "198.51.100.0/24 metric 7 nexthop via 192.0.2.253 weight 3 nexthop via 192.0.2.254",
            "2001:db8:9::/48 nexthop via 2001:db8::1 nexthop via 2001:db8::2",
            "198.51.100.0/24 dev vxlan0 encap ip id 7 dst 192.0.2.9",
            "198.51.100.0/24 via 192.0.2.9 dev eth1 encap mpls 100/200 ttl 9",
            "2001:db8:9::/48 dev vxlan0 encap ip6 id 7 dst 2001:db8::9 hoplimit 9 onlink",
            "local 198.51.100.0/24 dev eth1",
        ] {
            assert_eq!(write(&parse(text, 1001).unwrap()).as_deref(), Some(text));
        }
    }

    #[test]
    fn what_has_no_words_is_not_written_without_them() {
        let route = || parse("2001:db8:9::/48 via 2001:db8::1 dev eth1", 1001).unwrap();
        let (mut by_tos, mut from, mut preferred) = (route(), route(), route());
        by_tos.message.header.tos = 0x10;
        from.message.header.source_prefix_length = 64;
        preferred.message.attributes.push(RouteAttribute::Preference(RoutePreference::High));
        let mut expiring = route();
        let expires = RouteCacheInfo::parse(&[[0; 8].as_slice(), &[9], &[0; 23]].concat()).unwrap();
        expiring.message.attributes.push(RouteAttribute::CacheInfo(expires));
        let mut onlink = parse("2001:db8:9::/48 nexthop via 2001:db8::1 nexthop via 2001:db8::2", 1001).unwrap();
        for attribute in &mut onlink.message.attributes {
            if let RouteAttribute::MultiPath(hops) = attribute {
                hops[1].flags |= RouteNextHopFlags::Onlink;
            }
        }
        for route in [by_tos, from, preferred, expiring, onlink] {
            assert_eq!(write(&route), None);
        }
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for (text, why) in [
            ("", "a destination is missing"),
            ("default", "'via' or 'dev' is missing"),
            ("198.51.100.0/24 via 2001:db8::1", "'2001:db8::1' is of another family than the destination"),
            ("default via 192.0.2.1 devv eth1", "'devv' is not known in a route"),
            ("198.51.100.0/24 proto kernal dev x", "'kernal' is no protocol"),
            ("198.51.100.0/24 dev x encap seg6 7", "'seg6' is no known 'encap': mpls, ip or ip6"),
            ("198.51.100.0/24 dev x encap ip", "'encap' needs 'id' or 'dst'"),
            ("198.51.100.0/24 dev x encap mpls 1048576", "'1048576' are no labels"),
            ("198.51.100.0/24 nexthop weight 2", "'nexthop' needs 'via'"),
            ("198.51.100.0/24 dev eth1 nexthop via 192.0.2.1", "'nexthop' comes last, in the place of 'via' and 'dev'"),
            ("198.51.100.0/24 via 192.0.2.1 weight 2", "'nexthop' is missing"),
        ] {
            assert_eq!(parse(text, 1), Err(why.to_owned()));
        }
    }

    #[test]
    fn an_ipv6_route_has_the_metric_that_ip_gives_it() {
        assert_eq!(parse("2001:db8::/32 dev eth1", 1).unwrap().metric(), Some(1024));
        assert_eq!(parse("192.0.2.0/24 dev eth1", 1).unwrap().metric(), None);
    }

    #[test]
    fn what_the_kernel_takes_for_the_same_is_written_the_same() {
        for (text, as_reported) in [
            ("0.0.0.0/0 via 192.0.2.254", "default via 192.0.2.254"),
            ("::/0 via 2001:db8::1", "default via 2001:db8::1"),
            ("unreachable ::/0", "-6 unreachable default"),
            ("2001:db8:9::7/48 dev eth1", "2001:db8:9::/48 dev eth1"),
            ("198.51.100.0/24 dev eth1 metric 0", "198.51.100.0/24 dev eth1"),
            ("2001:db8:9::/48 dev eth1 metric 0", "2001:db8:9::/48 dev eth1"),
            ("198.51.100.0/24 nexthop via 192.0.2.1 weight 3", "198.51.100.0/24 via 192.0.2.1"),
            ("198.51.100.0/24 dev eth1 mtu 0 advmss 0", "198.51.100.0/24 dev eth1"),
        ] {
            assert_eq!(write(&parse(text, 1).unwrap()).as_deref(), Some(as_reported));
        }
        let why = parse("198.51.100.7/24 dev eth1", 1).unwrap_err();
        assert_eq!(why, "'198.51.100.7/24' is no network: '198.51.100.0/24' is");
    }
}
