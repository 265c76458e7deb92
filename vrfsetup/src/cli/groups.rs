//! Options and inner verbs that stand together.

use clap::{Args, Subcommand};

use crate::change::rules::Policy;
use crate::model::name;
use crate::plan::rules::Unreachable;
use crate::transaction::progress::When;

/// `vrfsetup add`.
#[derive(Debug, Args)]
pub struct Add {
    /// The VRF
    #[arg(value_parser = name::vrf)]
    pub name: String,
    /// Its routing table [default: a free one]
    #[arg(long, value_name = "ID", value_parser = table)]
    pub table: Option<u32>,
    /// An interface that becomes its port; may be given several times
    #[arg(long = "port", value_name = "IF", value_parser = name::device)]
    pub ports: Vec<String>,
    /// Emulate it, for kernels without the vrf driver: one port, an alternative name and rules (5.5)
    #[arg(long, conflicts_with_all = ["no_loopback", "unreachable", "strict_mode", "tcp_l3mdev_accept",
        "udp_l3mdev_accept", "raw_l3mdev_accept"])]
    pub emulate: bool,
    /// Do not put 127.0.0.1/8 and ::1/128 on it
    #[arg(long)]
    pub no_loopback: bool,
    /// How to stop packets that its table has no route for
    #[arg(long, value_enum, default_value = "route", value_name = "HOW")]
    pub unreachable: Unreachable,
    /// Settings to make with it
    #[command(flatten)]
    pub sysctls: Sysctls,
    /// How to change
    #[command(flatten)]
    pub change: Change,
}

/// Settings of the network namespace that concern all its VRFs.
#[derive(Debug, Args)]
pub struct Sysctls {
    /// Refuse two VRFs with one table (5.9)
    #[arg(long, value_name = "on|off")]
    pub strict_mode: Option<Switch>,
    /// Let unbound TCP listeners take connections from every VRF
    #[arg(long, value_name = "on|off")]
    pub tcp_l3mdev_accept: Option<Switch>,
    /// Let unbound UDP sockets receive from every VRF
    #[arg(long, value_name = "on|off")]
    pub udp_l3mdev_accept: Option<Switch>,
    /// Let unbound raw sockets receive from every VRF (5.0)
    #[arg(long, value_name = "on|off")]
    pub raw_l3mdev_accept: Option<Switch>,
}

/// A setting's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Switch {
    /// 1.
    On,
    /// 0.
    Off,
}

impl Sysctls {
    /// The settings that were asked for: the file below /proc/sys, and the value.
    pub fn wanted(&self) -> Vec<(&'static str, &'static str)> {
        let all = [
            ("net/vrf/strict_mode", self.strict_mode),
            ("net/ipv4/tcp_l3mdev_accept", self.tcp_l3mdev_accept),
            ("net/ipv4/udp_l3mdev_accept", self.udp_l3mdev_accept),
            ("net/ipv4/raw_l3mdev_accept", self.raw_l3mdev_accept),
        ];
        let value = |switch| if switch == Switch::On { "1" } else { "0" };
        all.into_iter().filter_map(|(key, switch)| Some((key, value(switch?)))).collect()
    }
}

/// `vrfsetup rules`.
#[derive(Debug, Subcommand)]
pub enum Rules {
    /// What they are and what they should be; exit status 3 if that differs
    Check {
        #[command(flatten)]
        policy: RulesPolicy,
    },
    /// Make them what they should be
    Fix {
        #[command(flatten)]
        policy: RulesPolicy,
        #[command(flatten)]
        change: Change,
    },
    /// Undo what fix did: the rules that the kernel makes
    Undo {
        #[command(flatten)]
        change: Change,
    },
}

/// `vrfsetup zones`.
#[derive(Debug, Subcommand)]
pub enum Zones {
    /// Switch them on, or put them right
    On(ZonesChange),
    /// Switch them off
    Off(ZonesChange),
    /// Show which zone each VRF and its ports are in
    Show,
}

/// How zones are switched.
#[derive(Debug, Args)]
pub struct ZonesChange {
    /// Only say what would be done; exit status 3 if anything would
    #[arg(long)]
    pub dry_run: bool,
    /// How to change
    #[command(flatten)]
    pub change: Change,
}

/// What the rules should be.
#[derive(Clone, Copy, Debug, Args)]
pub struct RulesPolicy {
    /// How packets that a VRF's table has no route for are stopped: by one rule, by a route in each table, or not
    #[arg(long, value_enum, default_value = "rule", value_name = "HOW")]
    pub unreachable: Unreachable,
    /// Rules for each VRF by its name as well, as kernels before 4.8 need them
    #[arg(long)]
    pub legacy: bool,
}

impl RulesPolicy {
    /// The same for the library.
    pub fn wanted(self) -> Policy {
        Policy { unreachable: self.unreachable, is_legacy: self.legacy }
    }
}

/// What every changing verb takes.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct Change {
    /// Go on where a connection would break
    #[arg(long)]
    pub force: bool,
    /// Go on where another program's rule would catch local packets
    #[arg(long)]
    pub force_rules: bool,
    /// Undo everything unless `vrfsetup confirm` comes within this time
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub confirm: Option<u64>,
    /// Show how far it is: on a terminal when it takes over a second (auto), always, or never
    #[arg(long, value_enum, value_name = "WHEN", default_value = "auto")]
    pub progress: When,
}

fn table(text: &str) -> Result<u32, String> {
    let table = text.parse().map_err(|_| "not a table number".to_owned())?;
    if crate::plan::tables::is_usable(table) { Ok(table) } else { Err("the kernel's own table".to_owned()) }
}
