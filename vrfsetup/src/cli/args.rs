//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

pub use crate::cli::groups::{Add, Change, Rules, Zones, ZonesChange};
use crate::inspect::export::Format;
use crate::model::name;

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
        /// Only the VRF that declares this port, or the tunnel of this name
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
        #[arg(value_name = "VRF", value_parser = name::device, required_unless_present = "etc")]
        name: Option<String>,
        /// Give it the files of its user's VRF instead (user --etc), or deny it: behind pam_namespace.so
        #[arg(long, conflicts_with = "name")]
        etc: bool,
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
        /// Leave those of its processes in the default domain whose group is 'vrf-default'
        #[arg(long, requires = "name")]
        allow_default: bool,
        /// Give its logins the files of /etc/vrf/VRF, where PAM has the lines for it
        #[arg(long, requires = "name")]
        etc: bool,
        /// Take the user out again
        #[arg(long, requires = "user", conflicts_with = "name")]
        remove: bool,
        /// Follow VRFs that others have made again, and attach programs that others have detached
        #[arg(long, conflicts_with_all = ["user", "name", "remove"])]
        refresh: bool,
        #[command(flatten)]
        change: Change,
    },
    /// Put the outside of a tunnel into a VRF, or list those that are in one
    Tunnel {
        /// The interface
        #[arg(value_name = "IF", value_parser = name::device)]
        name: Option<String>,
        /// The VRF, or 'default'
        #[arg(long = "in", value_name = "VRF", value_parser = name::device, requires = "name")]
        vrf: Option<String>,
        /// Put it back where it was
        #[arg(long, requires = "name", conflicts_with = "vrf")]
        remove: bool,
        /// Only say what would be done; exit status 3 if anything would
        #[arg(long, requires = "name")]
        dry_run: bool,
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
    VerifyBound {
        name: String,
        #[arg(long = "as")]
        uid: Option<u32>,
    },
    #[command(name = "__verify-etc", hide = true)]
    VerifyEtc { name: String },
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
