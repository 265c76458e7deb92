//! A cgroup that `vrfsetup move default` gives up while a run joins it: the run notices and makes another one. No moment is
//! left to luck: strace stops the run when it has read the record and is not in the cgroup yet.

mod scene;

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread::sleep;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use scene::{Who, stage};
use vrfbpf::set;

/// Says where the cgroup is, and the process that is going to join it. Its program waits for a line.
const SCRIPT: &str = r#"echo $$ >"$PARENT/cgroup.procs"; vrfrun -m bpf --interface blue sed -n 's/^0:://p' /proc/self/cgroup
exec strace -e trace=fgetxattr -e inject=fgetxattr:signal=SIGSTOP:when=1 \
    sh -c 'echo $$; exec vrfrun -m bpf --interface blue sh -c "read line; exec probe socket"'"#;

#[test]
fn a_run_that_joins_a_cgroup_that_is_given_up_is_bound_all_the_same() {
    // Runs of other tests, beside it, would remove it while it is empty.
    let parent = cgroup(&format!("vrfrun-tests-given-up-{}", std::process::id()));
    fs::create_dir(&parent).expect("a cgroup");
    let mut command = stage(Who::Root, "");
    let run =
        command.arg(SCRIPT).env("PARENT", &parent).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut run = run.spawn().expect("a scene");
    let mut output = BufReader::new(run.stdout.take().expect("a pipe"));
    let mut line = || {
        let mut line = String::new();
        output.read_line(&mut line).expect("a line");
        line.trim().to_owned()
    };
    let (cgroup, pid) = (cgroup(&line()), line());
    let stopped = BufReader::new(run.stderr.take().expect("a pipe")).lines().map_while(Result::ok);
    let mut stopped = stopped.skip_while(|line| !line.contains("stopped by SIGSTOP"));
    assert!(stopped.next().is_some());

    let directory = OwnedFd::from(File::open(&cgroup).expect("the cgroup"));
    let given_up = set::give_up(&directory, || {
        let members = fs::read_to_string(cgroup.join("cgroup.procs")).expect("its processes");
        kill(Pid::from_raw(pid.parse().expect("a number")), Signal::SIGCONT).expect("a signal");
        while !waits_for_a_lock(&pid) && !is_program(&pid) {
            sleep(Duration::from_millis(10));
        }
        members.is_empty()
    });
    assert_eq!(given_up, Ok(true));
    run.stdin.take().expect("a pipe").write_all(b"\n").expect("a line");
    let mut found = String::new();
    output.read_to_string(&mut found).expect("the program's output");
    let log = stopped.collect::<Vec<_>>();
    assert_eq!((found.as_str(), run.wait().expect("an end").code()), ("socket blue\n", Some(0)), "{log:?}");
    [cgroup, parent].into_iter().for_each(|cgroup| fs::remove_dir(cgroup).expect("an empty cgroup"));
}

/// The directory of a path from /proc/PID/cgroup.
fn cgroup(path: &str) -> PathBuf {
    let roots = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"].map(Path::new);
    let root = roots.into_iter().find(|root| root.join("cgroup.procs").exists()).expect("cgroup2 is mounted");
    root.join(path.trim_start_matches('/'))
}

fn waits_for_a_lock(pid: &str) -> bool {
    let locks = fs::read_to_string("/proc/locks").expect("the locks");
    locks.lines().any(|lock| lock.contains("->") && lock.split_whitespace().any(|word| word == pid))
}

/// Whether vrfrun has executed it.
fn is_program(pid: &str) -> bool {
    fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == "sh\n")
}
