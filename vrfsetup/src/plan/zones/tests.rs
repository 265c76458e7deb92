use super::*;
use crate::model::device::Device;

fn device(name: &str) -> Device {
    Device { ifindex: 7, name: name.to_owned() }
}

fn members(vrfs: &[(&str, u32)]) -> Members {
    let mut members = Members::default();
    for (vrf, table) in vrfs {
        members.apply(&Step::AddVrf(device(vrf), *table));
        members.apply(&Step::Enslave(device(&format!("{vrf}0")), device(vrf)));
    }
    members
}

fn table_of(steps: &[Step]) -> Option<&str> {
    steps.iter().find_map(|step| match step {
        Step::SetZones { to, .. } => to.as_deref(),
        _ => None,
    })
}

fn planned(members: &Members, listing: Option<&str>) -> Vec<Step> {
    on(members, Memory::default(), listing.map(str::to_owned), true).unwrap()
}

#[test]
fn a_vrf_and_its_ports_share_the_zone_of_the_tables_number() {
    let steps = planned(&members(&[("blue", 10), ("red", 20)]), None);
    let text = table_of(&steps).unwrap();
    let map = "map { \"blue\" : 10, \"blue0\" : 10, \"red\" : 20, \"red0\" : 20 }";
    assert!(text.contains(&format!(
        "hook prerouting priority -250; policy accept;\n{UNTRACKED}\t\tct original zone set iifname {map}"
    )));
    assert!(text.contains(&format!(
        "hook output priority -250; policy accept;\n{UNTRACKED}\t\tct original zone set oifname {map}"
    )));
    assert!(text.contains("type nat hook postrouting"));
}

#[test]
fn where_local_packets_pass_twice_they_keep_zone_0() {
    let steps = on(&members(&[("blue", 10)]), Memory::default(), None, false).unwrap();
    let text = table_of(&steps).unwrap();
    assert!(text.contains("iifname map") && !text.contains("oifname"), "{text}");
}

#[test]
fn without_vrfs_there_are_the_chains_alone() {
    let steps = planned(&Members::default(), None);
    assert!(!table_of(&steps).unwrap().contains("map"));
}

#[test]
fn the_zone_of_a_high_table_is_assigned_and_kept() {
    let first = members(&[("low", 65535), ("high", 100_000), ("higher", u32::MAX)]);
    let zones = assign(&first, &ByTable::new()).unwrap();
    assert_eq!(zones, [(65535, 65535), (100_000, 65534), (u32::MAX, 65533)].into());
    assert_eq!(exceptions(&zones), [(100_000, 65534), (u32::MAX, 65533)].into());
    // Who comes later takes nobody's zone, even if it is the number of his table.
    let mut later = first.clone();
    later.apply(&Step::AddVrf(device("late"), 65534));
    later.apply(&Step::DeleteVrf(device("low"), 65535));
    let again = assign(&later, &exceptions(&zones)).unwrap();
    assert_eq!(again, [(100_000, 65534), (u32::MAX, 65533), (65534, 65535)].into());
    assert_eq!(assign(&later, &exceptions(&again)).unwrap(), again);
}

#[test]
fn more_tables_than_zones_are_refused() {
    let vrfs: Vec<String> = (0..=65535).map(|number| format!("v{number}")).collect();
    let tables = vrfs.iter().zip(70_000..).map(|(vrf, table)| (vrf.clone(), table));
    let members = Members { tables: tables.collect(), ..Members::default() };
    assert!(matches!(assign(&members, &ByTable::new()), Err(Error::NoZone(_))));
}

#[test]
fn steps_move_ports_from_zone_to_zone() {
    let mut members = members(&[("blue", 10), ("red", 20)]);
    members.apply(&Step::Release(device("blue0"), device("blue")));
    members.apply(&Step::Enslave(device("blue0"), device("red")));
    assert_eq!(members.ports("red").collect::<Vec<_>>(), ["blue0", "red0"]);
    members.apply(&Step::DeleteVrf(device("red"), 20));
    let zones = members.zones(&[(10, 10), (20, 20)].into());
    assert_eq!(zones, [("blue", 10)].into());
}

#[test]
fn a_table_that_nft_lists_in_another_way_is_the_same() {
    let members = members(&[("blue", 10), ("a,b", 20)]);
    let steps = planned(&members, None);
    let text = table_of(&steps).unwrap();
    let listed = text.replace(
        "\"a,b\" : 20, \"a,b0\" : 20, \"blue\" : 10, \"blue0\" : 10",
        "\"blue\" : 10,\n\t\t\t\"blue0\" : 10,\n\"a,b0\" : 20, \"a,b\" : 20",
    );
    assert_ne!(listed, text);
    assert!(table_of(&planned(&members, Some(&listed))).is_none());
    assert_eq!(Listed::read(&listed).unwrap().zone_of("a,b0"), Some(20));
    for changed in [
        text.replace("\"blue\" : 10", "\"blue\" : 11"),
        text.replace("-250", "-300"),
        text.replace("nat hook", "filter hook"),
    ] {
        let steps = planned(&members, Some(&changed));
        assert!(steps.iter().any(|step| matches!(step, Step::SetZones { from: Some(from), .. } if *from == changed)));
    }
}

#[test]
fn a_name_that_nft_reads_otherwise_is_refused() {
    for name in ["eth*", "a\"b", "a\\b", "a\u{7}b"] {
        let mut members = members(&[("blue", 10)]);
        members.apply(&Step::Enslave(device(name), device("blue")));
        assert!(matches!(on(&members, Memory::default(), None, true), Err(Error::NoZone(_))), "{name}");
    }
    let mut harmless = members(&[("blue", 10)]);
    harmless.apply(&Step::Enslave(device("a*b"), device("blue")));
    assert!(on(&harmless, Memory::default(), None, true).is_ok());
}

#[test]
fn off_removes_what_is_there_and_only_that() {
    assert_eq!(off(Memory::default(), None), []);
    let listing = Some("table inet vrfsetup_zones {\n}\n".to_owned());
    assert_eq!(off(Memory::default(), listing.clone()), [Step::SetZones { from: listing, to: None }]);
}

#[test]
fn other_tables_are_told_from_this_one() {
    let others = "table ip nat {\n\tchain c {\n\t}\n}\n";
    let steps = planned(&members(&[("blue", 10)]), None);
    let ruleset = format!("{}{others}", table_of(&steps).unwrap());
    assert_eq!(without_own(&ruleset), others);
}

#[test]
fn a_table_without_one_of_its_chains_is_not_whole_and_one_that_names_more_is() {
    let (both, blue) = (members(&[("blue", 10), ("red", 20)]), members(&[("blue", 10)]));
    let steps = planned(&both, None);
    let text = table_of(&steps).unwrap();
    let none = members(&[]);
    let is_whole = |members, text: &str| is_whole(members, &Memory::default(), text, true);
    assert!(is_whole(&both, text) && is_whole(&blue, text) && is_whole(&none, text));
    let steps = planned(&blue, None);
    assert!(!is_whole(&both, table_of(&steps).unwrap()), "red is not in it");
    for gone in ["\tchain nat {\n", "postrouting", "oifname map", "ct state untracked return\n"] {
        assert!(!is_whole(&both, &text.replacen(gone, "", 1)), "{gone}");
    }
    assert!(!is_whole(&both, &text.replace("zones {\n", "zones {\n\tflags dormant\n")));
}
