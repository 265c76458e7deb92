//! 32 threads that change and use their VRF for 100,000 sockets each, while another changes the process's: every socket
//! is in the VRF that its thread had set. With veths as devices, so that any kernel will do.

use crate::name::Name;
use crate::names::{Slot, intern};
use crate::{current, exports, sys};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

const THREADS: usize = 32;
const SOCKETS: usize = 100_000;
const DEVICES: [&str; 3] = ["blue", "red", "green"];
const INSIDE: &str = "VRFSHIM_TEST_IS_IN_NAMESPACE";

#[test]
fn every_socket_of_32_threads_is_in_the_vrf_that_its_thread_had_set() {
    if std::env::var_os(INSIDE).is_some() {
        return change_and_use_in_all_threads();
    }
    let links = DEVICES.map(|name| format!("ip link add {name} type veth peer name far-{name};")).concat();
    let output = Command::new("unshare")
        .args(["--map-root-user", "--net", "sh", "-ec", &format!("{links} exec \"$@\""), "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", thread::current().name().unwrap()])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{output:?}");
}

fn change_and_use_in_all_threads() {
    let over = AtomicBool::new(false);
    thread::scope(|all| {
        all.spawn(|| {
            (0..).take_while(|_| !over.load(Ordering::Relaxed)).for_each(|n| current::set_process(device(n).1))
        });
        let users: Vec<_> = (0..THREADS).map(|thread| all.spawn(move || change_and_use(thread))).collect();
        let outcomes: Vec<_> = users.into_iter().map(thread::ScopedJoinHandle::join).collect();
        over.store(true, Ordering::Relaxed);
        assert!(outcomes.iter().all(Result::is_ok));
    });
}

fn device(number: usize) -> (Name, Option<Slot>) {
    let name = Name::new(DEVICES[number % DEVICES.len()].as_bytes()).unwrap();
    (name, Some(intern(name).unwrap()))
}

fn change_and_use(thread: usize) {
    for round in 0..SOCKETS {
        let (name, slot) = device(thread + round / 3);
        current::set_thread(slot);
        let fd = exports::socket(libc::AF_INET, libc::SOCK_DGRAM, 0);
        assert_eq!(sys::bound_device(fd), Ok(Some(name)), "thread {thread}, round {round}");
        sys::close(fd);
    }
}
