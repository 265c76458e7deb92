//! A guest whose process 1 is the systemd of its own root file system, and the tests' runner a service of it.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::mount::{MsFlags, mount, umount};

use crate::harness::process::run_test;
use crate::harness::vm::plan::{DIRECTORY, FILES};
use crate::harness::vm::report::Event;
use crate::harness::vm::run::SYSTEMD_TEST_LIMIT;

/// A socket whose drop-in is what `vrfsetup unit boot` makes of it.
pub const SOCKET: &str = "vrftest-boot.socket";
/// The tests' runner.
const SERVICE: &str = "vrftests.service";
const INIT: &str = "/usr/lib/systemd/systemd";
/// Where SELinux is the kernel's security module: whether it denies anything.
pub const ENFORCE: &str = "/sys/fs/selinux/enforce";
/// Debian's policy: which label each file has.
const FILE_CONTEXTS: &str = "/etc/selinux/default/contexts/files/file_contexts";
const MODULES: &str = "/usr/lib/modules";
const UNITS: &str = "/etc/systemd/system";

/// Hardware that no test looks at, whose drivers keep an emulated machine busy for half a minute.
const NO_DRIVERS: &str = "blacklist ata_piix\nblacklist ata_generic\nblacklist kvm_amd\nblacklist kvm_intel\nblacklist powernow_k8
blacklist acpi_cpufreq\nblacklist button\nblacklist evdev\nblacklist psmouse\nblacklist i2c_piix4\nblacklist pcspkr\nblacklist floppy
blacklist serio_raw\nblacklist sg\nblacklist sr_mod\n";

/// With a tunnel's module come gre0, sit0 and the like in each network namespace, which nobody can delete.
const NO_FALLBACK_TUNNELS: &str = "net.core.fb_tunnels_only_for_init_net = 2\n";

/// Last of all: what is to happen at boot has happened then.
const RUNNER: &str = "[Unit]
After=multi-user.target

[Service]
ExecStartPre=udevadm settle
ExecStart=/opt/vrftests/vrfguest service
StandardError=journal+console
";

/// What the boot finds in /etc/vrf. The machine has a network interface of its own; another comes later. The settings
/// come with the VRF and its module, and one VRF has a mistake.
pub const AT_BOOT: &str = r#"
[rules]
fix = true

[sysctl]
"net.vrf.strict_mode" = 1
"net.ipv4.conf.boot.rp_filter" = 2
"net.ipv6.conf.boot.hop_limit" = 77

[vrf.boot]
table = 77
ports = ["eth0"]
addresses = ["203.0.113.9/24 dev eth0"]
routes = ["default via 203.0.113.1"]

[vrf.broken]
tabel = 79

[vrf.late]
table = 78
ports = ["late0"]
addresses = ["192.0.2.9/24 dev late0"]
routes = ["default via 192.0.2.1"]
"#;

/// What the boot finds besides: a user whom no other test knows.
const USER_AT_BOOT: &str = "\n[user]\n4711 = \"boot\"\n";

const SOCKET_UNIT: &str = "[Socket]\nListenStream=7077\nAccept=yes\n\n[Install]\nWantedBy=sockets.target\n";
const SOCKET_SERVICE: &str = "[Service]\nStandardInput=socket\nExecStart=/bin/echo hello\n";
const SOCKET_DROP_IN: &str = "# made by vrfsetup unit boot
[Unit]
AssertPathExists=/sys/class/net/boot
After=vrfsetup-early.service systemd-networkd.service networking.service

[Socket]
BindToDevice=boot
";

/// What Debian's packages start at boot, and a test may start.
const NOT_AT_BOOT: [&str; 21] = [
    "multi-user.target.wants/containerd.service",
    "multi-user.target.wants/docker.service",
    "sockets.target.wants/docker.socket",
    "multi-user.target.wants/lxc.service",
    "multi-user.target.wants/lxc-net.service",
    "multi-user.target.wants/lxc-monitord.service",
    "multi-user.target.wants/cron.service",
    "multi-user.target.wants/NetworkManager.service",
    "network-online.target.wants/NetworkManager-wait-online.service",
    "multi-user.target.wants/frr.service",
    "sysinit.target.wants/systemd-timesyncd.service",
    "sysinit.target.wants/nftables.service",
    "sysinit.target.wants/systemd-resolved.service",
    "sockets.target.wants/systemd-resolved-varlink.socket",
    "sockets.target.wants/systemd-resolved-monitor.socket",
    "sockets.target.wants/podman.socket",
    "default.target.wants/podman.service",
    "default.target.wants/podman-restart.service",
    "default.target.wants/podman-auto-update.service",
    "default.target.wants/podman-clean-transient.service",
    "timers.target.wants/podman-auto-update.timer",
];

