//! `vrfsetup metrics`: what `show` and `doctor` know, as numbers for Prometheus (the text that both OpenMetrics 1.0 and
//! node_exporter's textfile collector read).

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::error::Error;
use crate::inspect::doctor::{self, is_sealed, rules_are_in_order};
use crate::inspect::show::{self, Vrf};
use crate::model::family::Family;
use crate::model::link::Link;
use crate::plan::emulate::{self, Emulated};
use crate::plan::inventory::Inventory;
use crate::plan::system::System;
use crate::sys::families;
use crate::sys::netlink::Kernel;
use crate::sys::sock_diag::{self, Connection};

/// One metric with its values. All are gauges.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Metric {
    pub name: &'static str,
    pub help: &'static str,
    pub samples: Vec<Sample>,
}

/// One value.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Sample {
    pub labels: BTreeMap<&'static str, String>,
    pub value: usize,
}

/// All metrics, in an order of their own; on a machine without VRFs those that count VRFs have no value.
///
/// # Errors
/// The kernel will not say.
pub fn read(kernel: &Kernel) -> Result<Vec<Metric>, Error> {
    let inventory = Inventory::read(kernel)?;
    let system = &inventory.system;
    let shown = show::show(kernel, None, true)?;
    let sockets = sock_diag::all().map_err(Error::unreadable("the sockets"))?;
    let mut metrics = Vec::from(interfaces(system));
    metrics.extend(routing(&inventory));
    metrics.extend(inside(&inventory, &shown, &sockets));
    let findings = doctor::examine(kernel)?;
    metrics.push(metric(
        "vrfsetup_findings",
        "What 'vrfsetup doctor' finds wrong, by its name.",
        count(findings.iter().map(|finding| finding.finding.to_owned()))
            .into_iter()
            .map(|(finding, number)| sample([("finding", finding)], number)),
    ));
    Ok(metrics)
}

/// The names that node_exporter's own collector is to have (its pull request 3765).
fn interfaces(system: &System) -> [Metric; 2] {
    let port = |vrf: &Link, port: &Link| {
        let labels = [("device", port.name.clone()), ("kind", "vrf".to_owned()), ("master", vrf.name.clone())];
        sample(labels, 1)
    };
    let table =
        |vrf: &Link| sample([("device", vrf.name.clone()), ("table", vrf.table.unwrap_or_default().to_string())], 1);
    [
        metric(
            "node_network_master_info",
            "The VRF that an interface is a port of.",
            system.vrfs().flat_map(|vrf| system.ports(vrf).map(move |link| port(vrf, link))),
        ),
        metric("node_network_vrf_info", "The routing table of a VRF device.", system.vrfs().map(table)),
    ]
}

fn routing(inventory: &Inventory) -> [Metric; 3] {
    let vrfs = || inventory.system.vrfs();
    let emulated = emulate::all(inventory);
    let up = |name: &str, link: &Link| sample([("vrf", name.to_owned())], usize::from(link.is_up()));
    let seal = |name: &str, family, is_sealed| {
        sample([("family", format!("{family}")), ("vrf", name.to_owned())], usize::from(is_sealed))
    };
    let seals = |family: Family| {
        let real = vrfs().map(move |vrf| seal(&vrf.name, family, is_sealed(inventory, vrf, family)));
        let sealed = move |vrf: &Emulated| seal(vrf.name, family, emulate::is_sealed(inventory, vrf, family));
        real.chain(emulated.iter().map(sealed))
    };
    let order = |family| sample([("family", format!("{family}"))], usize::from(rules_are_in_order(inventory, family)));
    [
        metric(
            "vrfsetup_vrf_up",
            "Whether a VRF is up.",
            vrfs().map(|vrf| up(&vrf.name, vrf)).chain(emulated.iter().map(|vrf| up(vrf.name, vrf.port))),
        ),
        metric(
            "vrfsetup_vrf_sealed",
            "Whether what a VRF's table lacks is unreachable, and not looked up in the default domain.",
            families::available().into_iter().flat_map(seals),
        ),
        metric(
            "vrfsetup_rules_in_order",
            "Whether the routing rules are those that VRFs need, and nothing stands in their way.",
            families::available().into_iter().filter(|_| vrfs().next().is_some()).map(order),
        ),
    ]
}

