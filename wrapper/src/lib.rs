//! Runs a program inside a VRF: chooses a mechanism, proves it, and becomes the program.
//!
//! Not a public API: the contract is the command line, see `vrfrun(1)`.

mod bpf;
mod capability;
mod cgroup;
mod cli;
mod device;
mod elf;
mod environment;
mod error;
mod exec;
mod explain;
mod fallthrough;
mod filter;
mod kernel;
mod mechanism;
mod netlink;
mod netns;
mod notify;
mod options;
mod proof;
mod refusal;
mod seccomp;
mod shim;
mod supervisor;
mod throwaway;
mod user;

use std::ffi::OsString;

pub use cli::definition;

use device::Device;
use error::Error;
use options::{Options, Task};

/// Runs with these arguments (the first is the program's own name). Returns the exit status if no program was started.
pub fn run(args: impl Iterator<Item = OsString>) -> i32 {
    kernel::occupy_closed_stdio();
    let outcome = match cli::parse(args) {
        Ok(options) => go(&options),
        Err(answer) => return answer.print(),
    };
    match outcome {
        Ok(status) => status,
        Err(error) => error.report(),
    }
}

fn go(options: &Options) -> Result<i32, Error> {
    match &options.task {
        Task::Explain { json } => explain::explain(options, *json),
        Task::Run(command) => {
            let program = exec::find(command.program())?;
            Err(start(options, &program, command))
        }
    }
}

/// Binds this process and becomes the program; returns only if that failed.
fn start(options: &Options, program: &exec::Program, command: &options::Command) -> Error {
    prepare(options, program)
        .map_or_else(|error| error, |environment| exec::replace_process(program, command, &environment))
}

fn prepare(options: &Options, program: &exec::Program) -> Result<environment::Environment, Error> {
    if let Some(name) = &options.netns {
        netns::enter(name)?;
    }
    let account = options.user.as_ref().map(|name| user::look_up(name)).transpose()?;
    let engaged = match Device::resolve(options)? {
        None => mechanism::leave()?,
        Some(device) => {
            fallthrough::check(&device, options.strict)?;
            mechanism::engage(&device, options, program, account.as_ref())?
        }
    };
    if options.verbose {
        error::note(&engaged.summary);
    }
    let mut environment = engaged.environment;
    if let Some(account) = account {
        account.assume()?;
        environment.extend(account.environment());
    }
    Ok(environment)
}
