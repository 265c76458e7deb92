//! One virtual machine: QEMU's process, the report that comes out of it, and its end.
//!
//! TCG only. `/dev/kvm` may be there and broken, so it is never asked for; multi-threaded TCG and
//! `-cpu max` crash Debian's 6.12 under QEMU 7.2.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use nix::fcntl::OFlag;
use nix::unistd::pipe2;

use super::image::Images;
use super::report::Event;
use crate::harness::kernels::Arch;

/// From power-on to the runner's first line. Measured on an idle machine: 3 to 8 s.
const BOOT_LIMIT: Duration = Duration::from_secs(240);
/// The same where a systemd boots first: 25 to 35 s.
const SYSTEMD_BOOT_LIMIT: Duration = Duration::from_secs(480);

/// How the first serial port, the kernel's console, is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Console {
    /// Written into a file, shown when the machine ends badly.
    Log,
    /// The same, in a machine whose clock counts instructions and never waits: times that repeat.
    CountingLog,
    /// The developer's terminal, for a shell.
    Terminal,
}

/// Why a machine gave no complete report.
#[derive(Debug)]
pub enum Failure {
    /// QEMU could not be started.
    Start(io::Error),
    /// The runner never said that it was up.
    NoBoot,
    /// The machine ended (a panic, or QEMU was killed) before the runner was done.
    Died,
    /// The runner was silent for longer than any test may take.
    Hung,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Start(error) => write!(formatter, "could not start QEMU: {error}"),
            Self::NoBoot => formatter.write_str("could not boot in time"),
            Self::Died => write!(formatter, "the machine ended before its tests did"),
            Self::Hung => write!(formatter, "the machine was silent for too long"),
        }
    }
}

/// A running machine; ends with this value.
#[derive(Debug)]
pub struct Machine {
    qemu: Child,
    events: Receiver<Event>,
    boot_limit: Duration,
}

impl Machine {
    /// Powers a machine on.
    pub fn boot(images: &Images, console: Console) -> Result<Self, Failure> {
        let mut command = qemu(images, console);
        let (reader, writer) = pipe2(OFlag::O_CLOEXEC).map_err(|error| Failure::Start(error.into()))?;
        match console {
            Console::Log | Console::CountingLog => command.stdin(Stdio::null()).stdout(writer),
            // The report port is closed then; what matters is the terminal.
            Console::Terminal => &mut command,
        };
        let qemu = command.spawn().map_err(Failure::Start)?;
        // The command holds the pipe's writing end: only without it does the reader see QEMU's end.
        drop(command);
        let (sender, events) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(File::from(reader)).split(b'\n').map_while(Result::ok) {
                if Event::from_line(&line).is_some_and(|event| sender.send(event).is_err()) {
                    break;
                }
            }
        });
        let boot_limit = if images.has_systemd { SYSTEMD_BOOT_LIMIT } else { BOOT_LIMIT };
        Ok(Self { qemu, events, boot_limit })
    }

    /// Hands each event to `see` until the runner is done; `silence` is the longest pause allowed.
    pub fn watch(&mut self, silence: Duration, mut see: impl FnMut(&Event)) -> Result<(), Failure> {
        let mut booted = false;
        loop {
            let limit = if booted { silence } else { self.boot_limit };
            match self.events.recv_timeout(limit) {
                Ok(Event::Done) => return Ok(()),
                Ok(event) => {
                    booted = true;
                    see(&event);
                }
                Err(RecvTimeoutError::Timeout) if booted => return Err(Failure::Hung),
                Err(_) if !booted => return Err(Failure::NoBoot),
                Err(_) => return Err(Failure::Died),
            }
        }
    }

    /// Waits for the machine to power off by itself.
    pub fn wait(&mut self) -> io::Result<()> {
        self.qemu.wait().map(drop)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // An error here means that QEMU has ended already, which is what is wanted.
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}

