//! The recipes of docs/recipes.md that need a program or two of their own: chrony, a container's image.

use super::guest_tests;
use crate::guest::run::containers::{Image, Inside, judge};
use crate::harness::judge::{Verdict, root, user};
use crate::harness::wait;
use crate::harness::world::{Domain, Kind, World};

guest_tests! {
    chronyd_keeps_time_by_a_server_in_the_vrf needs [Once],
    an_image_with_vrfrun_as_its_entry_point,
}

const PAGE: &str = include_str!("../../../../docs/recipes.md");

/// What stands in the page in the first block of this language.
fn block(language: &str) -> &'static str {
    let (_, rest) = PAGE.split_once(&format!("```{language}\n")).unwrap_or_else(|| panic!("no block of {language}"));
    rest.split_once("```").map(|(block, _)| block).expect("the end of the block")
}

fn chronyd_keeps_time_by_a_server_in_the_vrf() {
    let mut world = World::of_machine(Kind::Vrfs).expect("a world");
    let ask = ["vrfrun", "blue", "chronyd", "-Q", "-t", "120", "server 192.0.2.80 iburst"];
    let verdict = world.judge(&user(ask));
    assert_eq!((verdict.code, served(&verdict)), (0, [0, 1, 0].map(|any| any > 0)), "{verdict}");

    world.replace("/etc/chrony/chrony.conf", b"server 192.0.2.80 iburst\n").expect("a configuration");
    let mut daemon = world.start(&root(["vrfrun", "-m", "bpf", "blue", "chronyd", "-d"]));
    wait::until(has_chosen_a_server, |has_chosen| *has_chosen);
    daemon.interrupt();
    let verdict = daemon.finish(&mut world);
    assert_eq!(served(&verdict), [false, true, false], "{verdict}");
}

/// In whose domain the time was asked for.
fn served(verdict: &Verdict) -> [bool; 3] {
    Domain::ALL.map(|domain| verdict.packets(domain) > 0)
}

/// By chrony's own word, which chronyc gets over a Unix socket.
fn has_chosen_a_server() -> bool {
    let sources = std::process::Command::new("chronyc").args(["-n", "sources"]).output().expect("chronyc");
    String::from_utf8_lossy(&sources.stdout).contains("^* 192.0.2.80")
}

/// The lines of the Dockerfile, obeyed by hand: podman would do no more.
fn an_image_with_vrfrun_as_its_entry_point() {
    let mut world = World::of_machine(Kind::Vrfs).expect("a world");
    let image = Image::musl(&world);
    let file = block("dockerfile");
    let argument =
        |word: &str| file.lines().find_map(|line| line.strip_prefix(word)).unwrap_or_else(|| panic!("{word}"));
    let copy: Vec<&str> = argument("COPY ").split_whitespace().collect();
    let (directory, sources) = copy.split_last().expect("a directory");
    image.copy_in(&world, sources, directory);
    let mut words: Vec<String> = serde_json::from_str(argument("ENTRYPOINT ")).expect("JSON");
    assert_eq!(words[0], "vrfrun");
    words[0].insert_str(0, directory);
    words.push("/bin/resolve_musl".to_owned());
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    judge(&mut world, &image, Inside::Root, &words).assert_blue();
    judge(&mut world, &image, Inside::User, &words).assert_blue();
}