/// The tests of what a boot has made, by the beginning of their names; they come first.
pub const ABOUT_THE_BOOT: &str = "boot::";

/// Ends what the boot has started and the tests start for themselves, and waits for ports no longer: the tests' own
/// interfaces have the name of one.
///
/// # Errors
/// When systemctl cannot be run.
pub fn leave_the_boot_behind() -> io::Result<()> {
    fs::write("/etc/vrf/vrf.toml", AT_BOOT)?;
    Command::new("vrfsetup").args(["user", "--remove", "4711"]).stdin(Stdio::null()).stdout(Stdio::null()).status()?;
    // What the boot has left there is no test's. Nothing of it may be there any more: this is called again where a test
    // could not be put right.
    let _ = fs::remove_dir_all("/run/vrfsetup");
    let _ = fs::remove_dir_all("/sys/fs/bpf/vrfsetup");
    let units = [
        "vrfsetup.service",
        "vrfsetup-early.service",
        "systemd-timesyncd.service",
        SOCKET,
        "ssh.service",
        "ssh.socket",
        "systemd-networkd*",
    ];
    // A unit that this release does not have is none that runs.
    Command::new("systemctl").arg("stop").args(units).stdin(Stdio::null()).stderr(Stdio::null()).status()?;
    // Units whose names begin like these are the tests' own, which remove them all.
    // What `vrfsetup unit` made while the boot's drop-in was there stays for that.
    let made = ["vrfsetup-bind@.service", "vrfsetup-bind-early@.service"];
    let wanted = format!("sockets.target.wants/{SOCKET}");
    for file in [SOCKET, "vrftest-boot@.service", &wanted].iter().chain(&made) {
        let _ = fs::remove_file(Path::new(UNITS).join(file));
    }
    let _ = fs::remove_dir_all(Path::new(UNITS).join(format!("{SOCKET}.d")));
    // The boot was to fail in part.
    Command::new("systemctl").arg("reset-failed").status()?;
    Command::new("systemctl").arg("daemon-reload").status().map(drop)
}

/// Whether this machine is for its own systemd to boot: only then the unit is on the third disk.
pub fn is_here() -> bool {
    Path::new(DIRECTORY).join(FILES[0]).exists()
}

/// Puts the units in their places and becomes systemd.
///
/// # Errors
/// Always: where it succeeds it does not return.
pub fn hand_over() -> io::Result<()> {
    if Path::new(UNITS).join(SERVICE).exists() {
        // This disk has been booted before.
        return Err(Command::new(INIT).exec());
    }
    for program in ["vrfrun", "vrfsetup"] {
        symlink(Path::new(DIRECTORY).join(program), Path::new("/usr/local/sbin").join(program))?;
    }
    fs::write("/etc/modprobe.d/vrftests.conf", NO_DRIVERS)?;
    fs::create_dir_all("/etc/sysctl.d")?;
    fs::write("/etc/sysctl.d/vrftests.conf", NO_FALLBACK_TUNNELS)?;
    mask_generators()?;
    fs::create_dir_all("/etc/vrf")?;
    fs::write("/etc/vrf/vrf.toml", format!("{AT_BOOT}{USER_AT_BOOT}"))?;
    for file in FILES {
        let place = if file.ends_with(".rules") { Path::new("/etc/udev/rules.d") } else { Path::new(UNITS) };
        fs::copy(Path::new(DIRECTORY).join(file), place.join(file))?;
    }
    for unwanted in NOT_AT_BOOT {
        // Not every release has each of them.
        let _ = fs::remove_file(Path::new(UNITS).join(unwanted));
    }
    fs::write(Path::new(UNITS).join(SERVICE), RUNNER)?;
    fs::write(Path::new(UNITS).join(SOCKET), SOCKET_UNIT)?;
    fs::write(Path::new(UNITS).join("vrftest-boot@.service"), SOCKET_SERVICE)?;
    let drop_ins = Path::new(UNITS).join(format!("{SOCKET}.d"));
    fs::create_dir_all(&drop_ins)?;
    fs::write(drop_ins.join("50-vrf.conf"), SOCKET_DROP_IN)?;
    for unit in ["serial-getty@ttyS0.service", "getty@tty1.service", "e2scrub_reap.service"] {
        symlink("/dev/null", Path::new(UNITS).join(unit))?;
    }
    for (unit, target) in [
        (FILES[0], "multi-user.target"),
        (SERVICE, "multi-user.target"),
        (FILES[1], "sysinit.target"),
        (SOCKET, "sockets.target"),
    ] {
        let wants = Path::new(UNITS).join(format!("{target}.wants"));
        fs::create_dir_all(&wants)?;
        symlink(Path::new(UNITS).join(unit), wants.join(unit))?;
    }
    label_all()?;
    Err(Command::new(INIT).exec())
}

