//! The text of a vrf.toml: reads it, checks what can be seen without the machine, and gives every mistake its line.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use toml::Spanned;

use super::config::{Config, Leak, Vrf};
use super::once;
use crate::error::Error;
use crate::model::address::Address;
use crate::model::prefix::Prefix;
use crate::model::route::Route;
use crate::model::syntax;
use crate::plan::rules::Unreachable;

/// The routes that were declared so far, each with the name of its domain.
type Declared<'c> = HashSet<(&'c str, once::Key)>;

/// A file's text, by which mistakes get their line.
pub struct Source<'a> {
    path: &'a Path,
    text: &'a str,
}

impl<'a> Source<'a> {
    /// Of this file.
    pub fn new(path: &'a Path, text: &'a str) -> Self {
        Self { path, text }
    }

    /// Reads it and checks what one can see without the machine.
    ///
    /// # Errors
    /// The first mistake.
    pub fn read(&self) -> Result<Config, Error> {
        let config: Config = toml::from_str(self.text)
            .map_err(|error| self.mistake(error.span().map_or(0, |span| span.start), error.message()))?;
        self.check(&config)?;
        Ok(config)
    }

    /// A mistake at this value.
    pub fn mistake_at<T>(&self, value: &Spanned<T>, what: &str) -> Error {
        self.mistake(value.span().start, what)
    }

    fn mistake(&self, at: usize, what: &str) -> Error {
        let before = self.text.get(..at).unwrap_or_default();
        let line = before.matches('\n').count();
        Error::BadFile {
            path: self.path.to_owned(),
            line: line + 1,
            text: self.text.lines().nth(line).unwrap_or_default().trim().to_owned(),
            what: what.lines().next().unwrap_or_default().to_owned(),
        }
    }

    fn check(&self, config: &Config) -> Result<(), Error> {
        let (mut tables, mut ports, mut declared) = (BTreeMap::new(), BTreeMap::new(), Declared::new());
        for (name, vrf) in &config.vrf {
            crate::model::name::vrf(name)
                .map_err(|why| self.mistake(self.heading(name), &format!("'{name}': {why}")))?;
            if let Some(table) = &vrf.table {
                if !crate::plan::tables::is_usable(*table.get_ref()) {
                    return Err(self.mistake_at(table, "the kernel's own table"));
                }
                if let Some(other) = tables.insert(*table.get_ref(), name) {
                    return Err(self.mistake_at(table, &format!("the table of '{other}', too")));
                }
            }
            for port in &vrf.ports {
                if let Some(other) = ports.insert(port.get_ref(), name) {
                    return Err(self.mistake_at(port, &format!("a port of '{other}', too")));
                }
            }
            if vrf.emulate && vrf.ports.len() != 1 {
                return Err(self.mistake(self.key_below(name, "emulate"), "an emulated VRF has one port"));
            }
            if vrf.emulate && vrf.unreachable != Unreachable::Route {
                return Err(self.mistake(self.key_below(name, "unreachable"), "an emulated VRF is sealed by routes"));
            }
            if let Some(why) = config.rules.leaves_open(vrf.unreachable) {
                return Err(self.mistake(self.key_below(name, "unreachable"), why));
            }
            if let Some(at) = once::repeated_address(&self.addresses(name, vrf)?) {
                return Err(self.mistake_at(&vrf.addresses[at], "declared already"));
            }
            self.different(name, &vrf.routes, &mut declared)?;
        }
        for vrf in config.user.values() {
            crate::model::name::vrf(vrf.get_ref()).map_err(|why| self.mistake_at(vrf, &why))?;
        }
        self.different("default", &config.default.routes, &mut declared)?;
        config.leak.iter().try_for_each(|leak| self.leak(leak, &mut declared))
    }

