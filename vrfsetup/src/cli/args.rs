//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::change::rules::Policy;
use crate::inspect::export::Format;
use crate::model::name;
use crate::plan::rules::Unreachable;
use crate::transaction::progress::When;

/// Set up, inspect, fix and undo VRFs.
#[derive(Debug, Parser)]
#[command(name = "vrfsetup", version, max_term_width = 100)]
pub struct Cli {
    /// Work in this network namespace: a name of `ip netns`, or a path
    #[arg(short, long, global = true, value_name = "NETNS")]
    pub netns: Option<String>,
    /// Print JSON
    #[arg(short, long, global = true)]
    pub json: bool,
    /// Print JSON over several lines
    #[arg(short, long, global = true)]
    pub pretty: bool,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// The verbs. Those that begin with two underscores are how the program calls itself (see `confirm`).
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Create a VRF: up, sealed, with its own loopback addresses and ports
    Add(Add),
    /// Delete a VRF; its ports stay
    #[command(visible_alias = "delete")]
    Del {
        /// The VRF
        #[arg(value_name = "VRF", value_parser = name::device)]
        name: String,
        #[command(flatten)]
        change: Change,
    },
    /// Make interfaces ports of a VRF; their addresses and routes come along
    Attach {
        /// The VRF
        #[arg(value_name = "VRF", value_parser = name::device)]
        name: String,
        /// The interfaces
        #[arg(required = true, value_name = "IF", value_parser = name::device)]
        ports: Vec<String>,
        #[command(flatten)]
        change: Change,
    },
    /// Take interfaces out of their VRFs; their addresses and routes come along
    Detach {
        /// The interfaces
        #[arg(required = true, value_name = "IF", value_parser = name::device)]
        ports: Vec<String>,
        #[command(flatten)]
        change: Change,
    },
    /// Make what a file declares: VRFs, ports, addresses, routes, leaks, settings, rules
    Apply {
        /// The file (vrf.toml(5))
        file: PathBuf,
        /// Only say what would be done; exit status 3 if anything would
        #[arg(long)]
        dry_run: bool,
        /// Remove VRFs, ports, addresses and routes that an export would write and the file does not declare
        #[arg(long, conflicts_with_all = ["each", "no_ports", "port"])]
        prune: bool,
        /// Leave out what cannot be made, and name it: exit status 1, or 3 if only ports are missing
        #[arg(long, conflicts_with_all = ["dry_run", "confirm"])]
        each: bool,
        /// For units at boot: --each with --force, and no change that 'vrfsetup rollback' undoes
        #[arg(long, conflicts_with_all = ["dry_run", "confirm", "prune", "each"])]
        boot: bool,
        /// Leave out ports, and what needs them
        #[arg(long, conflicts_with = "port")]
        no_ports: bool,
        /// Only the VRF that declares this port
        #[arg(long, value_name = "IF", value_parser = name::device)]
        port: Option<String>,
        #[command(flatten)]
        change: Change,
    },
    /// Write what is there as files that make it again
    Export {
        /// For whom
        #[arg(long, value_enum, default_value = "toml")]
        format: Format,
        /// Write the files into this directory [default: print them, each below its path]
        #[arg(long, value_name = "DIRECTORY")]
        directory: Option<PathBuf>,
    },
    /// Make prefixes of one routing domain reachable from another
    Leak {
        /// A VRF, or 'default'
        a: String,
        /// Another
        b: String,
        /// A destination; whichever domain has a route to it shares it
        #[arg(required = true, value_name = "PREFIX", value_parser = crate::model::syntax::destination)]
        prefixes: Vec<crate::model::prefix::Prefix>,
        /// Make them unreachable again
        #[arg(long)]
        remove: bool,
        #[command(flatten)]
        change: Change,
    },
    /// Put systemd's services or sockets into a VRF, by drop-ins
    Unit {
        /// The VRF
        #[arg(value_name = "VRF", value_parser = name::device)]
        name: String,
        /// The services
        #[arg(required = true, value_name = "SERVICE")]
        services: Vec<String>,
        /// Only show the files; exit status 3 if any would be written
        #[arg(long)]
        dry_run: bool,
        /// Take them out again
        #[arg(long, conflicts_with = "dry_run")]
        remove: bool,
        #[command(flatten)]
        change: Change,
    },
    /// Put the login that PAM opens into a VRF, or deny it: for pam_exec.so behind pam_systemd.so
    Session {
        /// The VRF
        #[arg(value_name = "VRF", value_parser = name::device)]
        name: String,
    },
    /// Put a container into the VRF that its annotation io.vrfrun.vrf names: for OCI runtimes, at createRuntime
    OciHook,
    /// Move processes that run already into a VRF or out of it, with their listeners; exit status 3 if something stays
    Move {
        /// The VRF, or 'default'
        #[arg(value_name = "VRF", value_parser = name::device)]
        name: String,
        /// The processes, with all their descendants
        #[arg(value_name = "PID", required_unless_present = "unit", value_parser = clap::value_parser!(u32).range(1..))]
        pids: Vec<u32>,
        /// All processes of this unit of systemd's
        #[arg(long, value_name = "SERVICE")]
        unit: Option<String>,
        /// Only say what would be done; exit status 3 if anything would
        #[arg(long)]
        dry_run: bool,
        /// Close connections, which cannot move
        #[arg(long)]
        close_connections: bool,
    },
    /// Put all sockets of a user into a VRF, or list the users that are in one
    User {
        /// The user, by name or number
        #[arg(value_name = "USER")]
        user: Option<String>,
        /// The VRF
        #[arg(value_name = "VRF", value_parser = name::device)]
        name: Option<String>,
        /// Take the user out again
        #[arg(long, requires = "user", conflicts_with = "name")]
        remove: bool,
        /// Follow VRFs that others have made again, and attach programs that others have detached
        #[arg(long, conflicts_with_all = ["user", "name", "remove"])]
        refresh: bool,
        #[command(flatten)]
        change: Change,
    },
    /// Show what VRFs need, in a network namespace of its own of which nothing stays
    Demo {
        /// Wait for Enter between the steps
        #[arg(long)]
        pause: bool,
    },
    /// Keep a change that was made with --confirm
    Confirm,
    /// Undo the last change at once, whether it is complete, waits for its confirmation or was not finished
    Rollback {
        /// Go on where a connection would break
        #[arg(long)]
        force: bool,
    },
    #[command(name = "__detach", hide = true)]
    DetachRollback { journal: PathBuf, seconds: u64 },
    #[command(name = "__verify-bound", hide = true)]
    VerifyBound { name: String },
    #[command(name = "__pin", hide = true)]
    Pin { name: String },
    #[command(name = "__demo-peer", hide = true)]
    DemoPeer { name: String },
    #[command(name = "__roll-back", hide = true)]
    RollBack { journal: PathBuf, seconds: u64 },
    /// Check, fix or undo the routing rules that VRFs need
    Rules {
        /// What to do with them
        #[command(subcommand)]
        command: Rules,
    },
    /// Give the flows of each VRF a conntrack zone of their own
    Zones {
        /// What to do with them
        #[command(subcommand)]
        command: Zones,
    },
    /// Show VRFs with tables, ports, addresses and routes
    Show {
        /// Only this one
        #[arg(value_name = "VRF", value_parser = name::device)]
        name: Option<String>,
        /// Also the sockets of their processes, and which are outside the VRF
        #[arg(long)]
        sockets: bool,
    },
    /// Tell changes of VRFs, ports, seals and rules as they happen
    Watch {
        /// First tell what is there, as if it had just come
        #[arg(long)]
        initial: bool,
    },
    /// Find what is wrong, and what fixes it; exit status 3 if something is
    Doctor,
    /// Print numbers for Prometheus: VRFs, ports, seals, rules, processes, sockets, findings
    Metrics,
    /// List the processes in a VRF
    Pids {
        /// The VRF
        #[arg(value_name = "VRF", value_parser = name::device)]
        name: String,
    },
    /// Say which VRF a process is in; an empty line if in none
    Identify {
        /// The process [default: the one that asks]
        pid: Option<u32>,
    },
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn global_options_go_anywhere() {
        for line in [["vrfsetup", "-j", "-n", "x", "show"], ["vrfsetup", "show", "-n", "x", "-j"]] {
            let cli = Cli::try_parse_from(line).unwrap();
            assert_eq!((cli.json, cli.netns.as_deref()), (true, Some("x")));
        }
    }
}
