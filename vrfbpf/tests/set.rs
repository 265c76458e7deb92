//! The programs of one cgroup, put there and taken away again (root; 6.1 or later).

use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use vrfbpf::Hook;
use vrfbpf::set::{self, Device, Place, Record, Step};

const LO: Device<'static> = Device { name: b"lo", ifindex: 1, netns: 4711 };

/// A cgroup that goes with the value.
struct Cgroup(PathBuf);

impl Cgroup {
    fn make(name: &str) -> Self {
        let roots = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"].map(Path::new);
        let root = roots.into_iter().find(|root| root.join("cgroup.procs").exists()).expect("cgroup2 is mounted");
        let path = root.join(format!("vrfbpf-{name}-{}", std::process::id()));
        fs::create_dir(&path).expect("a cgroup");
        Self(path)
    }

    fn open(&self) -> OwnedFd {
        File::open(&self.0).expect("its directory").into()
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        fs::remove_dir(&self.0).expect("an empty cgroup");
    }
}

#[test]
fn a_cgroup_is_bound_once_and_says_to_what() {
    let cgroup = Cgroup::make("once");
    let directory = cgroup.open();
    let record = set::bind(&LO, &directory, &[1], false).expect("bound");
    assert!(record.gaps.is_empty(), "{}", record.gaps);
    assert_eq!(Record::read(&directory), Some(record));
    assert_eq!(record.device(), Ok((1, 4711)));
    assert_eq!(set::bind(&LO, &directory, &[1, 2], false), Ok(record));
    let attached = vrfbpf::attached(Hook::SOCK_CREATE, &directory);
    assert_eq!(attached, Ok(vec![record.programs[Place::Create as usize]]));
}

#[test]
fn a_cgroup_is_not_bound_to_a_second_device() {
    let cgroup = Cgroup::make("second");
    let directory = cgroup.open();
    let record = set::bind(&LO, &directory, &[1], false).expect("bound");
    for other in [Device { ifindex: 2, ..LO }, Device { netns: 4712, ..LO }] {
        let refused = set::bind(&other, &directory, &[1], false).expect_err("it is taken");
        assert_eq!((refused.step, refused.errno), (Step::Record, Errno::EBUSY));
    }
    assert!(record.is_attached(&directory) && Record::read(&directory) == Some(record));
}

#[test]
fn what_is_undone_leaves_nothing_on_the_cgroup() {
    let cgroup = Cgroup::make("undone");
    let directory = cgroup.open();
    assert_eq!(set::unbind(&directory), Ok(false));
    let record = set::bind(&LO, &directory, &[1], true).expect("bound");
    set::set_label(&directory, "session lo").expect("a label");
    assert_eq!(set::label(&directory).as_deref(), Some("session lo"));
    assert_eq!(set::unbind(&directory), Ok(true));
    assert_eq!(set::label(&directory), None);
    assert!(Record::read(&directory).is_none() && !record.is_attached(&directory));
    for hook in Place::ALL.into_iter().filter_map(Place::hook) {
        assert_eq!(vrfbpf::attached(hook, &directory), Ok(Vec::new()), "{hook:?}");
    }
    // It can be bound to another one now.
    set::bind(&Device { ifindex: 2, ..LO }, &directory, &[2], false).expect("bound again");
}

#[test]
fn a_cgroup_is_given_up_only_while_nobody_is_in_it() {
    let cgroup = Cgroup::make("given-up");
    let directory = cgroup.open();
    let record = set::bind(&LO, &directory, &[1], false).expect("bound");
    // At the moment of the question nobody takes it for bound.
    let is_seen = || Record::read(&directory).is_some();
    assert_eq!(set::give_up(&directory, is_seen), Ok(false));
    assert!(record.is_attached(&directory) && Record::read(&directory) == Some(record));
    assert_eq!(set::give_up(&directory, || !is_seen()), Ok(true));
    assert_eq!(vrfbpf::attached(Hook::SOCK_CREATE, &directory), Ok(vec![]));
    assert_eq!(set::give_up(&directory, || true), Ok(false));
}

#[test]
fn what_a_killed_run_was_giving_up_can_be_bound_and_given_up_again() {
    let cgroup = Cgroup::make("killed");
    let directory = cgroup.open();
    let attached = || vrfbpf::attached(Hook::SOCK_CREATE, &directory);
    let left = set::bind(&LO, &directory, &[1], false).expect("bound");
    let killed = std::panic::catch_unwind(|| set::give_up(&directory, || panic!("killed here")));
    assert!(killed.is_err() && Record::read(&directory).is_none() && left.is_attached(&directory));
    let record = set::bind(&LO, &directory, &[1], false).expect("bound again");
    assert_eq!(attached(), Ok(vec![record.programs[Place::Create as usize]]), "{left:?}");
    assert!(record.is_attached(&directory) && Record::read(&directory) == Some(record));
    assert_eq!((set::give_up(&directory, || true), attached()), (Ok(true), Ok(vec![])));
}