/// Gives each file the label that the policy has for it, where SELinux is to be this machine's security module: systemd
/// loads the policy, and finds by labels who starts whom. What is tested has the labels of programs that a package brings.
///
/// # Errors
/// When that cannot be done.
fn label_all() -> io::Result<()> {
    mount(Some("proc"), "/proc", Some("proc"), MsFlags::empty(), None::<&str>)?;
    if fs::read_to_string("/proc/cmdline")?.split_whitespace().any(|word| word == "security=selinux") {
        let shim = format!("{DIRECTORY}/libvrfshim.so");
        for words in [
            &["mount", "-o", "remount,rw", MODULES][..],
            // Before the policy is loaded no mount says that it has labels (-m).
            &["setfiles", "-F", "-m", "-e", "/proc", "-e", "/dev", FILE_CONTEXTS, "/", MODULES],
            &["chcon", "-R", "system_u:object_r:bin_t:s0", DIRECTORY],
            &["chcon", "system_u:object_r:lib_t:s0", &shim],
            &["mount", "-o", "remount,ro", MODULES],
        ] {
            let status = Command::new(words[0]).args(&words[1..]).status()?;
            if !status.success() {
                return Err(io::Error::other(format!("{words:?}: {status}")));
            }
        }
    }
    umount("/proc").map_err(io::Error::from)
}

/// They make units of what this machine does not have (a swap, a TPM…), again with each `daemon-reload`.
fn mask_generators() -> io::Result<()> {
    let masked = Path::new("/etc/systemd/system-generators");
    fs::create_dir_all(masked)?;
    for generator in fs::read_dir("/usr/lib/systemd/system-generators")? {
        symlink("/dev/null", masked.join(generator?.file_name()))?;
    }
    Ok(())
}

/// Runs one test as a transient service; whatever it leaves running ends with that.
///
/// # Errors
/// When it cannot be started.
pub fn run(name: &str) -> io::Result<Event> {
    // A test that was ended may have left the machine in enforcing mode.
    if Path::new(ENFORCE).exists() {
        fs::write(ENFORCE, "0")?;
    }
    let program = format!("{DIRECTORY}/vrfguest");
    let limit = format!("--property=RuntimeMaxSec={}", SYSTEMD_TEST_LIMIT.as_secs());
    let mut command = Command::new("systemd-run");
    command.args(["--quiet", "--wait", "--pipe", "--collect", &limit, "--", &program, "run", name]);
    let mut event = run_test(name, &mut command, SYSTEMD_TEST_LIMIT)?;
    if let Event::Test { passed: false, output, .. } = &mut event {
        // What the test itself said comes last: of a long text it is the end that is shown.
        output.insert_str(0, &journal());
    }
    Ok(event)
}

/// What systemd and its services said last.
fn journal() -> String {
    let mut command = Command::new("journalctl");
    let said = command.args(["--boot", "--no-pager", "--lines=60", "--output=cat"]).stdin(Stdio::null()).output();
    said.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
}
