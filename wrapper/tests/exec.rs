//! vrfrun becomes the program: same process, and nothing of what the program gets or gives back is changed.

mod scene;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use scene::{EVERYBODY, Who, play, play_after, root, stage, user};

/// As root by cgroup, as anyone by the shim and by the supervisor.
const RUNS: [(Who, &str); 5] = [
    (Who::Root, "-m bpf"),
    (Who::Root, "-m preload"),
    (Who::User, "-m preload"),
    (Who::User, "-m seccomp"),
    (Who::User, "-m preload --no-supervisor"),
];

/// Plays the script in each way, with `$run` for vrfrun and its options; it must print the same without vrfrun.
#[track_caller]
fn as_without_vrfrun(script: &str) {
    for (who, options) in RUNS {
        let bare = play(who, &format!("run=; {script}"));
        let seen = play(who, &format!("run='vrfrun {options} --interface blue'; {script}"));
        assert_eq!((seen.code(), seen.signal(), seen.stdout()), (bare.code(), bare.signal(), bare.stdout()), "{seen}");
        assert_eq!(seen.stderr(), bare.stderr(), "{options}");
        assert!(!bare.stdout().is_empty(), "the script shows nothing");
    }
}

#[test]
fn all_256_exit_statuses_come_through() {
    as_without_vrfrun("n=0; while [ $n -lt 256 ]; do $run sh -c \"exit $n\"; echo $?; n=$((n+5)); done");
    // The rest once, with the quickest mechanism.
    let seen = user(
        "n=0; while [ $n -lt 256 ]; do vrfrun -m preload --interface blue sh -c \"exit $n\"
        [ $? = $n ] || echo wrong $n; n=$((n+1)); done; echo done",
    );
    seen.prints("done\n");
}

#[test]
fn a_signal_kills_the_program_itself() {
    as_without_vrfrun("for s in TERM KILL INT HUP SEGV; do $run sh -c \"kill -$s \\$\\$\" 2>/dev/null; echo $?; done");
    as_without_vrfrun("$run sleep 20 & sleep 0.4; kill -TERM $!; wait $! 2>/dev/null; echo $?");
}

#[test]
fn it_is_the_same_process() {
    for (who, options) in RUNS {
        let seen = play(who, &format!("vrfrun {options} --interface blue sh -c 'echo $$' & wait $!; echo $!"));
        let (stdout, pids) = (seen.stdout(), seen.stdout().lines().map(str::to_owned).collect::<Vec<_>>());
        assert!(pids.len() == 2 && pids[0] == pids[1], "{options}: {stdout}");
    }
}

#[test]
fn closed_descriptors_stay_closed() {
    let look = "sh -c '[ -e /proc/self/fd/0 ] && echo in; [ -e /proc/self/fd/2 ] && echo err; echo looked'";
    as_without_vrfrun(&format!("$run {look} <&-; $run {look} 2>&-; $run {look} <&- 2>&-"));
    let to_file = "sh -c '[ -e /proc/self/fd/1 ] && echo out >&2; echo looked >&2'";
    as_without_vrfrun(&format!("echo; $run {to_file} >&-; $run {to_file} >&- <&-"));
}

#[test]
fn no_descriptor_of_vrfruns_own_is_left_open() {
    as_without_vrfrun("$run sh -c 'for fd in $(seq 0 255); do [ -e /proc/$$/fd/$fd ] && echo $fd; done'");
}

#[test]
fn signal_dispositions_and_the_mask_are_kept() {
    as_without_vrfrun("$run grep ^Sig /proc/self/status | grep -v SigQ");
    as_without_vrfrun("trap '' PIPE INT; $run grep ^SigIgn /proc/self/status");
    as_without_vrfrun("$run env --block-signal=USR1 grep ^SigBlk /proc/self/status");
    as_without_vrfrun("env --block-signal=USR1 $run grep ^SigBlk /proc/self/status");
}

/// Even of who has SIGCHLD blocked, and inherits what comes of vrfrun's own children.
#[test]
fn no_signal_is_pending_and_no_child_is_there() {
    let program = "import os, signal
print(signal.sigpending(), [line.split()[1].strip('0') for line in open('/proc/self/status') if 'Pnd:' in line])
try: print('child', os.waitpid(-1, os.WNOHANG | 0x40000000)) # __WALL
except ChildProcessError: print('no child')";
    for (who, options) in RUNS {
        let run = format!("['vrfrun', *'{options}'.split(), '--interface', 'blue', 'python3', '/srv/look']");
        let script = format!(
            "printf %s \"{program}\" >/srv/look; exec python3 -c \"import os, signal
signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65)); run = {run}; os.execvp('vrfrun', run)\""
        );
        let seen = play_after("mount -t tmpfs tmpfs /srv; chmod 777 /srv", who, &script);
        seen.prints("set() ['', '']\nno child\n");
    }
}

#[test]
fn limits_umask_directory_and_niceness_are_kept() {
    as_without_vrfrun("cd /usr; umask 027; nice -n 5 $run sh -c 'ulimit -a; umask; pwd; nice'");
}

