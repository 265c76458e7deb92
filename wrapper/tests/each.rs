//! `vrfrun each` and who reads what it shows: a slow reader keeps no signal from the commands, and loses no line.

mod scene;

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::Duration;

use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, pipe, pipe2};

use scene::{Who, play_after, stage};

/// Two VRFs, each emulated by a veth.
const VRFS: &str = "add() { ip link property add dev $1 altname $2
        for family in -4 -6; do
            for way in iif oif; do ip $family rule add pref 1000 $way $2 lookup $3 protocol kernel; done
            ip $family route add unreachable default table $3
        done; }
    add red green 10; add blue gold 11; ";

/// Which stream of vrfrun's is looked at.
#[derive(Clone, Copy, Debug)]
enum Stream {
    Stdout,
    Stderr,
}

const BOTH: [Stream; 2] = [Stream::Stdout, Stream::Stderr];

/// Starts the command in both VRFs and waits until the stream is full; the reader's end.
fn start(stream: Stream, flags: OFlag, command: &str) -> (Child, File) {
    let (reader, writer) = pipe2(OFlag::O_CLOEXEC).unwrap();
    fcntl(&writer, FcntlArg::F_SETFL(flags)).unwrap();
    let redirected = match stream {
        Stream::Stdout => "",
        Stream::Stderr => " >&2",
    };
    let mut run = stage(Who::User, VRFS);
    run.arg(format!("exec vrfrun each -m preload -- sh -c '{command}{redirected}'"));
    let end = Stdio::from(writer.try_clone().unwrap());
    let child = match stream {
        Stream::Stdout => run.stdout(end).spawn(),
        Stream::Stderr => run.stderr(end).spawn(),
    };
    wait_until_full(&writer);
    (child.unwrap(), File::from(reader))
}

fn wait_until_full(writer: &OwnedFd) {
    while poll(&mut [PollFd::new(writer.as_fd(), PollFlags::POLLOUT)], PollTimeout::ZERO).unwrap() > 0 {
        sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_reader_who_takes_nothing_keeps_no_signal_from_the_commands() {
    for stream in BOTH {
        // All of them have this pipe, too: it ends with the last.
        let (all, held) = pipe().unwrap();
        fcntl(&all, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).unwrap();
        let (mut child, _reader) = start(stream, OFlag::empty(), "exec yes");
        drop(held);
        kill(Pid::from_raw(child.id() as i32), Signal::SIGTERM).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(143), "{stream:?}");
        assert_eq!(File::from(all).read(&mut [0]).unwrap(), 0);
    }
}

#[test]
fn a_descriptor_that_never_waits_gets_every_line_whole() {
    for stream in BOTH {
        let (mut child, mut reader) = start(stream, OFlag::O_NONBLOCK, "exec seq 40000");
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0), "{stream:?}");
        for vrf in ["gold: ", "green: "] {
            let numbers = text.lines().filter_map(|line| line.strip_prefix(vrf));
            assert!(numbers.eq((1..=40000).map(|number| number.to_string())), "{stream:?}: {vrf}");
        }
        assert_eq!(text.lines().count(), 80000, "{stream:?}");
    }
}

#[test]
fn output_that_cannot_be_written_is_a_failure_whatever_the_commands_end_with() {
    for each in ["each", "each -j"] {
        let script = format!("exec vrfrun {each} -m preload -- sh -c 'echo x; exit 200' > /dev/full");
        play_after(VRFS, Who::User, &script).fails(125, "cannot write to standard output: No space left on device");
    }
}
