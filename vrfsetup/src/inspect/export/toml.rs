//! vrf.toml(5).

use std::fmt::Write;

use super::{All, Entry, Exported, File, has_unreachable_rule, route_words};
use crate::model::route::Route;
use crate::model::rule::{Rule, TABLE_LOCAL};
use crate::model::syntax;

/// The one file.
pub fn file(all: &All, rules: &[Rule], settings: &[(&str, String)]) -> File {
    let mut text = String::from("# vrf.toml(5), for 'vrfsetup apply'\n");
    let is_fixed = is_fixed(rules);
    let unreachable = if has_unreachable_rule(rules) { "rule" } else { "none" };
    let _ = write!(text, "\n[rules]\nfix = {is_fixed}\nunreachable = \"{unreachable}\"\n");
    if all.has_zones {
        text += "\n[zones]\non = true\n";
    }
    table(&mut text, "user", all.users.iter().map(user));
    let tunnels = all.tunnels.iter().map(|(name, vrf)| entry(name, vrf));
    table(&mut text, "tunnel", tunnels.chain(all.made_there.iter().cloned()));
    if !settings.is_empty() {
        text += "\n[sysctl]\n";
    }
    for (name, value) in settings {
        let _ = writeln!(text, "\"{name}\" = {value}");
    }
    if !all.inbound.is_empty() {
        text += "\n[default]\n";
        routes(&mut text, all, &all.inbound);
    }
    all.vrfs.iter().for_each(|vrf| text += &section(all, vrf));
    File { path: "/etc/vrf/vrf.toml".into(), text }
}

/// Which VRF one is to be in whose line had a mistake nobody knows.
fn user(Entry { user, vrf, allow_default, etc, .. }: &Entry) -> String {
    let Some(vrf) = vrf else { return format!("# {user} has no VRF and no network\n") };
    if !allow_default && !etc {
        return entry(user, vrf);
    }
    let key = |is_given: &bool, key| if *is_given { key } else { "" };
    let keys = [key(allow_default, ", allow-default = true"), key(etc, ", etc = true")].concat();
    format!("{} = {{ vrf = {}{keys} }}\n", quoted(user), literal(vrf))
}

fn entry(name: &str, vrf: &str) -> String {
    format!("{} = {}\n", quoted(name), literal(vrf))
}

/// A section of names, each with its VRF.
fn table(text: &mut String, name: &str, entries: impl Iterator<Item = String>) {
    let entries: Vec<String> = entries.collect();
    if !entries.is_empty() {
        let _ = write!(text, "\n[{name}]\n{}", entries.concat());
    }
}

/// Whether VRFs' packets are looked up in their tables before the local one.
fn is_fixed(rules: &[Rule]) -> bool {
    let first = |is_it: fn(&Rule) -> bool| rules.iter().position(is_it);
    let local = first(|rule| rule.is_kernels_own() && rule.table == TABLE_LOCAL);
    first(Rule::looks_up_vrfs).is_some_and(|l3mdev| local.is_none_or(|local| l3mdev < local))
}

fn section(all: &All, vrf: &Exported) -> String {
    let mut text = format!("\n[vrf.{}]\ntable = {}\n", quoted(vrf.name), vrf.table);
    if vrf.is_emulated {
        text += "emulate = true\n";
    }
    if !vrf.has_loopback {
        text += "loopback = false\n";
    }
    if !vrf.is_sealed {
        text += "unreachable = \"none\"\n";
    }
    list(&mut text, "ports", vrf.ports.iter().map(|port| port.name.clone()));
    list(&mut text, "addresses", vrf.addresses.iter().map(|address| syntax::address::write(address)));
    routes(&mut text, all, &vrf.routes);
    text
}

fn routes(text: &mut String, all: &All, routes: &[&Route]) {
    let words = routes.iter().map(|route| route_words(all, route));
    let (words, wordless): (Vec<_>, Vec<_>) = words.partition(Result::is_ok);
    list(text, "routes", words.into_iter().flatten());
    for why in wordless.into_iter().filter_map(Result::err) {
        let _ = writeln!(text, "# {why}");
    }
}

fn list(text: &mut String, key: &str, values: impl Iterator<Item = String>) {
    let values: Vec<String> = values.map(|value| format!("    {},\n", literal(&value))).collect();
    if !values.is_empty() {
        let _ = write!(text, "{key} = [\n{}]\n", values.concat());
    }
}

/// A key: bare where TOML allows it.
fn quoted(name: &str) -> String {
    let is_bare = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if is_bare { name.to_owned() } else { literal(name) }
}

fn literal(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::apply::source::Source;
    use crate::inspect::users::State;
    use crate::model::syntax::route::parse;
    use crate::plan::system::System;
    use std::path::Path;

    #[test]
    fn what_is_exported_can_be_applied() {
        let routes =
            ["default via 192.0.2.254 dev eth1", "-6 blackhole default metric 7"].map(|text| parse(text, 10).unwrap());
        let address = syntax::address::parse("192.0.2.1/24 dev blue.1").unwrap();
        let vrf = Exported {
            name: "blue.1",
            table: 10,
            has_loopback: false,
            is_sealed: false,
            is_emulated: false,
            ports: Vec::new(),
            by_dhcp: Vec::new(),
            addresses: vec![&address],
            routes: routes.iter().collect(),
        };
        let inbound = parse("198.51.100.0/24 dev blue.1", 254).unwrap();
        let user = |user: &str, vrf: Option<&str>, is_special| {
            let (user, vrf) = (user.to_owned(), vrf.map(str::to_owned));
            Entry {
                user,
                uid: 1000,
                vrf,
                ifindex: None,
                allow_default: is_special,
                etc: is_special,
                state: State::Closed,
                reason: None,
            }
        };
        let users =
            vec![user("alice.x", Some("blue.1"), false), user("bob", Some("blue.1"), true), user("eve", None, false)];
        let tunnels = vec![("wg0".to_owned(), "blue.1".to_owned())];
        let made_there = vec!["# not declared\n".to_owned()];
        let (vrfs, inbound, system) = (vec![vrf], vec![&inbound], &System::new(Vec::new(), Vec::new()));
        let all = All { vrfs, inbound, has_zones: true, users, tunnels, made_there, system };
        let text = file(&all, &[], &[("net.vrf.strict_mode", "1".into())]).text;
        let source = Source::new(Path::new("x"), &text);
        let config = source.read().unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert_eq!(config.zones.on, Some(true));
        let place = |user: &str| config.user[user].get_ref().0.to_string();
        assert_eq!((place("alice.x"), place("bob")), ("blue.1".to_owned(), "blue.1 --allow-default --etc".to_owned()));
        assert!(text.contains("\n# eve has no VRF and no network\n") && config.user.len() == 2, "{text}");
        assert_eq!(config.tunnel["wg0"].get_ref(), "blue.1");
        let read = &config.vrf["blue.1"];
        assert_eq!(read.table.as_ref().map(|table| *table.get_ref()), Some(10));
        assert_eq!(source.routes(&read.routes).unwrap().len(), 2);
        assert_eq!(source.routes(&config.default.routes).unwrap().len(), 1);
        assert!(!read.loopback);
    }
}
