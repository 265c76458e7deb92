//! `--explain` and the run that it speaks of: where nothing would be run it says so, whatever the reason is.

mod scene;

use scene::given::{CONNECTING, LISTENER, given};
use scene::{EVERYBODY, STAGE, Who, play_after, root, user};
use serde_json::Value;

/// As it is explained and as it is run, by whom, after this: both fail for this reason, and with the same hint.
#[track_caller]
fn agree(who: Who, setting: &str, before: &str, words: &str, why: &str) {
    let run = play_after(setting, who, &format!("{before} vrfrun {words} true"));
    run.fails(125, why);
    let said = run.stderr();
    let hint = said.strip_prefix(&format!("vrfrun: {why}\n")).unwrap_or_else(|| panic!("more was said: {run}"));
    let explained = play_after(setting, who, &format!("{before} vrfrun --explain {words}"));
    let said = format!("  {why}\nvrfrun would run nothing and exit 125\n{hint}");
    assert_eq!((explained.code(), explained.stderr().as_str()), (125, ""), "{explained}");
    assert!(explained.stdout().ends_with(&said), "{explained}");
    let seen = play_after(setting, who, &format!("{before} vrfrun --explain -j {words}"));
    let json: Value = serde_json::from_str(&seen.stdout()).unwrap_or_else(|error| panic!("{error}: {seen}"));
    assert_eq!((seen.code(), &json["chosen"], &json["refused"]), (125, &Value::Null, &why.into()), "{seen}");
}

#[test]
fn a_vrf_that_cannot_be_left() {
    for (who, outer) in [(Who::User, "preload"), (Who::User, "seccomp"), (Who::Root, "seccomp")] {
        let outer = format!("vrfrun -m {outer} --interface blue");
        let why = "cannot leave 'blue': sockets are bound by something else than a cgroup of vrfrun: 'blue'";
        agree(who, "", &outer, "default", why);
    }
    let leaves = "VRF default: no VRF; the program runs outside any VRF\n";
    root("vrfrun -m bpf --interface blue vrfrun --explain default").prints(leaves);
    for who in EVERYBODY {
        play_after("", who, "vrfrun --explain default").prints(leaves);
    }
}

#[test]
fn files_that_cannot_be_put_over_those_of_the_system() {
    let setting = "mount -t tmpfs tmpfs /srv; cp -a /etc /srv/etc; mount --bind /srv/etc /etc; rm -f /etc/no-such
        mkdir -p /etc/vrf/blue; echo text >/etc/vrf/blue/no-such; chmod -R a+rX /etc/vrf";
    let why = "cannot put '/etc/vrf/blue/no-such' over '/etc/no-such': No such file or directory";
    for who in EVERYBODY {
        agree(who, setting, "", "--interface blue", why);
        play_after(setting, who, "vrfrun --explain --no-etc --interface blue | tail -n 1 | cut -c -16")
            .prints("vrfrun would use\n");
    }
    // In a user namespace that nobody is mapped into no other can be made.
    let why = "cannot make a user namespace: Operation not permitted";
    agree(Who::User, "", "unshare -U", "--dns 192.0.2.53 --interface blue", why);
}

#[test]
fn a_user_that_cannot_be_become() {
    agree(Who::User, "", "", "-u nobody --interface blue", "cannot become 'nobody': --user needs root");
    agree(Who::Root, "", "", "-u no-such --interface blue", "cannot become 'no-such': no such user or group");
    let only = "setpriv --inh-caps=-setuid --bounding-set=-setuid";
    let why = "cannot become user 65534: Operation not permitted";
    agree(Who::Root, "", only, "-u nobody --interface blue", why);
}

/// Root finds the shim, and the user whom it becomes cannot get there: where nothing stands behind it, nothing is run.
#[test]
fn a_shim_that_the_user_cannot_load() {
    let setting =
        "mount -t tmpfs -o mode=755 tmpfs /srv; mkdir -m 755 /srv/open; cp /mnt/vrfrun /mnt/libvrfshim.so /srv/open
        cp -r /srv/open /srv/own; chmod 700 /srv/own; export PATH=/srv/own:$PATH";
    let why = "cannot bind to 'blue': preload: the dynamic linker cannot load '/srv/own/libvrfshim.so'";
    agree(Who::Root, setting, "", "-m preload --no-supervisor -u nobody --interface blue", why);
    for behind in ["--no-supervisor", "--unguarded"] {
        let words = format!("-m preload {behind} -u nobody --interface blue");
        let seen = play_after(setting, Who::Root, &format!("vrfrun --explain {words}"));
        assert_eq!(seen.code(), 125, "{seen}");
        assert!(seen.stdout().ends_with(&format!("  {why}\nvrfrun would run nothing and exit 125\n")), "{seen}");
        for words in [words.replace("-u nobody", ""), words.replace(&format!(" {behind}"), "")] {
            let seen = play_after(setting, Who::Root, &format!("vrfrun --explain {words} | tail -n 1"));
            seen.prints("vrfrun would use preload\n");
        }
        let seen = play_after(setting, Who::Root, &format!("/srv/open/vrfrun --explain {words} | tail -n 1"));
        seen.prints("vrfrun would use preload\n");
    }
}

#[test]
fn sockets_that_cannot_be_inherited() {
    let why = "cannot take descriptor 30 into 'blue': it is ";
    for words in ["true", ""] {
        let explain = if words.is_empty() { "--explain" } else { "" };
        let run = |who, give: &str, options: &str| given(who, give, &format!("{explain} {options} {words}"), "");
        let seen = run(Who::Root, CONNECTING, "--interface blue");
        assert!(format!("{}{}", seen.stdout(), seen.stderr()).contains(why), "{seen}");
        assert!(seen.stdout().ends_with("status 125\n"), "{seen}");
        for (options, status) in [("--interface blue", 0), ("--strict --interface blue", 125)] {
            let seen = run(Who::Root, LISTENER, options);
            assert!(seen.stdout().ends_with(&format!("status {status}\n")), "{seen}");
        }
        let seen = run(Who::Root, CONNECTING, "--keep-fds --interface blue");
        assert!(seen.stdout().ends_with("status 0\n"), "{seen}");
    }
}

#[test]
fn what_cannot_be_printed_is_a_failure_with_a_reason() {
    for words in ["--explain --interface blue", "--explain -j --interface blue", "--help", "--version"] {
        let seen = user(&format!("{STAGE}/vrfrun {words} >/dev/full"));
        seen.fails(125, "cannot write to standard output: No space left on device");
    }
}
