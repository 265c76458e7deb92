//! Runs a program inside a VRF: chooses a mechanism, verifies it, and becomes the program.
//!
//! Holds the order of the work, and nothing that decides. The rooms, from top to bottom: `agent`, `explain`, `each`, `bind`,
//! `program`, `cli`, `etc`, `vrf`, `error`, `options`, `sys`; each uses only what is below it.
//!
//! Not a public API: the contract is the command line, see `vrfrun(1)`.

#![deny(unsafe_code)]

mod agent;
mod bind;
mod cli;
mod each;
mod error;
mod etc;
mod explain;
mod options;
mod program;
#[cfg(test)]
mod proptests;
#[allow(unsafe_code)]
mod sys;
mod vrf;

use std::ffi::OsString;

pub use cli::{definition, oci_agent};
pub use error::EXIT_OWN;
pub use sys::arena::Arena;

use bind::binding::{Binding, Request};
use error::{Error, panic};
use etc::overlay;
use options::{Options, Task};
use program::environment::Environment;
use program::exec;
use program::inherited_fds::{self, Bound, Inherited};
use program::user::{self, Account};
use sys::{kernel, process};
use vrf::device::Device;
use vrf::netlink::Netlink;
use vrf::{netns, seal};

/// Runs with these arguments (the first is the program's own name). Returns the exit status if no program was started.
pub fn run(args: impl Iterator<Item = OsString>) -> i32 {
    panic::report_as_failure(process::exit);
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
        Task::Each(each) => {
            let program = exec::find(each.command.program())?;
            each::each(options, each, |options| start(options, &program, &each.command).report())
        }
        Task::OciAgent(task) => agent::run(options, task),
        Task::LoginEtc => {
            let device =
                Device::resolve(&mut Netlink::open()?, options)?.ok_or_else(|| Error::login("'default' has none"))?;
            overlay::plan(Some(&device), &options.etc)?.apply_to_login(&device).map(|()| 0)
        }
    }
}

/// Binds this process and becomes the program; returns only if that failed.
fn start(options: &Options, program: &exec::Program, command: &options::Command) -> Error {
    match prepare(options, program) {
        Err(error) => error,
        Ok(Prepared { environment, bound }) => {
            let error = exec::replace_process(program, command, &environment);
            bound.undo();
            error
        }
    }
}

/// What the program gets, and what must be undone if it does not start.
struct Prepared {
    environment: Environment,
    bound: Bound,
}

/// Looks at everything that can be refused before it changes anything; what is shared with others is changed last.
fn prepare(options: &Options, program: &exec::Program) -> Result<Prepared, Error> {
    if let Some(name) = &options.netns {
        netns::enter(name)?;
    }
    let account = options.user.as_ref().map(|name| user::look_up(name)).transpose()?;
    let mut netlink = Netlink::open()?;
    let device = Device::resolve(&mut netlink, options)?;
    let mut etc = overlay::plan(device.as_ref(), &options.etc)?;
    let Some(device) = device else {
        let binding = bind::trace(bind::leave::leave()?, options, None)?;
        etc.apply(None, Some(&program.path))?;
        let environment = finish(binding, options, account)?;
        if options.user.is_some() {
            // Root's sockets were asked before; a user's may be in a VRF by `vrfsetup user`.
            bind::leave::check()?;
        }
        return Ok(Prepared { environment, bound: Bound::default() });
    };
    seal::check(netlink, &device, options.strict)?;
    bind::check_user(account.as_ref(), options, &device)?;
    let inherited = look_at_inherited(options, program, &device)?;
    let request = Request { device: &device, options, program: Some(program) };
    let binding = bind::bind(&request)?;
    etc.apply(Some(&device), Some(&program.path))?;
    etc.say_names(&device, options.verbose);
    let bound = inherited.bind(&device)?;
    match finish(binding, options, account) {
        Ok(environment) => Ok(Prepared { environment, bound }),
        Err(error) => {
            bound.undo();
            Err(error)
        }
    }
}

/// Others see it when an inherited socket is bound: what would keep the program from starting is looked for before.
fn look_at_inherited(options: &Options, program: &exec::Program, device: &Device) -> Result<Inherited, Error> {
    if options.keep_fds {
        return Ok(Inherited::default());
    }
    let inherited = inherited_fds::look(device, options.strict)?;
    if !inherited.is_empty() {
        exec::check_interpreters(program)?;
    }
    Ok(inherited)
}

fn finish(binding: Binding, options: &Options, account: Option<Account>) -> Result<Environment, Error> {
    if options.verbose {
        error::note(&binding);
    }
    if let Some(account) = &account {
        let device = binding.device.as_deref().unwrap_or_default();
        let shim = bind::shim_alone(binding.by, &binding.guard, device)?;
        account.assume()?;
        shim.map_or(Ok(()), |shim| bind::check_shim(&shim, device))?;
    }
    let mut environment = binding.environment;
    if let Some(account) = account {
        environment.extend(account.environment());
    }
    Ok(environment)
}
