//! Process 1 of a guest: mounts what a system needs, carries out the plan, reports, powers off. Where the root file
//! system has an init of its own, that is process 1 and this its last service (`booted`).

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::fcntl::OFlag;
use nix::mount::{MsFlags, mount};
use nix::sys::reboot::{RebootMode, reboot};
use nix::unistd::pipe2;

use super::booted;
use super::runner::Runner;
use crate::harness::vm::plan::{DIRECTORY, Plan};
use crate::harness::vm::report::Event;

/// The serial ports of the machine (`harness::vm::machine`): the kernel's console, and the one for the report.
const PORTS: (&str, &str) =
    if cfg!(target_arch = "aarch64") { ("/dev/ttyAMA0", "/dev/ttyS0") } else { ("/dev/ttyS0", "/dev/ttyS1") };

/// Does everything, and ends the machine. Errors go to the console, which the host shows.
pub fn main() {
    let outcome = if booted::is_here() { booted::hand_over() } else { mount_all().and_then(|()| session(false)) };
    if let Err(error) = outcome {
        eprintln!("init: {error}");
    }
    let _ = reboot(RebootMode::RB_POWER_OFF);
}

/// The same as the service of a systemd that is process 1.
pub fn service() {
    if let Err(error) = session(true) {
        eprintln!("service: {error}");
    }
    let _ = reboot(RebootMode::RB_POWER_OFF);
}

/// Carries out the plan.
fn session(has_systemd: bool) -> io::Result<()> {
    let plan = serde_json::from_slice(&std::fs::read(Path::new(DIRECTORY).join("plan.json"))?)?;
    let mut report = OpenOptions::new().write(true).custom_flags(libc::O_NOCTTY).open(PORTS.1)?;
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease")?.trim().to_owned();
    tell(&mut report, &Event::Ready { release, versions: versions(has_systemd) })?;
    match plan {
        Plan::Tests(names) => {
            let mut runner = Runner::new(has_systemd);
            for name in names {
                let event = runner.run(&name)?;
                tell(&mut report, &event)?;
            }
        }
        Plan::Demo => talk(&mut report, &["/proc/self/exe".to_owned(), "demo".to_owned()])?,
        Plan::Run(words) | Plan::RunAtEachBoot(words) => talk(&mut report, &words)?,
        Plan::Shell => shell()?,
    }
    tell(&mut report, &Event::Done)
}

/// What the tests lean on beside the kernel, in the words of each.
fn versions(has_systemd: bool) -> Vec<String> {
    let programs: &[&[&str]] =
        if has_systemd { &[&["ip", "-V"], &["systemctl", "--version"]] } else { &[&["ip", "-V"]] };
    let first_line = |words: &&[&str]| {
        let output = Command::new(words[0]).args(&words[1..]).stdin(Stdio::null()).output().ok()?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        said.lines().next().map(|line| line.trim_start_matches("ip utility, ").to_owned())
    };
    programs.iter().filter_map(first_line).collect()
}

fn mount_all() -> io::Result<()> {
    let no_special = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    for (kind, target, flags, options) in [
        ("proc", "/proc", no_special, None),
        ("sysfs", "/sys", no_special, None),
        ("cgroup2", "/sys/fs/cgroup", no_special, None),
        ("tmpfs", "/run", no_special, Some("mode=755")),
        ("tmpfs", "/tmp", no_special, Some("mode=1777")),
        ("bpf", "/sys/fs/bpf", no_special, None),
        ("devpts", "/dev/pts", MsFlags::MS_NOSUID, Some("ptmxmode=666,mode=620,gid=5")),
        ("tmpfs", "/dev/shm", no_special, Some("mode=1777")),
    ] {
        std::fs::create_dir_all(target).ok();
        mount(Some(kind), target, Some(kind), flags, options)
            .map_err(|error| io::Error::other(format!("cannot mount {target}: {error}")))?;
    }
    // With a tunnel's module come gre0, sit0 and the like in each network namespace, which nobody can delete.
    std::fs::write("/proc/sys/net/core/fb_tunnels_only_for_init_net", "2")?;
    // devtmpfs leaves this one to udev; shells read from commands by it.
    std::os::unix::fs::symlink("/proc/self/fd", "/dev/fd").or_else(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => Ok(()),
        _ => Err(error),
    })
}

/// Runs a program and passes its lines on.
fn talk(report: &mut File, words: &[String]) -> io::Result<()> {
    let (program, arguments) = words.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let (reader, writer) = pipe2(OFlag::O_CLOEXEC)?;
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
    command.env("PATH", format!("{DIRECTORY}:/usr/sbin:/usr/bin:/sbin:/bin")).current_dir("/tmp");
    let mut child = command.spawn()?;
    // The command holds the pipe's writing end.
    drop(command);
    for line in BufReader::new(File::from(reader)).split(b'\n') {
        let text = String::from_utf8_lossy(&line?).into_owned();
        tell(report, &Event::Say { text })?;
    }
    let status = child.wait()?;
    if !status.success() {
        let (name, output) = (words.join(" "), status.to_string());
        tell(report, &Event::Test { name, passed: false, milliseconds: 0, output })?;
    }
    Ok(())
}

/// A shell on the console, for looking round.
fn shell() -> io::Result<()> {
    let console = OpenOptions::new().read(true).write(true).open(PORTS.0)?;
    Command::new("setsid")
        .args(["--ctty", "--wait", "bash", "-i"])
        .env("PATH", format!("{DIRECTORY}:/usr/sbin:/usr/bin:/sbin:/bin"))
        .env("HOME", "/root")
        .stdin(console.try_clone()?)
        .stdout(console.try_clone()?)
        .stderr(console)
        .status()
        .map(drop)
}

fn tell(report: &mut File, event: &Event) -> io::Result<()> {
    report.write_all(&event.to_line())
}
