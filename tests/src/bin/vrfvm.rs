//! A developer's way to a kernel: `vrfvm KERNEL [FILTER]…` runs its guest tests,
//! `vrfvm KERNEL --run PROGRAM…` something else, `vrfvm KERNEL --shell` opens a shell, and
//! `vrfvm --demo` shows the demonstration, here or in a machine; `vrfvm --demo --shell` opens a shell in that machine.

use std::path::Path;
use std::process::ExitCode;

use vrftests::harness::kernels;
use vrftests::harness::kernels::System;
use vrftests::harness::vm::plan::Plan;
use vrftests::harness::vm::run::{self, Runner};
use vrftests::{demo, guest};

const USAGE: &str = "usage: vrfvm KERNEL [FILTER]... | KERNEL --run PROGRAM... | KERNEL --shell | --demo [--shell]";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match session(&words) {
        Ok(code) => code,
        Err(message) => {
            eprintln!("vrfvm: {message}");
            ExitCode::FAILURE
        }
    }
}

fn session(words: &[String]) -> Result<ExitCode, String> {
    let (first, rest) = words.split_first().ok_or(USAGE)?;
    let name = match first.as_str() {
        "--demo" if rest.is_empty() && demo::can_run_here() => return Ok(demo::main()),
        "--demo" => demo::KERNEL,
        name => name,
    };
    let names = || {
        let systems = kernels::systems().into_iter().map(|system| system.name);
        kernels::all()
            .into_iter()
            .chain(kernels::nightly())
            .map(|kernel| kernel.name)
            .chain(systems)
            .collect::<Vec<_>>()
    };
    let system = kernels::system(name);
    let kernel = system.as_ref().map(System::kernel).or_else(|| kernels::named(name));
    let kernel = kernel.ok_or_else(|| format!("no kernel '{name}'; there are {:?}", names()))?;
    let runner = match kernel.arch.foreign_triple() {
        Some(_) => Runner::foreign(kernel.arch)?,
        None => runner(first == "--demo")?,
    };
    let plan = match rest.first().map(String::as_str) {
        Some("--shell") => Plan::Shell,
        _ if first == "--demo" => Plan::Demo,
        Some("--run") => Plan::Run(rest[1..].to_vec()),
        _ => {
            let tested = match &system {
                Some(system) => run::tests_under(system, &runner, guest::expected_under_systemd(system), rest),
                None if rest.is_empty() => run::tests(&kernel, &runner, guest::expected_on(&kernel), rest),
                None => run::tests(&kernel, &runner, guest::known_on(&kernel), rest),
            };
            return tested.map(|()| ExitCode::SUCCESS);
        }
    };
    let runner = system.iter().fold(runner, Runner::under);
    run::plan(&kernel, &runner, &plan).map(|()| ExitCode::SUCCESS)
}

/// The other programs of this crate lie beside this one.
fn runner(for_demo: bool) -> Result<Runner, String> {
    let this = std::env::current_exe().map_err(|error| error.to_string())?;
    let directory = this.parent().unwrap_or(Path::new("."));
    let make = if for_demo { Runner::demo } else { Runner::new };
    make(&directory.join("vrfguest"), &directory.join("vrfpeer"))
}
