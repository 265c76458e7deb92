//! What a world on somebody's machine keeps to itself: files in /etc, programs in /usr/local/bin, sockets in /run and /tmp.
//! What is put or left there is seen in the world alone, and gone with it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::mount::{MsFlags, mount};

use super::{World, plan};

const NOTHING: Option<&str> = None;

impl World {
    /// Gives the world directories of its own, and in them a plain user `user` with this number, as guests have one.
    ///
    /// # Errors
    /// When one cannot be made.
    pub fn keep_apart(&mut self, user: u32) -> io::Result<()> {
        let etc = self.memory("etc")?;
        let copied = Command::new("cp").args(["-a", "/etc/."]).arg(&etc).status()?;
        if !copied.success() {
            return Err(io::Error::other(format!("cp -a /etc: {copied}")));
        }
        settle(&etc, user)?;
        let (run, local, tmp) = (self.memory("run")?, self.memory("local")?, self.memory("tmp")?);
        // This world's own directory is below /tmp, and stays where it is.
        if let Ok(below) = self.directory().strip_prefix("/tmp") {
            let place = tmp.join(below);
            fs::create_dir_all(&place)?;
            mount(Some(self.directory()), &place, NOTHING, MsFlags::MS_BIND, NOTHING)?;
        }
        fs::set_permissions(&tmp, std::os::unix::fs::PermissionsExt::from_mode(0o1777))?;
        for (own, path) in [(etc, "/etc"), (run, "/run"), (local, "/usr/local/bin"), (tmp, "/tmp")] {
            mount(Some(&own), path, NOTHING, MsFlags::MS_BIND | MsFlags::MS_REC, NOTHING)?;
            self.replaced.push(path.into());
        }
        // These settings are the machine's, in whatever network namespace they are made.
        let kernel = "/proc/sys/kernel";
        mount(Some(kernel), kernel, NOTHING, MsFlags::MS_BIND, NOTHING)?;
        mount(NOTHING, kernel, NOTHING, MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY, NOTHING)?;
        self.replaced.push(kernel.into());
        Ok(())
    }

    /// A file system in memory, on which set-uid programs are what they are elsewhere.
    fn memory(&mut self, name: &str) -> io::Result<PathBuf> {
        let path = self.directory().join(name);
        fs::create_dir(&path)?;
        mount(Some("tmpfs"), &path, Some("tmpfs"), MsFlags::empty(), Some("mode=755"))?;
        self.replaced.push(path.clone());
        Ok(path)
    }
}

/// Names are asked of the world's servers alone, and a user who is not this machine's may be given a password.
fn settle(etc: &Path, user: u32) -> io::Result<()> {
    let resolver = etc.join("resolv.conf");
    // It may lead to a daemon's file in /run.
    fs::remove_file(&resolver)?;
    fs::write(&resolver, plan::resolv_conf())?;
    // Whoever looks up the machine's own name, as sudo does, asks no server for it.
    let machine = fs::read_to_string("/proc/sys/kernel/hostname")?.trim().to_owned();
    fs::write(etc.join("hosts"), format!("127.0.0.1 localhost {machine}\n::1 localhost\n"))?;
    let services = fs::read_to_string(etc.join("nsswitch.conf")).unwrap_or_default();
    let services = services.lines().filter(|line| !line.starts_with("hosts:")).collect::<Vec<_>>().join("\n");
    fs::write(etc.join("nsswitch.conf"), format!("{services}\nhosts: files dns\n"))?;
    for (file, entry) in [
        ("passwd", format!("user:x:{user}:{user}::/tmp:/bin/sh")),
        ("group", format!("user:x:{user}:")),
        ("shadow", "user:*:20000:0:99999:7:::".to_owned()),
    ] {
        let others = fs::read_to_string(etc.join(file))?;
        let others = others.lines().filter(|line| !line.starts_with("user:")).collect::<Vec<_>>().join("\n");
        // The first entry of a number is the one that counts.
        fs::write(etc.join(file), format!("{entry}\n{others}\n"))?;
    }
    match fs::remove_dir_all(etc.join("vrf")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
