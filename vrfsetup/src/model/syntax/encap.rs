//! `encap mpls 100/200` and `encap ip id 7 dst 192.0.2.9`: what a route wraps its packets in.

use rtnetlink::packet_route::route::{
    MplsLabel, RouteAttribute, RouteIp6Tunnel, RouteIpTunnel, RouteLwEnCapType, RouteLwTunnelEncap, RouteMplsIpTunnel,
};

use super::Tokens;

/// Reads what follows `encap`.
///
/// # Errors
/// What is wrong with it.
pub(super) fn parse(tokens: &mut Tokens) -> Result<[RouteAttribute; 2], String> {
    let (kind, encap) = match tokens.value("encap")? {
        "mpls" => (RouteLwEnCapType::Mpls, mpls(tokens)?),
        "ip" => (RouteLwEnCapType::Ip, tunnel(tokens, ip)?),
        "ip6" => (RouteLwEnCapType::Ip6, tunnel(tokens, ip6)?),
        other => return Err(format!("'{other}' is no known 'encap': mpls, ip or ip6")),
    };
    Ok([RouteAttribute::Encap(encap), RouteAttribute::EncapType(kind)])
}

fn mpls(tokens: &mut Tokens) -> Result<Vec<RouteLwTunnelEncap>, String> {
    let mut all = vec![RouteLwTunnelEncap::Mpls(labels(tokens.value("mpls")?)?)];
    let mut ahead = Tokens(tokens.0.clone());
    if ahead.next() == Some("ttl") {
        *tokens = ahead;
        all.push(RouteLwTunnelEncap::Mpls(RouteMplsIpTunnel::Ttl(tokens.parsed("ttl")?)));
    }
    Ok(all)
}

fn labels(word: &str) -> Result<RouteMplsIpTunnel, String> {
    let labels: Result<Vec<u32>, _> = word.split('/').map(str::parse).collect();
    let labels = labels.ok().filter(|labels| labels.iter().all(|label| *label < 1 << 20));
    let labels = labels.ok_or_else(|| format!("'{word}' are no labels"))?;
    let last = labels.len() - 1;
    let label = |(at, label)| MplsLabel { label, traffic_class: 0, bottom_of_stack: at == last, ttl: 0 };
    Ok(RouteMplsIpTunnel::Destination(labels.into_iter().enumerate().map(label).collect()))
}

/// As many pairs as belong to the tunnel.
fn tunnel(
    tokens: &mut Tokens,
    read: impl Fn(&str, &mut Tokens) -> Result<RouteLwTunnelEncap, String>,
) -> Result<Vec<RouteLwTunnelEncap>, String> {
    let mut all = Vec::new();
    loop {
        let mut ahead = Tokens(tokens.0.clone());
        match ahead.next() {
            Some(word @ ("id" | "dst" | "src" | "ttl" | "hoplimit" | "tos" | "tc")) => {
                *tokens = ahead;
                all.push(read(word, tokens)?);
            }
            _ if all.is_empty() => return Err("'encap' needs 'id' or 'dst'".to_owned()),
            _ => return Ok(all),
        }
    }
}

fn ip(word: &str, tokens: &mut Tokens) -> Result<RouteLwTunnelEncap, String> {
    Ok(RouteLwTunnelEncap::Ip(match word {
        "id" => RouteIpTunnel::Id(tokens.parsed(word)?),
        "dst" => RouteIpTunnel::Destination(tokens.parsed(word)?),
        "src" => RouteIpTunnel::Source(tokens.parsed(word)?),
        "ttl" => RouteIpTunnel::Ttl(tokens.parsed(word)?),
        "tos" => RouteIpTunnel::Tos(tokens.parsed(word)?),
        other => return Err(format!("'{other}' is not known in 'encap ip'")),
    }))
}

fn ip6(word: &str, tokens: &mut Tokens) -> Result<RouteLwTunnelEncap, String> {
    Ok(RouteLwTunnelEncap::Ip6(match word {
        "id" => RouteIp6Tunnel::Id(tokens.parsed(word)?),
        "dst" => RouteIp6Tunnel::Destination(tokens.parsed(word)?),
        "src" => RouteIp6Tunnel::Source(tokens.parsed(word)?),
        "hoplimit" => RouteIp6Tunnel::Hoplimit(tokens.parsed(word)?),
        "tc" => RouteIp6Tunnel::Tc(tokens.parsed(word)?),
        other => return Err(format!("'{other}' is not known in 'encap ip6'")),
    }))
}

/// Writes what [`parse`] reads; None for what has no such words.
pub(super) fn write(encap: &[RouteLwTunnelEncap]) -> Option<String> {
    let kind = match encap.first()? {
        RouteLwTunnelEncap::Mpls(_) => "mpls",
        RouteLwTunnelEncap::Ip(_) => "ip",
        RouteLwTunnelEncap::Ip6(_) => "ip6",
        _ => return None,
    };
    let parts: Option<String> = encap.iter().map(part).collect();
    Some(format!(" encap {kind}{}", parts?))
}

/// The kernel reports what was not given as 0.
fn part(encap: &RouteLwTunnelEncap) -> Option<String> {
    use RouteLwTunnelEncap::{Ip, Ip6, Mpls};
    Some(match encap {
        Mpls(RouteMplsIpTunnel::Destination(labels)) => {
            let labels: Vec<String> = labels.iter().map(|label| label.label.to_string()).collect();
            format!(" {}", labels.join("/"))
        }
        Mpls(RouteMplsIpTunnel::Ttl(0))
        | Ip(RouteIpTunnel::Ttl(0) | RouteIpTunnel::Tos(0))
        | Ip6(RouteIp6Tunnel::Hoplimit(0) | RouteIp6Tunnel::Tc(0)) => String::new(),
        Ip(RouteIpTunnel::Id(id)) | Ip6(RouteIp6Tunnel::Id(id)) => format!(" id {id}"),
        Ip(RouteIpTunnel::Destination(address)) => format!(" dst {address}"),
        Ip(RouteIpTunnel::Source(address)) if address.is_unspecified() => String::new(),
        Ip(RouteIpTunnel::Source(address)) => format!(" src {address}"),
        Mpls(RouteMplsIpTunnel::Ttl(ttl)) => format!(" ttl {ttl}"),
        Ip(RouteIpTunnel::Ttl(ttl)) => format!(" ttl {ttl}"),
        Ip(RouteIpTunnel::Tos(tos)) => format!(" tos {tos}"),
        Ip(RouteIpTunnel::Flags(flags)) if flags.is_empty() => String::new(),
        Ip6(RouteIp6Tunnel::Destination(address)) => format!(" dst {address}"),
        Ip6(RouteIp6Tunnel::Source(address)) if address.is_unspecified() => String::new(),
        Ip6(RouteIp6Tunnel::Source(address)) => format!(" src {address}"),
        Ip6(RouteIp6Tunnel::Hoplimit(limit)) => format!(" hoplimit {limit}"),
        Ip6(RouteIp6Tunnel::Tc(class)) => format!(" tc {class}"),
        Ip6(RouteIp6Tunnel::Flags(flags)) if flags.is_empty() => String::new(),
        _ => return None,
    })
}
