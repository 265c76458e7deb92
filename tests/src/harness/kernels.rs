//! The committed list of kernels and what must work on each. Pure: fetches and boots nothing.

use serde::Deserialize;

/// `tests/kernels.toml`, as it stood when the tests were built.
const LIST: &str = include_str!("../../kernels.toml");

/// Something a kernel can or cannot do, where the tests care.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Feature {
    /// VRF devices (4.3).
    Vrf,
    /// CGROUP_SOCK programs that know their network namespace (5.7).
    Bpf,
    /// An unprivileged SO_BINDTODEVICE behind a seccomp filter (5.7).
    Gate,
    /// Seccomp user notification that can hand over descriptors (5.9).
    Supervisor,
    /// MPTCP whose subflows take the socket's device (6.1).
    MptcpBind,
    /// Unprivileged io_uring filters (7.0).
    UringFilter,
    /// Two processors, for what happens at once.
    TwoProcessors,
    /// Programs and their libraries lie at random addresses, as on every real machine.
    RandomAddresses,
    /// No feature, but a place: what asks nothing of the kernel is tested on one of them only.
    Once,
    /// The same: the oldest kernel and the newest, for what no release between answers differently.
    End,
}

impl Feature {
    /// Those that one machine of the list has, for what is tested there alone.
    pub const PLACES: [Self; 3] = [Self::TwoProcessors, Self::RandomAddresses, Self::Once];
}

/// The machine that a kernel is for.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Arch {
    /// This one, for which everything is built anyway.
    #[default]
    #[serde(rename = "x86_64")]
    X86,
    /// 64-bit ARM. A slice of the tests runs there.
    Aarch64,
    /// 64-bit RISC-V. The same.
    Riscv64,
}

impl Arch {
    /// The machine that this program was built for.
    pub const OWN: Self = if cfg!(target_arch = "aarch64") {
        Self::Aarch64
    } else if cfg!(target_arch = "riscv64") {
        Self::Riscv64
    } else {
        Self::X86
    };

    /// Debian's name for it.
    pub fn debian(self) -> &'static str {
        match self {
            Self::X86 => "amd64",
            Self::Aarch64 => "arm64",
            Self::Riscv64 => "riscv64",
        }
    }

    /// As compilers name it.
    pub fn gnu(self) -> &'static str {
        match self {
            Self::X86 => "x86_64-linux-gnu",
            Self::Aarch64 => "aarch64-linux-gnu",
            Self::Riscv64 => "riscv64-linux-gnu",
        }
    }

    /// Rust's, where it is built for as a foreign machine.
    pub fn foreign_triple(self) -> Option<&'static str> {
        match self {
            Self::X86 => None,
            Self::Aarch64 => Some("aarch64-unknown-linux-gnu"),
            Self::Riscv64 => Some("riscv64gc-unknown-linux-gnu"),
        }
    }
}

/// One kernel of the list.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kernel {
    /// The name of its test.
    pub name: String,
    /// The machine that it is for.
    #[serde(default)]
    pub arch: Arch,
    /// The Debian suite that it comes from.
    pub suite: String,
    /// The meta package that names its current version.
    pub package: String,
    /// How its release must begin; empty where any will do.
    pub version: String,
    /// What must work there.
    pub works: Vec<Feature>,
    /// Of a foreign architecture: how the names of the tests begin that it is for, where it is not for all of the slice.
    #[serde(default)]
    pub tests: Vec<String>,
}

impl Kernel {
    /// How many processors its machine has.
    pub fn processors(&self) -> u32 {
        if self.works.contains(&Feature::TwoProcessors) { 2 } else { 1 }
    }

    /// Whether programs lie at random addresses there.
    pub fn has_random_addresses(&self) -> bool {
        self.works.contains(&Feature::RandomAddresses)
    }
}

/// A machine that a systemd of its own boots.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct System {
    /// The name of its test.
    pub name: String,
    /// The name of its kernel.
    pub kernel: String,
    /// The Debian suite of systemd and everything else.
    pub suite: String,
    /// The property by which that systemd can bind a service to an interface.
    pub binds: String,
    /// The list of its packages in `tools/`.
    #[serde(default = "usual_packages")]
    pub packages: String,
    /// Further words on the kernel's command line, for it or for systemd.
    #[serde(default)]
    pub arguments: String,
    /// How many processors its machine has.
    #[serde(default = "one")]
    pub processors: u32,
    /// How the names of the tests begin that it is for; where there are none, it is for all that any systemd can run.
    #[serde(default)]
    pub tests: Vec<String>,
}

