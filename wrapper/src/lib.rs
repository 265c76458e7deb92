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
mod etc;
mod exec;
mod explain;
mod fallthrough;
mod filter;
#[cfg(test)]
mod hostile;
mod inherit;
mod kernel;
mod mechanism;
mod netlink;
mod netns;
mod notify;
mod options;
mod proof;
mod refusal;
mod resolver;
mod seccomp;
mod shim;
mod strict;
mod strict_ports;
mod strict_programs;
mod supervisor;
mod throwaway;
mod uring;
mod user;

use std::ffi::OsString;

pub use cli::definition;

use device::Device;
use environment::Environment;
use error::Error;
use inherit::Inherited;
use mechanism::Engaged;
use netlink::Netlink;
use options::{Options, Task};
use user::Account;

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

/// Looks at everything that can be refused before it changes anything; what is shared with others is changed last.
fn prepare(options: &Options, program: &exec::Program) -> Result<Environment, Error> {
    if let Some(name) = &options.netns {
        netns::enter(name)?;
    }
    let account = options.user.as_ref().map(|name| user::look_up(name)).transpose()?;
    let mut netlink = Netlink::open()?;
    let Some(device) = Device::resolve(&mut netlink, options)? else {
        return finish(mechanism::leave()?, options, account);
    };
    fallthrough::check(netlink, &device, options.strict)?;
    let etc = etc::plan(&device.name, &options.etc)?;
    resolver::check(&etc, options);
    let inherited = if options.keep_fds { Inherited::default() } else { inherit::look(&device)? };
    let engaged = mechanism::engage(&device, options, program, account.as_ref())?;
    etc.apply()?;
    inherited.bind(&device)?;
    finish(engaged, options, account)
}

fn finish(engaged: Engaged, options: &Options, account: Option<Account>) -> Result<Environment, Error> {
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
