use super::*;

/// Blue with its port, the default domain's eth0, and gre1, which names this device.
fn system(lower: Option<u32>) -> System {
    let port = Link { master: Some(7), ..Link::plain(8, "blue0", None) };
    let gre = Link { kind: Some("gre".to_owned()), lower, ..Link::plain(9, "gre1", None) };
    System::new(vec![Link::plain(2, "eth0", None), Link::plain(7, "blue", Some(10)), port, gre], vec![])
}

fn gre1(system: &System) -> &Link {
    system.link("gre1").unwrap()
}

fn into(system: &System, tunnel: &Tunnel) -> Option<String> {
    step_into(system, &Members::of(system), "gre1", tunnel).map(|step| step.to_string())
}

#[test]
fn a_tunnel_is_put_into_its_vrf_once_and_back_to_what_it_named() {
    for (lower, back) in [
        (Some(2), "ip link change gre1 type gre dev eth0"),
        (None, "# gre1 names no device for its outside any more"),
        (Some(8), "# gre1 names no device for its outside any more"),
        (Some(99), "# gre1 names no device for its outside any more"),
    ] {
        let before = system(lower);
        let tunnel = wanted(&before, None, gre1(&before), "blue").expect("a tunnel");
        assert_eq!(into(&before, &tunnel).as_deref(), Some("ip link change gre1 type gre dev blue"));
        let after = system(Some(7));
        assert_eq!(into(&after, &tunnel), None);
        assert_eq!(wanted(&after, Some(&tunnel), gre1(&after), "blue"), Some(tunnel.clone()));
        assert_eq!(step_back(&after, "gre1", Some(&tunnel)).map(|step| step.to_string()).as_deref(), Some(back));
    }
}

/// The name counts first: a number that is free the kernel may give to anything.
#[test]
fn what_it_named_before_is_known_when_it_was_made_again_or_renamed() {
    let before = system(Some(2));
    let tunnel = wanted(&before, None, gre1(&before), "blue").expect("a tunnel");
    let vrf = |ifindex| Link::plain(ifindex, "blue", Some(10));
    let gre = |lower| Link { kind: Some("gre".to_owned()), lower: Some(lower), ..Link::plain(9, "gre1", None) };
    let other_name = Link { altnames: vec!["eth0".to_owned()], ..Link::plain(31, "lan0", None) };
    let port = Link { master: Some(7), ..Link::plain(30, "eth0", None) };
    for (links, back) in [
        (vec![Link::plain(30, "eth0", None)], "ip link change gre1 type gre dev eth0"),
        (vec![Link::plain(2, "lan0", None)], "ip link change gre1 type gre dev lan0"),
        (vec![Link::plain(30, "eth0", None), Link::plain(2, "usb0", None)], "ip link change gre1 type gre dev eth0"),
        (vec![other_name, Link::plain(2, "usb0", None)], "ip link change gre1 type gre dev lan0"),
        (vec![port, Link::plain(2, "usb0", None)], "# gre1 names no device for its outside any more"),
        (vec![Link::plain(30, "usb0", None)], "# gre1 names no device for its outside any more"),
    ] {
        let after = System::new([links, vec![vrf(7), gre(7)]].concat(), vec![]);
        assert_eq!(step_back(&after, "gre1", Some(&tunnel)).map(|step| step.to_string()).as_deref(), Some(back));
    }
}

#[test]
fn one_that_was_expected_is_taken_for_what_it_is_when_it_has_come() {
    let expected = Tunnel { vrf: "blue".to_owned(), mark: 0x5652_0001, was: 0, named: None };
    for (lower, wanted) in [(Some(2), Some("eth0")), (None, None)] {
        let came = as_it_came(&system(lower), "gre1", &expected).flatten().expect("a tunnel");
        assert_eq!(
            (came.mark, came.named.and_then(|named| named.was).map(|was| was.name)),
            (0, wanted.map(str::to_owned))
        );
    }
    // Made for the VRF: nobody has to remember it. One that is not there, or is WireGuard's, is as it was.
    assert_eq!(as_it_came(&system(Some(7)), "gre1", &expected), Some(None));
    assert_eq!(as_it_came(&system(None), "wg0", &expected), None);
}

#[test]
fn one_that_somebody_made_for_the_vrf_is_known_by_the_kernel_alone() {
    let system = system(Some(7));
    assert_eq!(wanted(&system, None, gre1(&system), "blue"), None);
    let names = BTreeSet::from(["gre1".to_owned()]);
    assert_eq!(by_vrf(&system, &Memory::default()), HashMap::from([("blue".to_owned(), names)]));
    assert!(step_back(&system, "gre1", None).is_some());
}

#[test]
fn one_that_was_made_in_another_namespace_stays_as_it_is() {
    let mut system = system(None);
    let tunnel = wanted(&system, None, gre1(&system), "blue").expect("a tunnel");
    system.links.iter_mut().for_each(|link| link.is_of_elsewhere = link.name == "gre1");
    assert_eq!((into(&system, &tunnel), is_changed(gre1(&system))), (None, false));
}

#[test]
fn one_that_names_a_port_is_without_its_vrf_where_the_port_is() {
    for (lower, with_port, without_port) in [(7, true, true), (8, true, false), (2, false, false)] {
        let system = system(Some(lower));
        let (blue, port) = (system.link("blue").unwrap(), system.link("blue0").unwrap());
        let is_one = |ports: &[&Link]| without(&system, blue, ports).next().is_some();
        assert_eq!((is_one(&[port]), is_one(&[])), (with_port, without_port), "{lower}");
    }
}

#[test]
fn one_in_the_default_domain_and_one_whose_vrf_is_gone_stay() {
    for lower in [None, Some(2)] {
        assert_eq!(step_back(&system(lower), "gre1", None), None);
    }
    let lost = system(Some(99));
    let tunnel = wanted(&lost, None, gre1(&lost), "red").expect("a tunnel");
    assert_eq!(into(&lost, &tunnel), None);
    let there = system(Some(2));
    assert!(is_lost(&lost, gre1(&lost)) && !is_lost(&there, gre1(&there)));
}
