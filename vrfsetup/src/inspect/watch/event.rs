//! One change, as a line and as JSON.

use std::fmt;

use serde::Serialize;

use crate::model::family::Family;
use crate::model::rule::Rule;

/// What has changed. VRFs and ports are called by the names that they have now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// It is down and not sealed until another event says so.
    VrfAdded {
        vrf: String,
        ifindex: u32,
        table: u32,
        emulated: bool,
    },
    VrfDeleted {
        vrf: String,
        ifindex: u32,
        table: u32,
    },
    VrfRenamed {
        vrf: String,
        before: String,
    },
    VrfUp {
        vrf: String,
    },
    VrfDown {
        vrf: String,
    },
    VrfSealed {
        vrf: String,
        family: Family,
    },
    VrfUnsealed {
        vrf: String,
        family: Family,
    },
    PortAttached {
        port: String,
        vrf: String,
    },
    PortDetached {
        port: String,
        vrf: String,
    },
    PortRenamed {
        port: String,
        before: String,
        vrf: String,
    },
    /// The rule in the words of `ip rule show`.
    RuleAdded {
        family: Family,
        priority: u32,
        rule: String,
    },
    RuleDeleted {
        family: Family,
        priority: u32,
        rule: String,
    },
    /// The kernel dropped reports. What follows is the difference, as ever; what came and went in between is not in it.
    Overflow,
}

impl Event {
    pub(super) fn rule_added(rule: &Rule) -> Self {
        Self::RuleAdded { family: rule.family, priority: rule.priority, rule: rule.to_string() }
    }

    pub(super) fn rule_deleted(rule: &Rule) -> Self {
        Self::RuleDeleted { family: rule.family, priority: rule.priority, rule: rule.to_string() }
    }
}

/// Without the end of the line.
impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::VrfAdded { vrf, table, emulated: false, .. } => write!(f, "vrf {vrf} added, table {table}"),
            Self::VrfAdded { vrf, table, .. } => write!(f, "vrf {vrf} added, emulated, table {table}"),
            Self::VrfDeleted { vrf, table, .. } => write!(f, "vrf {vrf} deleted, table {table}"),
            Self::VrfRenamed { vrf, before } => write!(f, "vrf {before} renamed to {vrf}"),
            Self::VrfUp { vrf } => write!(f, "vrf {vrf} up"),
            Self::VrfDown { vrf } => write!(f, "vrf {vrf} down"),
            Self::VrfSealed { vrf, family } => write!(f, "vrf {vrf} sealed ({family})"),
            Self::VrfUnsealed { vrf, family } => write!(f, "vrf {vrf} unsealed ({family})"),
            Self::PortAttached { port, vrf } => write!(f, "port {port} attached to {vrf}"),
            Self::PortDetached { port, vrf } => write!(f, "port {port} detached from {vrf}"),
            Self::PortRenamed { port, before, .. } => write!(f, "port {before} renamed to {port}"),
            Self::RuleAdded { family, rule, .. } => write!(f, "rule added ({family}) {rule}"),
            Self::RuleDeleted { family, rule, .. } => write!(f, "rule deleted ({family}) {rule}"),
            Self::Overflow => f.write_str("overflow: reports were lost, the difference follows"),
        }
    }
}
