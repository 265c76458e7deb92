//! Hundreds of VRFs and thousands, each with a port and a route: made and shown by vrfsetup and by `ip`.

use std::fmt::Write;
use std::fs::File;
use std::io;

use nix::sched::{CloneFlags, unshare};

use super::tell;
use super::timing::{quiet, time};

/// How many VRFs. Their ports are down before, as they are at boot.
pub const SIZES: [u32; 3] = [250, 1_000, 4_000];
/// How many with ports that are up, as on a machine at work.
const AT_WORK: u32 = 1_000;
const FIRST_TABLE: u32 = 10_000;

/// The state of the ports before.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ports {
    Down,
    Up,
    /// Up, each with an IPv6 address that the kernel drops when the port goes into its VRF.
    Addressed,
}

/// What `ip -batch` does for an address that the port keeps.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Address {
    None,
    /// The kernel silently takes it from the port; it is added again.
    Lost,
    /// It is deleted before, as vrfsetup does, whose rollback has it then.
    Deleted,
}

/// Measures vrfsetup, and what `ip` needs to show the same.
pub fn ours() -> io::Result<()> {
    let mut stage = Stage::new()?;
    // Not told: what the machine still does after its start counts in the first.
    stage.namespace_with_ports(AT_WORK, Ports::Up)?;
    stage.apply(AT_WORK)?;
    stage.namespace_with_ports(AT_WORK, Ports::Up)?;
    tell("scale.work_vrfsetup", stage.apply(AT_WORK)?);
    for size in SIZES {
        stage.namespace_with_ports(size, Ports::Down)?;
        tell(&format!("scale.apply_vrfsetup_{size}"), stage.apply(size)?);
        tell(&format!("scale.again_vrfsetup_{size}"), stage.apply(size)?);
        let mut shown = 0.0;
        for what in [&["-d", "link", "show", "type", "vrf"][..], &["addr"], &["route", "show", "table", "all"]] {
            shown += time(&mut quiet(&[&["ip", "-j"], what].concat())?)?;
        }
        tell(&format!("scale.show_ip_{size}"), shown);
        tell(&format!("scale.show_vrfsetup_{size}"), time(&mut quiet(&["vrfsetup", "show", "-j"])?)?);
    }
    stage.namespace_with_ports(AT_WORK, Ports::Addressed)?;
    tell("scale.kept_vrfsetup", stage.apply(AT_WORK)?);
    Ok(())
}

/// Measures `ip -batch`, in a machine of its own: the kernel keeps some lists of routes for all its namespaces, in which
/// it would find what the other left.
pub fn theirs() -> io::Result<()> {
    let mut stage = Stage::new()?;
    stage.namespace_with_ports(AT_WORK, Ports::Up)?;
    stage.ip_batch(&vrfs_for_ip(AT_WORK, Address::None))?;
    stage.namespace_with_ports(AT_WORK, Ports::Up)?;
    tell("scale.work_ip", stage.ip_batch(&vrfs_for_ip(AT_WORK, Address::None))?);
    for size in SIZES {
        stage.namespace_with_ports(size, Ports::Down)?;
        tell(&format!("scale.add_ip_{size}"), stage.ip_batch(&vrfs_for_ip(size, Address::None))?);
    }
    for (name, address) in [("scale.kept_ip", Address::Lost), ("scale.kept_deleting_ip", Address::Deleted)] {
        stage.namespace_with_ports(AT_WORK, Ports::Addressed)?;
        tell(name, stage.ip_batch(&vrfs_for_ip(AT_WORK, address))?);
    }
    Ok(())
}

/// Where it is measured. Taking a namespace down costs instructions in the background: none goes before all is
/// measured.
struct Stage {
    directory: tempfile::TempDir,
    kept: Vec<File>,
}

impl Stage {
    fn new() -> io::Result<Self> {
        Ok(Self { directory: tempfile::tempdir()?, kept: Vec::new() })
    }

    /// A network namespace of this thread with the interfaces that become ports.
    fn namespace_with_ports(&mut self, size: u32, ports: Ports) -> io::Result<()> {
        unshare(CloneFlags::CLONE_NEWNET)?;
        let mut script = String::from("link set lo up\n");
        let up = if ports == Ports::Down { "down" } else { "up" };
        for number in 0..size {
            // In this order: up first, it would have a link-local address, which vrfsetup keeps and `ip` loses.
            let _ = writeln!(script, "link add p{number} type dummy\nlink set p{number} addrgenmode none");
            let _ = writeln!(script, "link set p{number} {up}");
            if ports == Ports::Addressed {
                let _ = writeln!(script, "{}", addition(number));
            }
        }
        self.ip_batch(&script)?;
        self.kept.push(File::open("/proc/thread-self/ns/net")?);
        Ok(())
    }

    fn ip_batch(&self, script: &str) -> io::Result<f64> {
        let path = self.directory.path().join("batch");
        std::fs::write(&path, script)?;
        time(&mut quiet(&["ip", "-batch", &path.to_string_lossy()])?)
    }

    fn apply(&self, size: u32) -> io::Result<f64> {
        let path = self.directory.path().join("vrf.toml");
        std::fs::write(&path, declared(size))?;
        time(&mut quiet(&["vrfsetup", "apply", &path.to_string_lossy()])?)
    }
}

/// A link-local one, which `keep_addr_on_down` does not keep.
fn addition(number: u32) -> String {
    format!("addr add fe80::1/64 dev p{number} nodad")
}

/// What `vrfsetup apply` makes of [`declared`], step by step.
fn vrfs_for_ip(size: u32, address: Address) -> String {
    let mut script = String::new();
    for number in 0..size {
        let table = FIRST_TABLE + number;
        if address == Address::Deleted {
            let _ = writeln!(script, "addr del fe80::1/64 dev p{number}");
        }
        let _ = write!(
            script,
            "link add v{number} type vrf table {table}\nlink set v{number} up\n\
             addr add 127.0.0.1/8 dev v{number}\naddr add ::1/128 dev v{number} nodad\n\
             route add unreachable default table {table} metric 4278198272\n\
             route add unreachable ::/0 table {table} metric 4278198272\n\
             link set p{number} master v{number}\nlink set p{number} up\nroute add 198.51.100.0/24 dev p{number} table {table}\n"
        );
        if address != Address::None {
            let _ = writeln!(script, "{}", addition(number));
        }
    }
    script
}

fn declared(size: u32) -> String {
    // The rules cost the same for one VRF and for thousands, and `ip -batch` leaves them alone too.
    let mut text = String::from("[rules]\nfix = false\n");
    for number in 0..size {
        let table = FIRST_TABLE + number;
        let _ = write!(
            text,
            "[vrf.v{number}]\ntable = {table}\nports = [\"p{number}\"]\nroutes = [\"198.51.100.0/24 dev p{number}\"]\n"
        );
    }
    text
}
