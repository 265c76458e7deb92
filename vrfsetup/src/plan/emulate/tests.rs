use super::*;
use crate::model::syntax;
use crate::plan::system::System;

fn link(ifindex: u32, name: &str, altnames: &[&str]) -> Link {
    Link {
        flags: 1,
        altnames: altnames.iter().map(|name| (*name).to_owned()).collect(),
        kind: Some("veth".into()),
        ..Link::plain(ifindex, name, None)
    }
}

fn rules(name: &str, table: u32) -> Vec<Rule> {
    let both = |family| Rule::lookup(family, L3MDEV, table).both_ways(name);
    [Family::V4, Family::V6].into_iter().flat_map(both).collect()
}

fn inventory(links: Vec<Link>, routes: &[(&str, u32)], rules: Vec<Rule>) -> Inventory {
    let address = syntax::address::parse("192.0.2.1/24 dev eth1").unwrap();
    let own = links.iter().filter(|link| link.name == "eth1").map(|link| {
        let mut address = address.clone();
        address.device = link.device();
        address
    });
    let own = own.collect();
    let route = |(words, table): &(&str, u32)| {
        let mut route = syntax::route::parse(words, *table).unwrap();
        route.lead_over(|_| Some(3));
        route
    };
    Inventory::new(System::new(links, own), routes.iter().map(route).collect(), rules)
}

fn shown(steps: &[Step]) -> Vec<String> {
    steps.iter().map(ToString::to_string).collect()
}

#[test]
fn the_table_is_sealed_and_filled_before_a_rule_leads_to_it_and_main_loses_its_routes_last() {
    let routes = [("default via 192.0.2.2 dev eth1", 254), ("198.51.100.0/24 dev eth1", 254)];
    let inventory = inventory(vec![link(3, "eth1", &[])], &routes, vec![]);
    let port = inventory.system.link("eth1").unwrap();
    let planned = plan(&inventory, &Emulated { name: "blue", table: 10, port }).unwrap();
    assert_eq!(
        shown(&planned.steps),
        [
            "ip link property add dev eth1 altname blue",
            "ip route add unreachable default table 10 proto kernel metric 4278198272",
            "ip -6 route add unreachable default table 10 proto kernel metric 4278198272",
            "ip route add 198.51.100.0/24 dev eth1 table 10",
            "ip route add default via 192.0.2.2 dev eth1 table 10",
            "ip rule add pref 1000 iif blue lookup 10 protocol kernel",
            "ip rule add pref 1000 oif blue lookup 10 protocol kernel",
            "ip -6 rule add pref 1000 iif blue lookup 10 protocol kernel",
            "ip -6 rule add pref 1000 oif blue lookup 10 protocol kernel",
            "ip rule add pref 1001 from 192.0.2.1/32 iif lo lookup 10 protocol kernel",
            "ip route del default via 192.0.2.2 dev eth1 table main",
            "ip route del 198.51.100.0/24 dev eth1 table main",
        ]
    );
    assert!(planned.default_route.is_some());
}

#[test]
fn it_is_known_by_an_altname_and_two_rules_with_it() {
    let is_found = |altnames: &[&str], rules| {
        let inventory = inventory(vec![link(3, "eth1", altnames)], &[], rules);
        all(&inventory).first().map(|found| (found.name.to_owned(), found.table, found.port.ifindex))
    };
    assert_eq!(is_found(&["enp0s1", "blue"], rules("blue", 10)), Some(("blue".into(), 10, 3)));
    assert_eq!(is_found(&["enp0s1"], rules("blue", 10)), None);
    assert_eq!(is_found(&["blue"], vec![]), None);
    let one = rules("blue", 10).into_iter().filter(|rule| rule.selectors.oif.is_none()).collect();
    assert_eq!(is_found(&["blue"], one), None, "one of the two rules is not enough");
    assert_eq!(is_found(&["blue"], rules("blue", TABLE_MAIN)), None);
    let mut narrow = rules("blue", 10);
    narrow.iter_mut().for_each(|rule| rule.selectors.others.push("fwmark 0x1".into()));
    assert_eq!(is_found(&["blue"], narrow), None);
}

#[test]
fn its_routes_go_back_and_a_default_route_stays_behind() {
    let routes = [("default via 192.0.2.2 dev eth1", 10), ("198.51.100.0/24 dev eth1", 10)];
    let mut rules = rules("blue", 10);
    rules.push(Rule::lookup(Family::V4, L3MDEV + 1, 10).of_own_address("192.0.2.1".parse().unwrap()));
    let inventory = inventory(vec![link(3, "eth1", &["blue"])], &routes, rules);
    let deletion = deletion(&inventory, &named(&inventory, "blue").unwrap(), &Memory::default());
    let steps = shown(&deletion.steps);
    assert_eq!(steps[0], "ip route add 198.51.100.0/24 dev eth1 table main");
    assert_eq!(steps.iter().filter(|step| step.contains("rule del")).count(), 5);
    assert_eq!(steps.last().unwrap(), "ip link property del dev eth1 altname blue");
    assert_eq!(deletion.notes.len(), 1, "{:?}", deletion.notes);
}
