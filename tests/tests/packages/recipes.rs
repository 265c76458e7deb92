//! The recipes of Arch and Alpine Linux: their functions are run by their shells, in the order of makepkg and abuild, on
//! the release's tarball of sources. Neither of those programs runs here, and nothing is compiled: a script in the place of
//! cargo notes what it is asked for and hands out what was built before.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use vrftests::harness::programs;

use super::{OBJECT, archives, content, path, run, text};

const VERSION: &str = env!("CARGO_PKG_VERSION");

struct Build {
    directory: TempDir,
}

impl Build {
    /// Has `shell` read the recipe and run its functions; a step that fails ends it.
    fn run(recipe: &str, shell: &[&str], functions: &str) -> Self {
        let archives = archives::archives();
        let sources = archives::unpack(&archives, &format!("vrfrun-{VERSION}"));
        let build = Self { directory: tempfile::tempdir().expect("a directory") };
        fs::create_dir_all(build.path("src")).expect("a directory");
        run("cp", ["-a", path(sources.path()), path(&build.path(&format!("src/vrfrun-{VERSION}")))]);
        build.put_cargo();
        let recipe = archives.path().join(recipe);
        let script = format!("set -eu; . {}\n{functions}", path(&recipe));
        let search = format!("PATH={}:{}", path(&build.path("bin")), std::env::var("PATH").expect("PATH"));
        let variables = ["srcdir", "pkgdir"].map(|name| format!("{name}={}", path(&build.path(&name[..3]))));
        let environment = ["-u", "MAKEFLAGS", &search].into_iter().chain(variables.iter().map(String::as_str));
        run("env", environment.chain(shell.iter().copied()).chain(["-c", &script]));
        let sum = format!("sha256sum {0} | cut -c1-64; sha512sum {0} | cut -c1-128", path(&tarball(archives.path())));
        let sums = text(&run("sh", ["-c", &sum]).stdout);
        let written = fs::read_to_string(&recipe).expect("the recipe");
        assert!(sums.lines().any(|sum| written.contains(sum)) && !written.contains('@'), "{written}");
        build
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn put_cargo(&self) {
        let products = programs::products().expect("built");
        let release = path(products[0].parent().expect("a directory")).to_owned();
        let script = format!(
            "#!/bin/sh\nset -e\necho \"$*\" >>{log}\ncase \" $* \" in *' build '*)\nmkdir -p target/release\n\
             cd {release}\ncp vrfrun vrfsetup libvrfshim.so libvrfshim.a \"$OLDPWD/target/release\" ;;\nesac\n",
            log = path(&self.path("log"))
        );
        fs::create_dir(self.path("bin")).expect("a directory");
        fs::write(self.path("bin/cargo"), script).expect("a script");
        fs::set_permissions(self.path("bin/cargo"), fs::Permissions::from_mode(0o755)).expect("its mode");
    }

    /// What is in the package, after some checks that hold for both.
    fn package(&self) -> BTreeSet<String> {
        let asked = fs::read_to_string(self.path("log")).expect("what cargo was asked for");
        assert_eq!(asked, "fetch --locked\n--frozen build --release -p vrfrun -p vrfsetup -p vrfshim\n");
        let vrfrun = self.path("pkg/usr/bin/vrfrun");
        assert_eq!(text(&run(path(&vrfrun), ["--version"]).stdout), format!("vrfrun {VERSION}\n"));
        let preload = run(path(&vrfrun), ["-m", "preload", "--interface", "lo", "printenv", "LD_PRELOAD"]);
        assert_eq!(text(&preload.stdout).trim(), path(&self.path("pkg/usr/lib").join(OBJECT)));
        let files = content(&self.path("pkg"));
        assert!(files.iter().all(|file| file == " d" || file.starts_with("usr")), "outside /usr: {files:?}");
        for file in ["share/man/man1/vrfrun.1", "share/licenses/vrfrun/LICENSE-MIT", "lib/libvrfshim.so.0"] {
            assert!(files.contains(&format!("usr/{file} f")), "no {file} in {files:?}");
        }
        files
    }
}

fn tarball(directory: &Path) -> PathBuf {
    directory.join(format!("vrfrun-{VERSION}.tar.gz"))
}

#[test]
fn the_recipe_of_arch_linux_packs_what_cargo_builds_from_the_release() {
    let functions = "for function in prepare build package; do (cd \"$srcdir\"; $function); done";
    let files = Build::run("PKGBUILD", &["bash"], functions).package();
    assert!(files.contains("usr/bin/vrfsetup f") && !files.iter().any(|file| file.contains("sbin")), "{files:?}");
    assert!(files.contains("usr/lib/systemd/system/vrfsetup.service f"), "{files:?}");
}

#[test]
fn the_recipe_of_alpine_linux_packs_what_cargo_builds_from_the_release() {
    let functions = "default_prepare() { :; }\n\
        for function in prepare build package; do (cd \"$srcdir/$pkgname-$pkgver\"; $function); done";
    let files = Build::run("APKBUILD", &["busybox", "sh"], functions).package();
    assert!(files.contains("usr/sbin/vrfsetup f"), "{files:?}");
    assert!(!files.iter().any(|file| file.contains("systemd")), "{files:?}");
}