    fn different<'c>(
        &self,
        domain: &'c str,
        texts: &[Spanned<String>],
        declared: &mut Declared<'c>,
    ) -> Result<(), Error> {
        let routes = self.routes(texts)?;
        match routes.iter().position(|route| !declared.insert((domain, once::key(route)))) {
            Some(at) => Err(self.mistake_at(&texts[at], "an earlier route has this destination and metric")),
            None => Ok(()),
        }
    }

    fn leak<'c>(&self, leak: &'c Leak, declared: &mut Declared<'c>) -> Result<(), Error> {
        let to = leak.to.get_ref();
        if leak.from.get_ref() == to {
            return Err(self.mistake_at(&leak.to, "the domain that the prefixes come from"));
        }
        for prefix in &leak.prefixes {
            if !declared.insert((to, once::key_of_leak(self.prefix(prefix)?))) {
                let what = format!("'{to}' has an earlier leak, or a route, of this destination and metric");
                return Err(self.mistake_at(prefix, &what));
            }
        }
        Ok(())
    }

    /// A prefix of a leak.
    ///
    /// # Errors
    /// It is no destination.
    pub fn prefix(&self, text: &Spanned<String>) -> Result<Prefix, Error> {
        syntax::destination(text.get_ref()).map_err(|why| self.mistake_at(text, &why))
    }

    /// The addresses of a VRF, which are on it or its ports.
    ///
    /// # Errors
    /// The first mistake.
    pub fn addresses(&self, name: &str, vrf: &Vrf) -> Result<Vec<Address>, Error> {
        let read = |text: &Spanned<String>| {
            let address = syntax::address::parse(text.get_ref()).map_err(|why| self.mistake_at(text, &why))?;
            let device = &address.device.name;
            if device != name && !vrf.ports.iter().any(|port| port.get_ref() == device) {
                return Err(self.mistake_at(text, &format!("'{device}' is neither '{name}' nor one of its ports")));
            }
            Ok(address)
        };
        vrf.addresses.iter().map(read).collect()
    }

    /// The routes of a domain, in no table yet; one may lead into another domain.
    ///
    /// # Errors
    /// The first mistake.
    pub fn routes(&self, texts: &[Spanned<String>]) -> Result<Vec<Route>, Error> {
        let read =
            |text: &Spanned<String>| syntax::route::parse(text.get_ref(), 0).map_err(|why| self.mistake_at(text, &why));
        texts.iter().map(read).collect()
    }

    /// Where a key of a VRF is.
    fn key_below(&self, name: &str, key: &str) -> usize {
        let heading = self.heading(name);
        let below = self.text.get(heading..).and_then(|text| text.find(key));
        heading + below.unwrap_or(0)
    }

    /// What the machine says against something declared, with its line; other errors as they are.
    pub fn locate(&self, at: Option<usize>, error: Error) -> Error {
        match (at, &error) {
            (
                Some(at),
                Error::NotAVrf(_)
                | Error::TableTaken { .. }
                | Error::OtherMaster { .. }
                | Error::NoPort(_)
                | Error::NobodysPrefix(_)
                | Error::NoSuchSetting(_),
            ) => self.mistake(at, &error.to_string()),
            _ => error,
        }
    }

    /// Where a VRF is declared: its table, if that is what the error is about, its heading otherwise.
    pub fn place_of(&self, name: &str, vrf: &Vrf, error: &Error) -> usize {
        let port = match error {
            Error::OtherMaster { port, .. } | Error::NoPort(port) => Some(port),
            _ => None,
        };
        let port = port.and_then(|port| vrf.ports.iter().find(|declared| declared.get_ref() == port));
        let table = vrf.table.as_ref().filter(|_| matches!(error, Error::TableTaken { .. }));
        let span = port.map(Spanned::span).or(table.map(Spanned::span));
        span.map_or_else(|| self.heading(name), |span| span.start)
    }

    /// Where a setting is named.
    pub fn setting(&self, name: &str) -> Option<usize> {
        self.find_line(|line| unquoted(line.split('=').next().unwrap_or_default()) == name)
    }

    fn heading(&self, name: &str) -> usize {
        let is_heading = |line: &str| {
            let inner = line.strip_prefix('[').and_then(|rest| rest.split(']').next()).map(str::trim);
            let key = inner.and_then(|inner| inner.strip_prefix("vrf")?.trim_start().strip_prefix('.'));
            key.is_some_and(|key| unquoted(key) == name)
        };
        self.find_line(is_heading).or_else(|| self.text.find(name)).unwrap_or(0)
    }

    /// Where the first line begins that is such.
    fn find_line(&self, is_it: impl Fn(&str) -> bool) -> Option<usize> {
        let mut at = 0;
        for line in self.text.split_inclusive('\n') {
            if is_it(line.trim()) {
                return Some(at);
            }
            at += line.len();
        }
        None
    }
}

fn unquoted(key: &str) -> &str {
    key.trim().trim_matches(['"', '\''])
}

#[cfg(test)]
mod tests {
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
        let of =
            |a: &str, b: &str| format!("[vrf.a]\nports = [\"p\"]\naddresses = [\n\"{a} dev p\",\n\"{b} dev p\"]\n");
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
            let wanted =
                format!("vrf.toml:{line}: 'a' has an earlier leak, or a route, of this destination and metric");
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
}
