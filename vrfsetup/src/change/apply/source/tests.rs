//! Mistakes that can be seen without the machine, each with its line.

use super::*;

fn read(text: &str) -> Result<Config, String> {
    Source::new(Path::new("vrf.toml"), text).read().map_err(|error| error.to_string())
}

fn mistake(text: &str) -> String {
    read(text).unwrap_err()
}

#[test]
fn a_full_file_is_read() {
    let config = read(
        "[rules]\nfix = false\nunreachable = \"none\"\n[sysctl]\n\"net.vrf.strict_mode\" = 1\n\
         [vrf.blue]\ntable = 10\nports = [\"eth1\"]\naddresses = [\"192.0.2.1/24 dev eth1\"]\n\
         routes = [\"default via 192.0.2.254\"]\n[[leak]]\nfrom = \"red\"\nto = \"blue\"\nprefixes = [\"198.51.100.0/24\"]\n",
    )
    .unwrap();
    assert_eq!(config.vrf["blue"].table.as_ref().map(|table| *table.get_ref()), Some(10));
    assert!(config.vrf["blue"].loopback);
    assert_eq!(config.sysctl["net.vrf.strict_mode"].to_string(), "1");
}

#[test]
fn an_unknown_key_is_named_with_its_line() {
    let text = mistake("[vrf.blue]\ntabel = 10\n");
    assert!(text.starts_with("vrf.toml:2: unknown field `tabel`"), "{text}");
    assert!(text.contains("tabel = 10"), "{text}");
}

#[test]
fn a_wrong_value_is_named_with_its_line_and_key() {
    let text = mistake("[vrf.blue]\n\ntable = \"ten\"\n");
    assert!(text.starts_with("vrf.toml:3: ") && text.contains("table = \"ten\""), "{text}");
}

#[test]
fn a_wrong_address_among_several_has_its_own_line() {
    let text = mistake(
        "[vrf.blue]\nports = [\"eth1\"]\naddresses = [\n  \"192.0.2.1/24 dev eth1\",\n  \"192.0.2.1/99 dev eth1\",\n]\n",
    );
    assert!(text.starts_with("vrf.toml:5: '192.0.2.1/99' is no address and no prefix"), "{text}");
}

#[test]
fn what_two_vrfs_claim_is_refused() {
    let table = mistake("[vrf.a]\ntable = 10\n[vrf.b]\ntable = 10\n");
    assert!(table.starts_with("vrf.toml:4: the table of 'a', too"), "{table}");
    let port = mistake("[vrf.a]\nports = [\"eth1\"]\n[vrf.b]\nports = [\"eth1\"]\n");
    assert!(port.starts_with("vrf.toml:4: a port of 'a', too"), "{port}");
}

#[test]
fn an_address_on_another_interface_is_refused() {
    let text = mistake("[vrf.blue]\naddresses = [\"192.0.2.1/24 dev eth1\"]\n");
    assert!(text.starts_with("vrf.toml:2: 'eth1' is neither 'blue' nor one of its ports"), "{text}");
}

#[test]
fn an_ipv6_address_is_declared_once_whatever_its_peer_is() {
    let of = |a: &str, b: &str| format!("[vrf.a]\nports = [\"p\"]\naddresses = [\n\"{a} dev p\",\n\"{b} dev p\"]\n");
    let text = mistake(&of("2001:db8::1/64", "2001:db8::1 peer 2001:db8::2/128"));
    assert!(text.starts_with("vrf.toml:5: declared already"), "{text}");
    assert!(read(&of("192.0.2.1/32", "192.0.2.1 peer 192.0.2.2/32")).is_ok());
}

#[test]
fn what_a_leak_leads_to_is_declared_once() {
    let leak = |prefixes: &str| format!("[[leak]]\nfrom = \"b\"\nto = \"a\"\nprefixes = [\n{prefixes}\n]\n");
    let v4 = "\"198.51.100.0/24\"";
    let with_route = |route: &str| format!("[vrf.a]\nroutes = [\"{route}\"]\n");
    for text in [
        leak(&format!("{v4},\n{v4}")),
        leak("\"2001:db8::/32\",\n\"2001:db8::1/32\""),
        format!("{}{}", leak(v4), leak(v4)),
        with_route("198.51.100.0/24 dev b metric 0") + &leak(v4),
        with_route("unreachable 2001:db8::/32") + &leak("\"2001:db8::/32\""),
        with_route("default via 192.0.2.1") + &leak("\"0.0.0.0/0\""),
    ] {
        let (line, last) = (text.lines().count() - 1, mistake(&text));
        let wanted = format!("vrf.toml:{line}: 'a' has an earlier leak, or a route, of this destination and metric");
        assert!(last.starts_with(&wanted), "{text}: {last}");
    }
    for text in [
        with_route("198.51.100.0/24 dev b metric 7") + &leak(v4),
        leak(v4) + &leak(v4).replace("\"a\"", "\"default\""),
        leak("\"0.0.0.0/0\",\n\"::/0\""),
    ] {
        assert!(read(&text).is_ok(), "{text}");
    }
}

#[test]
fn a_leak_into_the_default_domain_is_no_route_of_it() {
    let leak = "[[leak]]\nfrom = \"b\"\nto = \"default\"\nprefixes = [\"198.51.100.0/24\"]\n";
    let text = mistake(&format!("[default]\nroutes = [\"198.51.100.0/24 dev b\"]\n{leak}"));
    assert!(text.starts_with("vrf.toml:6: 'default' has an earlier leak, or a route,"), "{text}");
}

#[test]
fn a_vrf_whose_seal_the_rules_would_remove_is_refused() {
    for how in ["none", "route"] {
        let text = mistake(&format!(
            "[rules]\nunreachable = \"{how}\"\n[vrf.a]\n[vrf.b]\ntable = 7\nunreachable = \"rule\"\n"
        ));
        assert!(text.starts_with("vrf.toml:6: [rules] removes the rule that is to seal this VRF"), "{text}");
    }
    for kept in ["unreachable = \"rule\"", "unreachable = \"none\"\nfix = false"] {
        assert!(read(&format!("[rules]\n{kept}\n[vrf.a]\nunreachable = \"rule\"\n")).is_ok(), "{kept}");
    }
}

#[test]
fn a_name_that_means_something_else_is_refused() {
    assert!(mistake("[vrf.default]\n").starts_with("vrf.toml:1: 'default': reserved"));
}

#[test]
fn a_name_is_found_where_it_is_declared() {
    for heading in ["[vrf.default]", "[vrf.\"default\"]", "[ vrf . default ] # here"] {
        let text = mistake(&format!("# [vrf.default]\n[vrf.default2]\ntable = 7\n{heading}\n"));
        assert!(text.starts_with("vrf.toml:4: 'default': reserved"), "{text}");
    }
}
