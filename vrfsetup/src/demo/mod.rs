//! `vrfsetup demo`: two networks with the same addresses, and what goes wrong between them until the rules are fixed.
//! Told step by step with the commands, in a network namespace of its own, of which nothing is left behind.
//!
//! May use `sys`, `model` and `error`; the commands that it shows are run as processes. Leaves the host alone: all that
//! it does there is to try whether the kernel can make a VRF, which it deletes at once.
#![forbid(unsafe_code)]

mod peer;
mod probe;
mod sandbox;

use std::io::{self, BufRead, Write};
use std::process::ExitCode;

use crate::error::{DIFFERS, Error};
use crate::sys::netlink::Kernel;

pub use peer::serve;
use probe::Probe;
use sandbox::Sandbox;

/// Something that is shown.
enum Scene {
    /// A sentence.
    Say(&'static str),
    /// A command that is run, and succeeds.
    Run(&'static str),
    /// A command that is run, and finds differences.
    Find(&'static str),
    /// A probe, and what must come of it.
    Try(Probe, Answer),
}

/// What must come of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// This network's server, or the machine itself.
    From(&'static str),
    None,
}

use Answer::{From, None as Nobody};
use Scene::{Find, Run, Say, Try};

const STORY: &[Scene] = &[
    Say("This machine has two networks, which use the same addresses and know nothing of each other."),
    Run("ip addr add 198.51.100.2/24 dev eth0"),
    Run("ip addr add 203.0.113.9/32 dev eth0"),
    Run("ip link set eth0 up"),
    Run("ip route add default via 198.51.100.1 dev eth0"),
    Say("The second one becomes VRF 'blue', as 'ip link' makes it: not sealed."),
    Run("vrfsetup add blue --table 10 --port blue0 --unreachable none"),
    Run("ip addr add 198.51.100.2/24 dev blue0"),
    Run("ip link set blue0 up"),
    Run("ip route add 192.0.2.0/24 via 198.51.100.1 dev blue0 table 10"),
    Run("ip route add 203.0.113.0/24 via 198.51.100.1 dev blue0 table 10"),
    Say("One address, two networks, two answers."),
    Try(Probe::fetch("192.0.2.80"), From("default")),
    Try(Probe::fetch("192.0.2.80").within("blue"), From("blue")),
    Say("Before the rules are fixed: a VRF cannot reach itself by 127.0.0.1 …"),
    Try(Probe::ping("127.0.0.1").within("blue"), Nobody),
    Say("… nor blue's host 203.0.113.9, because that is the machine's own address in the other network …"),
    Try(Probe::fetch("203.0.113.9").within("blue"), Nobody),
    Say("… and what blue has no route to leaves by the other network. This is the leak."),
    Try(Probe::send("198.18.0.1").within("blue"), From("default")),
    Say("What vrfsetup has to say about it:"),
    Find("vrfsetup rules check"),
    Run("vrfsetup rules fix"),
    Say("After: the same three."),
    Try(Probe::ping("127.0.0.1").within("blue"), From("this machine")),
    Try(Probe::fetch("203.0.113.9").within("blue"), From("blue")),
    Try(Probe::send("198.18.0.1").within("blue"), Nobody),
    Say("And nothing has changed outside the VRF."),
    Try(Probe::ping("127.0.0.1"), From("this machine")),
    Try(Probe::fetch("192.0.2.80"), From("default")),
    Say("All of it can be undone."),
    Run("vrfsetup rules undo"),
    Run("vrfsetup del blue"),
];

/// Tells the story. Fails if anything in it comes out otherwise than told.
///
/// # Errors
/// The sandbox cannot be built: not root, or a kernel without VRFs.
pub fn tell(pauses: bool) -> Result<ExitCode, Error> {
    let sandbox = Sandbox::build().map_err(Error::unreadable("a new network namespace"))?;
    let mut surprises = 0;
    for scene in STORY {
        match scene {
            Say(sentence) => {
                if pauses {
                    pause();
                }
                say(&format!("\n{sentence}\n"));
            }
            Run(command) => surprises += usize::from(!ran(&sandbox, command, 0)),
            Find(command) => surprises += usize::from(!ran(&sandbox, command, DIFFERS)),
            Try(probe, expected) => surprises += usize::from(!shown(&sandbox, probe, *expected)),
        }
    }
    let all = STORY.iter().filter(|scene| matches!(scene, Try(..))).count();
    say(&format!("\n{all} probes, {surprises} surprises; nothing is left behind.\n"));
    Ok(if surprises == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Whether this kernel has VRFs, which the story needs.
///
/// # Errors
/// It has none, or we may not.
pub fn can_be_told(kernel: &Kernel) -> Result<(), Error> {
    sandbox::try_vrf(kernel)
}

/// Whether the command ends with this exit status.
fn ran(sandbox: &Sandbox, command: &str, expected: u8) -> bool {
    say(&format!("$ {command}\n"));
    let (status, output) = sandbox.run(command);
    say(&indented(&output));
    status == Some(i32::from(expected))
}

fn shown(sandbox: &Sandbox, probe: &Probe, expected: Answer) -> bool {
    let answer = probe.ask(|| sandbox.arrival());
    let is_expected = match (&answer, expected) {
        (Some(name), From(expected)) => name == expected,
        (None, Nobody) => true,
        _ => false,
    };
    let (yes, no) = probe.outcomes();
    let said = answer.map_or(no.to_owned(), |name| format!("{yes} {name}"));
    let surprise = if is_expected { "" } else { "   <- not as told" };
    say(&format!("$ {:<52}{said}{surprise}\n", probe.to_string()));
    is_expected
}

fn indented(output: &str) -> String {
    output.lines().map(|line| format!("    {line}\n")).collect()
}

fn pause() {
    say("\n[Enter] ");
    let _ = io::stdin().lock().read_line(&mut String::new());
}

fn say(text: &str) {
    let mut stdout = io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}
