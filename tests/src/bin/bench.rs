//! `vrfbench`: measures in a virtual machine, holds the numbers against the bars, writes docs/bench.md and its
//! plot, and fails when a bar is missed. `vrfbench guest` is its other half, in the machine. `vrfbench leak-test`
//! plays the leak test of docs/leak-test.svg and prints it, for `tools/record-svg`. `vrfbench GROUP…` measures no
//! more than that (start, systemd, sockets, supervisor, users, throughput, scale, scale_ip, real); `vrfbench write LOG`
//! writes the page from what several such runs said.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use vrftests::bench::guest::{GROUPS, REAL, UNDER_SYSTEMD};
use vrftests::bench::{self, Measures, plot, real, report};
use vrftests::harness::vm::image::{Images, Root, top};
use vrftests::harness::vm::machine::{Console, Machine};
use vrftests::harness::vm::plan::{FILES, Plan};
use vrftests::harness::vm::report::Event;
use vrftests::harness::{kernels, programs};

const KERNEL: &str = "debian_6_12";
/// The machine whose systemd can bind a scope.
const SYSTEM: &str = "systemd_sid";
/// 4,000 VRFs take their time, and nothing is said meanwhile.
const SILENCE: Duration = Duration::from_secs(1500);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let is_group = |word: &&str| GROUPS.iter().any(|(name, _)| name == word);
    let outcome = match words.as_slice() {
        [] => host(),
        ["guest", group] => bench::guest::main(group).map(|()| true),
        ["write", log] => write_log(Path::new(log)),
        ["leak-test"] => leak_test(),
        ["leak-test-guest"] => bench::leak_test::main().map(|()| true),
        groups if groups.iter().all(is_group) => {
            programs::products().map_err(io::Error::other).and_then(|products| measure(&products, groups)).map(|_| true)
        }
        _ => Err(io::Error::other("usage: vrfbench [leak-test | GROUP... | write LOG]")),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("vrfbench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Says whether every bar was met.
fn host() -> io::Result<bool> {
    let products = programs::products().map_err(io::Error::other)?;
    let (release, measures) = measure(&products, &GROUPS.map(|(name, _)| name))?;
    write(&release, measures)
}

/// Writes the page from what groups said that were measured one after the other.
fn write_log(log: &Path) -> io::Result<bool> {
    let text = std::fs::read_to_string(log)?;
    let release = text.lines().find_map(|line| line.strip_prefix("release ")).unwrap_or("unknown");
    write(release, text.lines().filter_map(bench::heard).collect())
}

fn write(release: &str, mut measures: Measures) -> io::Result<bool> {
    let products = programs::products().map_err(io::Error::other)?;
    let shim = products.iter().find(|path| path.ends_with("libvrfshim.so")).ok_or(io::ErrorKind::NotFound)?;
    measures.insert("size.shim".to_owned(), std::fs::metadata(shim)?.len() as f64);
    let page = report::page(release, &measures);
    let docs = top().join("docs");
    std::fs::create_dir_all(&docs)?;
    std::fs::write(docs.join("bench.md"), &page)?;
    std::fs::write(docs.join("bench-scale.svg"), plot::svg(&measures))?;
    println!("\n{page}");
    let misses = report::misses(&measures);
    for miss in &misses {
        eprintln!("vrfbench: missed: {miss}");
    }
    Ok(misses.is_empty())
}

/// Lets guests measure, and collects what they say.
fn measure(products: &[PathBuf], groups: &[&str]) -> io::Result<(String, Measures)> {
    let (mut release, mut measures, mut failure) = (String::new(), Measures::new(), None);
    for group in groups {
        if *group == REAL {
            measures.extend(here(products)?.lines().filter_map(bench::heard));
            continue;
        }
        boot(products, &["guest", group], Console::CountingLog, |event| match event {
            Event::Ready { release: it, .. } => {
                println!("release {it}");
                release.clone_from(it);
            }
            Event::Say { text } => {
                println!("{text}");
                measures.extend(bench::heard(text));
            }
            Event::Test { output, .. } => failure = Some(format!("{group}: the guest failed: {output}")),
            Event::Done => {}
        })?;
    }
    failure.map_or(Ok((release, measures)), |failure| Err(io::Error::other(failure)))
}

/// What is measured on this machine, in a network namespace of its own.
fn here(products: &[PathBuf]) -> io::Result<String> {
    let programs = build(products)?;
    let of = |paths: &[PathBuf]| paths.first().and_then(|path| path.parent()).map(Path::to_owned);
    let places = [of(products), of(&programs)].into_iter().flatten().map(std::path::absolute);
    let mut places = places.collect::<io::Result<Vec<_>>>()?;
    places.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    let output = Command::new("unshare")
        .args(["--net", "sh", "-ec", real::SCENE, "sh"])
        .arg(std::env::current_exe()?)
        .args(["guest", REAL])
        .env("PATH", std::env::join_paths(places).map_err(io::Error::other)?)
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    println!("{text}");
    if output.status.success() { Ok(text) } else { Err(io::Error::other(String::from_utf8_lossy(&output.stderr))) }
}

/// Prints the transcript. Says whether the guest was content.
fn leak_test() -> io::Result<bool> {
    let mut is_content = true;
    boot(&programs::products().map_err(io::Error::other)?, &["leak-test-guest"], Console::Log, |event| match event {
        Event::Say { text } => println!("{text}"),
        Event::Test { .. } => is_content = false,
        Event::Ready { .. } | Event::Done => {}
    })?;
    Ok(is_content)
}

/// Boots, has this program do one thing there, and hands on what it says.
fn boot(products: &[PathBuf], what: &[&str], console: Console, see: impl FnMut(&Event)) -> io::Result<()> {
    let missing = || io::Error::other("no such machine in tests/kernels.toml");
    let (kernel, root) = if what.contains(&UNDER_SYSTEMD) {
        let system = kernels::system(SYSTEM).ok_or_else(missing)?;
        (system.kernel(), Root::Systemd(system.packages, system.suite))
    } else {
        (kernels::named(KERNEL).ok_or_else(missing)?, Root::Usual)
    };
    let this = std::env::current_exe()?;
    let mut tested = vec![this.with_file_name("vrfguest"), this.with_file_name("vrfpeer"), this];
    tested.extend(build(products)?);
    tested.extend(products.iter().cloned());
    if let Root::Systemd(..) = root {
        tested.extend(FILES.map(|file| top().join("dist").join(file)));
    }
    let plan = Plan::Run(["vrfbench"].iter().chain(what).map(|word| (*word).to_owned()).collect());
    let images = Images::prepare(&kernel, &plan, &tested, &root)?;
    let watched = Machine::boot(&images, console).and_then(|mut machine| machine.watch(SILENCE, see));
    watched.map_err(|failure| {
        let log = std::fs::read(&images.console).unwrap_or_default();
        io::Error::other(format!("{failure}; its console:\n{}", String::from_utf8_lossy(&log)))
    })
}

/// Builds the programs of tests/bench beside the products.
fn build(products: &[PathBuf]) -> io::Result<Vec<PathBuf>> {
    let release = products[0].parent().unwrap_or(Path::new("."));
    let out = release.with_file_name("bench-programs");
    std::fs::create_dir_all(&out)?;
    let status = Command::new("make")
        .args(["-s", "-C"])
        .arg(top().join("tests/bench"))
        .arg(format!("OUT={}", std::path::absolute(&out)?.display()))
        .arg(format!("SHIM={}", std::path::absolute(release)?.display()))
        .env_remove("MAKEFLAGS")
        .status()?;
    if !status.success() {
        return Err(io::Error::other("the programs of tests/bench cannot be built"));
    }
    std::fs::read_dir(&out)?.map(|entry| entry.map(|entry| entry.path())).collect()
}
