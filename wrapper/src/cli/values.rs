//! What an option's value can be, as it is typed.

use clap::ValueEnum;

use crate::options::TraceFormat;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum MechanismArg {
    /// bpf where it can be had, else preload, else seccomp
    #[default]
    Auto,
    /// A cgroup and a BPF program: root, covers everything
    Bpf,
    /// The shim in each process, a seccomp filter behind it: anyone from Linux 5.7
    Preload,
    /// A seccomp supervisor alone: anyone from Linux 5.9
    Seccomp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TraceArg {
    /// For people
    Text,
    /// A JSON object in a line
    Json,
}

impl From<TraceArg> for TraceFormat {
    fn from(format: TraceArg) -> Self {
        match format {
            TraceArg::Text => Self::Text,
            TraceArg::Json => Self::Json,
        }
    }
}
