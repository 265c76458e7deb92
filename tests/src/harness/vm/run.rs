//! A machine from the first byte to the verdict: what a kernel's test on the host does.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::image::{Images, Root, top};
use super::machine::{Console, Failure, Machine};
use super::plan::{FILES, Plan, ROLLBACK};
use super::report::{Event, Shortfall};
use crate::harness::kernels::{Arch, Kernel, System};

/// The runner ends a test after this time, and says so: only one that hangs, on however busy a host.
pub const TEST_LIMIT: Duration = Duration::from_secs(1000);
/// The same under a systemd, which in an emulated machine takes its time to read all its units.
pub const SYSTEMD_TEST_LIMIT: Duration = Duration::from_secs(1500);
/// A machine that says nothing for this long has hung: a test, and what is waited for when it is over.
const SILENCE: Duration = Duration::from_secs(SYSTEMD_TEST_LIMIT.as_secs() + 720);

/// Boots `kernel` and runs there each of the `expected` guest tests whose name contains one of `filters` (all, if
/// there are none). Prints a line for each.
///
/// # Errors
/// What went wrong, for people, when a test failed or one that had to run did not.
pub fn tests(
    kernel: &Kernel,
    runner: &Runner,
    expected: impl Iterator<Item = String>,
    filters: &[String],
) -> Result<(), String> {
    all_of(&kernel.name, kernel, runner, expected, filters)
}

/// The same on a machine that its own systemd boots, with the tests that want that.
///
/// # Errors
/// As [`tests`].
pub fn tests_under(
    system: &System,
    runner: &Runner,
    expected: impl Iterator<Item = String>,
    filters: &[String],
) -> Result<(), String> {
    all_of(&system.name, &system.kernel(), &runner.clone().under(system), expected, filters)
}

fn all_of(
    machine: &str,
    kernel: &Kernel,
    runner: &Runner,
    expected: impl Iterator<Item = String>,
    filters: &[String],
) -> Result<(), String> {
    let is_wanted = |name: &String| filters.is_empty() || filters.iter().any(|filter| name.contains(filter.as_str()));
    let names: Vec<String> = expected.filter(is_wanted).collect();
    if names.is_empty() {
        return Err(format!("no guest test has a name with {filters:?} in it"));
    }
    let mut events = Vec::new();
    let ended = drive(kernel, runner, &Plan::Tests(names.clone()), SILENCE, |event| {
        show(event);
        events.push(event.clone());
    });
    let shortfall = Shortfall::of(&events, &names);
    println!(
        "{machine}: {}: {} tests, {} failed, {} did not run",
        ran_on(&events),
        names.len(),
        shortfall.failed.len(),
        shortfall.missing.len()
    );
    match ended {
        Err(failure) => Err(format!("{failure}\n{}", again(machine, &events, &shortfall))),
        Ok(()) if shortfall.is_none() => Ok(()),
        Ok(()) => Err(again(machine, &events, &shortfall)),
    }
}

/// The kernel and the packages that move, in the words of each.
fn ran_on(events: &[Event]) -> String {
    let ready = events.iter().find_map(|event| match event {
        Event::Ready { release, versions } => Some(format!("Linux {release}, {}", versions.join(", "))),
        _ => None,
    });
    ready.unwrap_or_else(|| "did not boot".to_owned())
}

/// Each test that failed, with the end of what it wrote, or did not run, by the command that runs it again.
fn again(machine: &str, events: &[Event], shortfall: &Shortfall) -> String {
    let line = |what: &str, name: &String| format!("{machine}: {name} {what}; again: tools/vm {machine} '{name}'");
    let failed = shortfall.failed.iter().map(|name| format!("{}\n{}", line("failed", name), last_words(events, name)));
    // The last, which `make test` shows, are those that failed; after the death of a machine most have not run.
    let missing = shortfall.missing.iter().map(|name| line("did not run", name)).take(3);
    let more = shortfall.missing.len().saturating_sub(3);
    let more = (more > 0).then(|| format!("{machine}: {more} more did not run"));
    missing.chain(more).chain(failed).collect::<Vec<_>>().join("\n")
}

/// The last lines that a failed test wrote.
fn last_words(events: &[Event], test: &str) -> String {
    let output = events.iter().find_map(|event| match event {
        Event::Test { name, output, .. } if name == test => Some(output.as_str()),
        _ => None,
    });
    let lines: Vec<&str> = output.unwrap_or_default().lines().collect();
    lines[lines.len().saturating_sub(12)..].iter().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}