fn inside(inventory: &Inventory, shown: &[Vrf], sockets: &[Connection]) -> [Metric; 3] {
    let (system, emulated) = (&inventory.system, emulate::all(inventory));
    let of_vrf = |vrf: &Vrf, number| sample([("vrf", vrf.name().to_owned())], number);
    let bound = sockets.iter().filter_map(|socket| {
        let link = system.link_by_index(socket.bound)?;
        let real = if link.is_vrf() { Some(link) } else { system.vrf_of(link) };
        let emulates = || emulated.iter().find(|vrf| vrf.port.ifindex == link.ifindex).map(|vrf| vrf.name.to_owned());
        Some((real.map(|vrf| vrf.name.clone()).or_else(emulates)?, socket.protocol_name()))
    });
    [
        metric(
            "vrfsetup_vrf_processes",
            "Processes in a VRF.",
            shown.iter().map(|vrf| of_vrf(vrf, vrf.processes().len())),
        ),
        metric(
            "vrfsetup_vrf_sockets",
            "Sockets bound to a VRF or one of its ports.",
            count(bound)
                .into_iter()
                .map(|((vrf, protocol), number)| sample([("protocol", protocol), ("vrf", vrf)], number)),
        ),
        metric(
            "vrfsetup_vrf_stray_sockets",
            "Sockets outside the VRF that their process is in.",
            shown.iter().map(|vrf| of_vrf(vrf, vrf.stray_sockets().count())),
        ),
    ]
}

fn metric(name: &'static str, help: &'static str, samples: impl Iterator<Item = Sample>) -> Metric {
    Metric { name, help, samples: samples.collect() }
}

fn sample<const N: usize>(labels: [(&'static str, String); N], value: usize) -> Sample {
    Sample { labels: labels.into(), value }
}

fn count<T: Ord>(all: impl Iterator<Item = T>) -> BTreeMap<T, usize> {
    let mut numbers = BTreeMap::new();
    all.for_each(|one| *numbers.entry(one).or_insert(0) += 1);
    numbers
}

/// Its lines. What has no value has no line.
impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, help, samples } = self;
        if samples.is_empty() {
            return Ok(());
        }
        writeln!(f, "# HELP {name} {help}\n# TYPE {name} gauge")?;
        for Sample { labels, value } in samples {
            let labels: Vec<_> = labels.iter().map(|(label, text)| format!("{label}=\"{}\"", escaped(text))).collect();
            writeln!(f, "{name}{{{}}} {value}", labels.join(","))?;
        }
        Ok(())
    }
}

/// An interface may be called by nearly any bytes.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_written_as_prometheus_reads_it() {
        let labels = |vrf: &str| [("family", "ipv4".to_owned()), ("vrf", vrf.to_owned())];
        let metric =
            metric("m", "What it is.", [sample(labels("blue"), 1), sample(labels("a\"b\\c\nd"), 0)].into_iter());
        let text = "# HELP m What it is.\n# TYPE m gauge\nm{family=\"ipv4\",vrf=\"blue\"} 1\n\
                    m{family=\"ipv4\",vrf=\"a\\\"b\\\\c\\nd\"} 0\n";
        assert_eq!(metric.to_string(), text);
    }

    #[test]
    fn what_has_no_value_has_no_line() {
        assert_eq!(metric("m", "What it is.", std::iter::empty()).to_string(), "");
    }

    #[test]
    fn the_dashboard_draws_what_is_written_and_all_of_it() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/grafana-vrf.json");
        let dashboard: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let panels = dashboard["panels"].as_array().unwrap();
        let drawn =
            panels.iter().map(|panel| panel["targets"][0]["expr"].as_str().unwrap()).collect::<Vec<_>>().join(" ");
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let name_in = |text: &str| {
            let words = text.split(|c| !is_word(c)).filter(|word| {
                word.starts_with("vrfsetup_") || (word.starts_with("node_network_") && word.ends_with("_info"))
            });
            words.map(str::to_owned).collect::<std::collections::BTreeSet<_>>()
        };
        let source = include_str!("metrics.rs").split("mod tests").next().unwrap();
        assert_eq!(name_in(&drawn), name_in(source));
    }

    #[test]
    fn the_same_are_counted() {
        assert_eq!(count(["b", "a", "b"].into_iter()).into_iter().collect::<Vec<_>>(), [("a", 1), ("b", 2)]);
    }
}