/// QEMU with the machine that the kernel is for, and what its kernel must be told.
fn of_arch(arch: Arch) -> (Command, &'static str) {
    let (program, words, append) = match arch {
        // random.trust_cpu: 5.10 would otherwise let the first getrandom() wait for entropy.
        // syscall.x32: Debian's kernels have that table, but closed.
        Arch::X86 => {
            let words = ["-machine", "pc", "-cpu", "qemu64,+rdrand"];
            ("qemu-system-x86_64", words, "console=ttyS0 random.trust_cpu=on syscall.x32=y")
        }
        Arch::Aarch64 => ("qemu-system-aarch64", ["-machine", "virt", "-cpu", "cortex-a72"], "console=ttyAMA0"),
        Arch::Riscv64 => ("qemu-system-riscv64", ["-machine", "virt", "-cpu", "rv64"], "console=ttyS0"),
    };
    // Whoever ends this program by a signal ends the machine as well.
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", program]).args(words);
    (command, append)
}

fn qemu(images: &Images, console: Console) -> Command {
    let (mut command, append) = of_arch(images.arch);
    // The benches make thousands of interfaces.
    let memory = if console == Console::CountingLog { "3072" } else { "1024" };
    command
        .args(["-accel", "tcg,thread=single"])
        .args(["-smp", &images.processors.to_string()])
        .args(["-m", memory, "-nodefaults", "-no-user-config", "-display", "none"])
        .arg("-kernel")
        .arg(images.kernel.join("vmlinuz"))
        .arg("-initrd")
        .arg(images.kernel.join("initrd"))
        .arg("-append")
        .arg(format!(
            "{append} quiet loglevel=4 {} oops=panic net.ifnames=0{}{}{}",
            at_a_panic(images),
            addresses(images),
            arguments(images),
            cost(images.arch, console)
        ));
    if !images.may_reset {
        command.arg("-no-reboot");
    }
    for disk in [&images.rootfs, &images.kernel.join("modules.ext4"), &images.tested] {
        command.arg("-drive").arg(drive(disk));
    }
    if images.has_systemd {
        // Nothing is reached through it. With the ROM that is left out the machine could be booted from it.
        let device = "virtio-net-pci,netdev=cable,romfile=";
        command.args(["-netdev", "user,id=cable,restrict=on,ipv6=off", "-device", device]);
    }
    if console == Console::CountingLog {
        // One instruction is 2^2 ns.
        command.args(["-icount", "shift=2,sleep=off"]);
    }
    match console {
        Console::Log | Console::CountingLog => {
            let mut log = std::ffi::OsString::from("file:");
            log.push(&images.console);
            command.arg("-serial").arg(log);
            report_port(&mut command, images.arch, "stdio");
        }
        Console::Terminal => {
            command.args(["-serial", "mon:stdio"]);
            report_port(&mut command, images.arch, "null");
        }
    }
    command
}

/// Any reset ends QEMU, so a panic's, too. Where one boots the machine again, a panic leaves it silent.
fn at_a_panic(images: &Images) -> &'static str {
    if images.may_reset { "panic=0" } else { "panic=-1" }
}

/// QEMU translates what it has not met at this address. Where a program lies at another one at each start, that is all of
/// it each time: `ip` takes 48 ms then, and 14 ms if it does not.
fn addresses(images: &Images) -> &'static str {
    if images.has_random_addresses { "" } else { " norandmaps" }
}

fn arguments(images: &Images) -> String {
    if images.arguments.is_empty() { String::new() } else { format!(" {}", images.arguments) }
}

/// What a kernel does for its safety and no test asks of it, but for the benches, which measure the kernel that people run:
/// retpolines and pages filled with zeros took it a tenth of its time and more.
fn cost(arch: Arch, console: Console) -> &'static str {
    match (arch, console) {
        (Arch::X86, Console::Log | Console::Terminal) => " spectre_v2=off init_on_alloc=0",
        _ => "",
    }
}

/// The second serial port, by which the runner reports. `virt` has one only: there it is a card.
fn report_port(command: &mut Command, arch: Arch, whither: &str) {
    match arch {
        Arch::X86 => command.args(["-serial", whither]),
        Arch::Aarch64 | Arch::Riscv64 => {
            let backend = format!("{whither},id=report");
            command.args(["-chardev", &backend, "-device", "pci-serial,chardev=report"])
        }
    };
}

/// `snapshot=on`: what the guest writes is gone with it, and two machines may share an image.
fn drive(image: &Path) -> std::ffi::OsString {
    let mut option = std::ffi::OsString::from("if=virtio,format=raw,snapshot=on,file=");
    option.push(image);
    option
}