fn usual_packages() -> String {
    "systemd-packages".to_owned()
}

fn one() -> u32 {
    1
}

impl System {
    /// Its kernel.
    ///
    /// # Panics
    /// When the committed file names one that it does not have.
    pub fn kernel(&self) -> Kernel {
        named(&self.kernel).unwrap_or_else(|| panic!("tests/kernels.toml: {} wants '{}'", self.name, self.kernel))
    }
}

#[derive(Deserialize)]
struct List {
    kernel: Vec<Kernel>,
    night: Vec<Kernel>,
    system: Vec<System>,
}

/// All kernels, in the order of the file.
///
/// # Panics
/// When the committed file is wrong: there is nothing to test without it.
pub fn all() -> Vec<Kernel> {
    list().kernel
}

/// Further kernels, for the night and whoever names one.
///
/// # Panics
/// As [`all`].
pub fn nightly() -> Vec<Kernel> {
    list().night
}

/// All machines with a systemd of their own.
///
/// # Panics
/// As [`all`].
pub fn systems() -> Vec<System> {
    list().system
}

fn list() -> List {
    toml::from_str(LIST).unwrap_or_else(|error| panic!("tests/kernels.toml: {error}"))
}

/// The kernel of that name.
pub fn named(name: &str) -> Option<Kernel> {
    all().into_iter().chain(nightly()).find(|kernel| kernel.name == name)
}

/// The machine of that name with a systemd of its own.
pub fn system(name: &str) -> Option<System> {
    systems().into_iter().find(|system| system.name == name)
}

/// The kernels of one architecture.
pub fn of(arch: Arch) -> Vec<Kernel> {
    all().into_iter().filter(|kernel| kernel.arch == arch).collect()
}

/// This architecture's kernel of the list that has this release: by its prefix, else the one that any release fits.
pub fn of_release(release: &str) -> Option<Kernel> {
    let begins = |kernel: &Kernel| !kernel.version.is_empty() && release.starts_with(&kernel.version);
    let own = of(Arch::OWN);
    own.iter().find(|kernel| begins(kernel)).or_else(|| own.iter().find(|kernel| kernel.version.is_empty())).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kernel_of_the_list_has_vrfs_and_both_mechanisms() {
        assert_eq!((all().len(), nightly().len()), (7, 3));
        for kernel in all().into_iter().chain(nightly()) {
            for feature in [Feature::Vrf, Feature::Bpf, Feature::Gate] {
                assert!(kernel.works.contains(&feature), "{}: {feature:?}", kernel.name);
            }
        }
    }

    #[test]
    fn each_place_is_one_machine() {
        for feature in Feature::PLACES {
            assert_eq!(all().iter().filter(|kernel| kernel.works.contains(&feature)).count(), 1, "{feature:?}");
        }
    }

    /// By release; the newest has no number in the list, and is the last.
    #[test]
    fn the_ends_are_the_oldest_and_the_newest() {
        let number = |kernel: &Kernel| kernel.version.split('.').map(str::parse).collect::<Result<Vec<u32>, _>>();
        let own = || all().into_iter().filter(|kernel| kernel.arch == Arch::default());
        let ends: Vec<_> = own().filter(|kernel| kernel.works.contains(&Feature::End)).collect();
        assert_eq!(ends.len(), 2);
        assert!(ends[1].version.is_empty(), "{ends:?}");
        let oldest = own().filter(|kernel| !kernel.version.is_empty()).min_by_key(|kernel| number(kernel).ok());
        assert_eq!(oldest.map(|kernel| kernel.name), Some(ends[0].name.clone()));
    }

    #[test]
    fn both_ways_to_bind_a_service_have_a_machine() {
        let systems = systems();
        assert!(systems.iter().all(|system| named(&system.kernel).is_some()), "{systems:?}");
        for property in ["BPFProgram", "BindNetworkInterface"] {
            assert!(systems.iter().any(|system| system.binds == property), "{property}");
        }
    }

    #[test]
    fn a_release_finds_its_kernel_and_a_newer_one_the_newest() {
        let name = |release| of_release(release).map(|kernel| kernel.name);
        assert_eq!(name("6.1.0-40-cloud-amd64"), Some("debian_6_1".to_owned()));
        assert_eq!(name("7.2.4+deb-cloud-amd64"), Some("debian_sid".to_owned()));
    }

    #[test]
    fn a_name_that_is_not_in_the_list_finds_nothing() {
        assert!(named("debian_2_4").is_none());
        assert_eq!(named("debian_6_1").map(|k| k.suite), Some("bookworm".to_owned()));
    }
}
