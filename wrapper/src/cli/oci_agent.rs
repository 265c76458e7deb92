//! `vrfrun oci-agent`: a command of vrfrun in the place of VRF, with options of its own. Behind `--` it is a VRF's name.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{CommandFactory, Parser};

use crate::options::{OciAgent, Options, Task};

/// The word.
pub const OCI_AGENT: &str = "oci-agent";

/// Bind the sockets of containers that share the host's network, or print the seccomp profile that hands them over.
#[derive(Parser, Debug)]
#[command(name = "oci-agent", bin_name = "vrfrun oci-agent", max_term_width = 100)]
struct Cli {
    /// Listen here instead of $XDG_RUNTIME_DIR/vrfrun/oci-agent.sock (root: /run/vrfrun/oci-agent.sock); with --profile,
    /// what it names
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,

    /// The annotation may name any interface
    #[arg(long)]
    interface: bool,

    /// Print a profile for containers and end: this one, or podman's own, with inet sockets handed to the agent
    #[arg(long, value_name = "BASE", num_args = 0..=1)]
    profile: Option<Option<PathBuf>>,
}

/// Reads the words from `oci-agent` on.
pub fn parse(words: &[OsString]) -> Result<Options, clap::Error> {
    let cli = Cli::try_parse_from(words)?;
    let task = match cli.profile {
        Some(base) => OciAgent::Profile { base, socket: cli.socket },
        None => OciAgent::Serve { socket: cli.socket },
    };
    Ok(Options { any_interface: cli.interface, ..Options::only(Task::OciAgent(task)) })
}

/// The definition itself, for the test that compares it with the pages.
pub fn definition() -> clap::Command {
    Cli::command()
}