#[test]
fn argument_zero_is_what_was_typed() {
    as_without_vrfrun("$run sh -c 'cat /proc/$$/cmdline | tr \"\\0\" \"|\"' ; $run printf '%s|' a '' 'b c' -- -x");
}

#[test]
fn the_environment_comes_through_byte_for_byte() {
    for who in EVERYBODY {
        let mut command = stage(who, "");
        command.env("ODD", OsStr::from_bytes(b"\xff\xfe\x01")).env("EMPTY", "");
        let script = "for run in 'vrfrun -m preload --interface blue' ''; do
            $run perl -e 'exec { \"/usr/bin/env\" } \"env\", \"-0\"' | tr '\\0' '\\n' |
                grep -av '^\\(LD_PRELOAD\\|VRFSHIM\\|VRFRUN_VRF\\|SYSTEMD_NSS_RESOLVE_[A-Z]*\\)=' | sort | cksum; done";
        let output = command.arg(script).output().unwrap();
        let lines: Vec<_> = output.stdout.split(|&b| b == b'\n').filter(|line| !line.is_empty()).collect();
        assert_eq!(lines.len(), 2, "{output:?}");
        assert_eq!(lines[0], lines[1], "{output:?}");
    }
}

#[test]
fn entries_without_an_equals_sign_come_through() {
    let script = "probe oddly vrfrun -m preload --interface blue cat /proc/self/environ | tr '\\0' '\\n' | head -2";
    user(script).prints("no equals sign\n=starts with one\n");
}

#[test]
fn the_program_learns_where_it_is() {
    let script = "export SYSTEMD_NSS_RESOLVE_NETWORK=1; vrfrun --interface blue sh -c '
        echo $VRFRUN_VRF $SYSTEMD_NSS_RESOLVE_NETWORK $SYSTEMD_NSS_RESOLVE_CACHE; echo $SYSTEMD_NSS_RESOLVE_IFINDEX; ip -o link show blue'";
    let seen = user(script);
    let lines: Vec<String> = seen.stdout().lines().map(str::to_owned).collect();
    assert_eq!(lines[0], "blue 0 0");
    assert!(lines[2].starts_with(&format!("{}: blue@", lines[1])), "{seen}");
}

#[test]
fn failures_have_the_statuses_of_the_contract() {
    let run = |words: &str| root(&format!("vrfrun --interface {words}"));
    run("blue no-such-program").fails(127, "vrfrun: cannot find 'no-such-program': command not found");
    run("blue /no/such/program").fails(127, "vrfrun: cannot find '/no/such/program'");
    run("blue /etc/passwd").fails(126, "vrfrun: cannot run '/etc/passwd': Permission denied");
    run("blue /etc").fails(126, "vrfrun: cannot run '/etc': Is a directory");
    run("nowhere true").fails(125, "vrfrun: cannot bind to interface 'nowhere': No such device");
    run("blue").fails(125, "vrfrun: COMMAND is missing");
    run("--frob blue true").fails(125, "--frob");
    run("blue -v true").fails(125, "'-v' stands after VRF");
    root("vrfrun blue true").fails(125, "vrfrun: cannot bind to VRF 'blue': the interface is not a VRF");
    root("vrfrun").fails(125, "VRF is missing");
}

#[test]
fn a_script_whose_interpreter_is_missing_is_126() {
    let setting = "mount -t tmpfs tmpfs /srv; printf '#!/no/such\\n' >/srv/orphan; chmod 755 /srv/orphan";
    for (who, options) in RUNS {
        let seen = play_after(setting, who, &format!("vrfrun {options} --interface blue /srv/orphan"));
        seen.fails(126, "vrfrun: cannot run '/srv/orphan': No such file or directory");
    }
}

#[test]
fn a_script_without_a_first_line_is_run_by_the_shell_as_execvp_does() {
    let setting = "mount -t tmpfs tmpfs /srv; echo 'probe socket' >/srv/plain; chmod 755 /srv/plain";
    for (who, options) in RUNS {
        play_after(setting, who, &format!("vrfrun {options} --interface blue /srv/plain")).prints("socket blue\n");
    }
}

#[test]
fn a_program_with_address_sanitizer_is_served_without_the_shim() {
    user("vrfrun -v --interface blue probe-asan socket 2>&1")
        .prints("vrfrun: mechanism=seccomp device=blue guard=supervisor\nsocket blue\n");
    user("vrfrun -m preload --interface blue probe-asan socket").fails(125, "built with AddressSanitizer");
    // The judge itself: it would not start. And who tells it to start all the same is taken at his word.
    let lenient = "ASAN_OPTIONS=verify_asan_link_order=0 vrfrun -m preload --interface blue probe-asan socket";
    user(lenient).prints("socket blue\n");
    user("vrfrun -m preload --interface blue sh -c 'probe-asan socket'").fails(1, "ASan runtime does not come first");
}
