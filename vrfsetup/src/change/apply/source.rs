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
        let config: Config = toml::from_str(self.text).map_err(|error| match error.span() {
            Some(span) => self.mistake(span.start, error.message()),
            // Of these alone the parser does not tell the place.
            None => self.mistake(long_key(self.text).unwrap_or(0), "a key of too many parts"),
        })?;
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
            text: shown(self.text.lines().nth(line).unwrap_or_default()),
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
        for line in config.user.values() {
            crate::model::name::vrf(&line.get_ref().0.vrf).map_err(|why| self.mistake_at(line, &why))?;
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

/// A line as a message shows it.
pub fn shown(line: &str) -> String {
    const LENGTH: usize = 200;
    let line = line.trim();
    match line.char_indices().nth(LENGTH) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line.to_owned(),
    }
}

/// Where the first line begins that has as many dots outside of strings as a key of the parser has parts at the most.
fn long_key(text: &str) -> Option<usize> {
    const PARTS: usize = 80;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let (mut dots, mut quote, mut is_escaped) = (0, None, false);
        for c in line.chars() {
            match quote {
                Some(_) if is_escaped => is_escaped = false,
                Some('"') if c == '\\' => is_escaped = true,
                Some(open) => quote = Some(open).filter(|open| *open != c),
                None if c == '#' => break,
                None if c == '"' || c == '\'' => quote = Some(c),
                None => dots += usize::from(c == '.'),
            }
        }
        if dots >= PARTS {
            return Some(at);
        }
        at += line.len();
    }
    None
}

#[cfg(test)]
mod tests;
