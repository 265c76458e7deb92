//! Every guest test on every kernel and under every systemd of `tests/kernels.toml`: one test here is one virtual
//! machine.

use std::path::Path;
use std::time::Duration;

use vrftests::guest;
use vrftests::harness::kernels;
use vrftests::harness::vm::image::{Images, Root};
use vrftests::harness::vm::machine::{Console, Failure, Machine};
use vrftests::harness::vm::plan::Plan;
use vrftests::harness::vm::report::Event;
use vrftests::harness::vm::run::{self, Runner};

fn runner() -> Result<Runner, String> {
    Runner::new(Path::new(env!("CARGO_BIN_EXE_vrfguest")), Path::new(env!("CARGO_BIN_EXE_vrfpeer")))
}

fn boot_and_test(name: &str) {
    let kernel = kernels::named(name).expect("a kernel of tests/kernels.toml");
    let runner = if kernel.arch.foreign_triple().is_some() { Runner::foreign(kernel.arch) } else { runner() };
    judge(name, runner.and_then(|runner| run::tests(&kernel, &runner, guest::expected_on(&kernel), &[])));
}

/// What failed is also kept in a file, which `make test` shows below its summary: among a thousand lines nobody finds it.
fn judge(name: &str, ended: Result<(), String>) {
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.failed"));
    let _ = std::fs::remove_file(&kept);
    if let Err(why) = ended {
        std::fs::write(&kept, &why).expect("a file for what failed");
        panic!("{why}");
    }
}

#[test]
fn debian_5_10() {
    boot_and_test("debian_5_10");
}

#[test]
fn debian_6_1() {
    boot_and_test("debian_6_1");
}

#[test]
fn debian_6_12() {
    boot_and_test("debian_6_12");
}

#[test]
fn debian_sid() {
    boot_and_test("debian_sid");
}

#[test]
fn arm64_6_1() {
    boot_and_test("arm64_6_1");
}

#[test]
fn arm64_sid() {
    boot_and_test("arm64_sid");
}

fn boot_and_test_under_systemd(name: &str) {
    let system = kernels::system(name).expect("a system of tests/kernels.toml");
    let expected = guest::expected_under_systemd(&system);
    judge(name, runner().and_then(|runner| run::tests_under(&system, &runner, expected, &[])));
}

#[test]
fn systemd_bookworm() {
    boot_and_test_under_systemd("systemd_bookworm");
}

#[test]
fn systemd_sid() {
    boot_and_test_under_systemd("systemd_sid");
}

#[test]
fn systemd_trixie() {
    boot_and_test_under_systemd("systemd_trixie");
}

#[test]
fn systemd_hybrid() {
    boot_and_test_under_systemd("systemd_hybrid");
}

#[test]
fn systemd_selinux() {
    boot_and_test_under_systemd("systemd_selinux");
}

/// The house's own promise: a machine that dies says so, by its end and not by its silence, with its last words.
#[test]
fn a_panic_ends_the_machine_with_its_console_log() {
    let kernel = kernels::named("debian_6_1").expect("a kernel of tests/kernels.toml");
    let panic = ["sh", "-c", "echo 1 >/proc/sys/kernel/sysrq; echo c >/proc/sysrq-trigger"];
    let plan = Plan::Run(panic.map(String::from).to_vec());
    let failure = runner().and_then(|runner| run::plan(&kernel, &runner, &plan)).unwrap_err();
    assert!(failure.contains("the machine ended before its tests did"), "{failure}");
    assert!(failure.contains("Kernel panic"), "{failure}");
}

#[test]
fn a_machine_without_its_root_file_system_could_not_boot() {
    let kernel = kernels::named("debian_6_1").expect("a kernel of tests/kernels.toml");
    let empty = tempfile::NamedTempFile::new().expect("a file");
    empty.as_file().set_len(1 << 20).expect("an empty disk");
    let programs = runner().expect("programs").programs().to_vec();
    let mut images = Images::prepare(&kernel, &Plan::Tests(Vec::new()), &programs, &Root::Usual).expect("images");
    images.rootfs = empty.path().to_owned();
    let mut machine = Machine::boot(&images, Console::Log).expect("QEMU");
    let failure = machine.watch(Duration::from_secs(1), |_| ()).unwrap_err();
    assert!(matches!(failure, Failure::NoBoot), "{failure}");
    let log = std::fs::read(&images.console).expect("a console log");
    assert!(String::from_utf8_lossy(&log).contains("initrd: a disk could not be mounted"));
}

/// Of a change that waits for its confirmation when the machine is reset: what it has written to the disk is undone before
/// units are started. No other test boots a machine twice.
#[test]
fn a_reset_within_the_time_of_confirm_undoes_what_is_on_the_disk() {
    let system = kernels::system("systemd_bookworm").expect("a system of tests/kernels.toml");
    let script = include_str!("reset.sh");
    let plan = Plan::RunAtEachBoot(["sh", "-euc", script].map(String::from).to_vec());
    let mut said = Vec::new();
    let ended = runner().and_then(|runner| {
        run::drive(&system.kernel(), &runner.under(&system), &plan, Duration::from_secs(1500), |event| match event {
            Event::Say { text } => said.push(text.clone()),
            Event::Test { output, .. } => said.push(format!("failed: {output}")),
            Event::Ready { .. } | Event::Done => {}
        })
    });
    let said = said.join("\n");
    ended.unwrap_or_else(|why| panic!("{said}\n{why}"));
    assert_eq!(said, "in no VRF by the rollback; its unit is active; no change waits");
}