/// Boots `kernel` with any other plan and shows what it says.
///
/// # Errors
/// As [`tests`].
pub fn plan(kernel: &Kernel, runner: &Runner, plan: &Plan) -> Result<(), String> {
    if matches!(plan, Plan::Shell) {
        let images = images(kernel, runner, plan)?;
        let mut machine = Machine::boot(&images, Console::Terminal).map_err(|failure| failure.to_string())?;
        return machine.wait().map_err(|error| error.to_string());
    }
    let mut failed = false;
    drive(kernel, runner, plan, SILENCE, |event| {
        show(event);
        failed |= matches!(event, Event::Test { passed: false, .. });
    })?;
    if failed { Err(format!("{}: failed", kernel.name)) } else { Ok(()) }
}

/// The programs that go into a guest.
#[derive(Clone, Debug)]
pub struct Runner {
    programs: Vec<PathBuf>,
    root: Root,
    arguments: String,
    /// Where the kernel does not say it.
    processors: Option<u32>,
}

impl Runner {
    /// `guest` and `peer` are this crate's own programs, as cargo built them for the caller; the
    /// project's are those of the release profile, which is what people install.
    pub fn new(guest: &Path, peer: &Path) -> Result<Self, String> {
        let mut programs = vec![guest.to_owned(), peer.to_owned()];
        programs.extend(crate::harness::programs::build().map_err(|error| error.to_string())?);
        programs.extend(crate::harness::programs::products()?);
        Ok(Self { programs, root: Root::Usual, arguments: String::new(), processors: None })
    }

    /// The same for a machine of another architecture, built here.
    ///
    /// # Errors
    /// When something cannot be built.
    pub fn foreign(arch: Arch) -> Result<Self, String> {
        let programs = crate::harness::foreign::build(arch).map_err(|error| error.to_string())?;
        Ok(Self { programs, root: Root::Foreign(arch), arguments: String::new(), processors: None })
    }

    /// What the demonstration needs: the products and this crate's own programs.
    ///
    /// # Errors
    /// When a product is not built.
    pub fn demo(guest: &Path, peer: &Path) -> Result<Self, String> {
        let mut programs = vec![guest.to_owned(), peer.to_owned()];
        programs.extend(crate::harness::programs::products()?);
        Ok(Self { programs, root: Root::Demo(guest.to_owned()), arguments: String::new(), processors: None })
    }

    /// With the packages of one more list in `tools/` in the root file system.
    pub fn with_packages(mut self, list: &'static str) -> Self {
        self.root = Root::With(list);
        self
    }

    /// With this systemd as the guest's process 1, and the units that the project installs.
    pub fn under(mut self, system: &System) -> Self {
        self.root = Root::Systemd(system.packages.clone(), system.suite.clone());
        self.arguments.clone_from(&system.arguments);
        self.processors = Some(system.processors);
        self.programs.extend(FILES.iter().chain([&ROLLBACK]).map(|file| top().join("dist").join(file)));
        self
    }

    /// Their paths.
    pub fn programs(&self) -> &[PathBuf] {
        &self.programs
    }
}

/// Boots, watches, and adds the console's log to a bad end. `silence` is the longest pause allowed.
///
/// # Errors
/// As [`tests`], for the machine as a whole; what the events say is the caller's to judge.
pub fn drive(
    kernel: &Kernel,
    runner: &Runner,
    plan: &Plan,
    silence: Duration,
    see: impl FnMut(&Event),
) -> Result<(), String> {
    let images = images(kernel, runner, plan)?;
    let watched = Machine::boot(&images, Console::Log).and_then(|mut machine| machine.watch(silence, see));
    watched.map_err(|failure: Failure| {
        let log = std::fs::read(&images.console).unwrap_or_default();
        format!("{}: {failure}; its console:\n{}", kernel.name, String::from_utf8_lossy(&log))
    })
}

fn images(kernel: &Kernel, runner: &Runner, plan: &Plan) -> Result<Images, String> {
    let mut images =
        Images::prepare(kernel, plan, &runner.programs, &runner.root).map_err(|error| error.to_string())?;
    images.arguments.clone_from(&runner.arguments);
    images.processors = runner.processors.unwrap_or(images.processors);
    Ok(images)
}

fn show(event: &Event) {
    match event {
        Event::Ready { release, versions } => println!("Linux {release}, {}", versions.join(", ")),
        Event::Test { name, passed: true, milliseconds, .. } => println!("pass {name} ({milliseconds} ms)"),
        Event::Test { name, milliseconds, output, .. } => println!("FAIL {name} ({milliseconds} ms)\n{output}"),
        Event::Say { text } => println!("{text}"),
        Event::Done => {}
    }
}
