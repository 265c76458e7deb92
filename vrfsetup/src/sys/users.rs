//! The users whose sockets are in a VRF: what the kernel has of them, on the root cgroup. Each change is whole: with the
//! first user come the programs, with the last they go.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;

use nix::errno::Errno;
use nix::net::if_::if_nametoindex;
use vrfabi::group::DEFAULT_DOMAIN;
use vrfbpf::programs::GONE;
use vrfbpf::{User, Users};

use crate::model::place::{NOWHERE, Place};
use crate::model::ports::Ports;
use crate::sys::netlink::KernelError;
use crate::sys::{accounts, mounts, namespaces, run_dir};

/// Whose sockets are where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assigned {
    /// The user.
    pub uid: u32,
    /// The name of the VRF.
    pub vrf: String,
    /// The index that its sockets are bound to; None while there is no such VRF.
    pub ifindex: Option<u32>,
    /// The group whose processes are left in the default domain.
    pub group: Option<u32>,
    /// Whether the user's logins have the VRF's files.
    pub has_etc: bool,
}

impl Assigned {
    /// Where the user is.
    pub fn place(&self) -> Place {
        Place { vrf: self.vrf.clone(), may_leave: self.group.is_some(), has_etc: self.has_etc }
    }

    /// Whether the group has another number by now, or none, or is the user's primary one. Not where nobody can tell.
    pub fn has_stale_group(&self) -> bool {
        self.group.is_some() && way_out(self.uid).is_ok_and(|group| group != self.group)
    }
}

/// The group by which a user leaves. None where there is none, and where it is the user's primary one: that would leave all
/// of its processes outside.
///
/// # Errors
/// The files cannot be read.
pub fn way_out(uid: u32) -> io::Result<Option<u32>> {
    let Some(gid) = accounts::group(DEFAULT_DOMAIN)? else { return Ok(None) };
    Ok(if accounts::is_primary_group(uid, gid)? { None } else { Some(gid) })
}

/// What the kernel has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// The users, by their numbers.
    pub users: Vec<Assigned>,
    /// Whether the root cgroup, and what stands on it, cannot be seen from here: then nothing is known but the users.
    pub is_out_of_sight: bool,
    /// Whether a program is missing that should stand on the root cgroup.
    pub lacks_programs: bool,
    /// The ports by which packets of users' sockets may leave, each with the index of its VRF; None where the kernel cannot
    /// keep them from leaving by others.
    pub ports: Option<Ports>,
    /// Why nobody can tell whose logins have files: one that says so cannot be read. Who is in a VRF is known all the same.
    pub unread: Option<KernelError>,
}

impl State {
    /// Where this user is.
    pub fn of(&self, uid: u32) -> Option<&Assigned> {
        self.users.iter().find(|user| user.uid == uid)
    }

    /// The same for who asks whose logins have files.
    ///
    /// # Errors
    /// Nobody can tell.
    pub fn whole(self) -> Result<Self, KernelError> {
        match self.unread {
            Some(unread) => Err(unread),
            None => Ok(self),
        }
    }
}

/// Reads it.
///
/// # Errors
/// EPERM without CAP_SYS_ADMIN; else as bpf(2), or a file that says whose logins have files cannot be read.
pub fn read() -> Result<State, KernelError> {
    look()?.whole()
}

/// The kernel's part, and what the files say where they can be read.
///
/// # Errors
/// EPERM without CAP_SYS_ADMIN; else as bpf(2).
pub fn look() -> io::Result<State> {
    let Some(cgroup) = root()? else { return look_out_of_sight() };
    let Some(users) = Users::find(&cgroup)? else { return Ok(State::default()) };
    let lacks_programs = !users.is_attached(&cgroup)?;
    let ports = if users.is_guarded() { Some(users.devices()?) } else { None };
    let (users, unread) = all_assigned(users.all()?);
    Ok(State { users, is_out_of_sight: false, lacks_programs, ports, unread })
}

/// The files matter only where there are users.
fn all_assigned(users: Vec<User>) -> (Vec<Assigned>, Option<KernelError>) {
    let with_etc = if users.is_empty() { Ok(Vec::new()) } else { namespaces::uids() };
    let (with_etc, unread) = with_etc.map_or_else(|unread| (Vec::new(), Some(unread)), |uids| (uids, None));
    (users.into_iter().map(|user| assigned(user, &with_etc)).collect(), unread)
}

/// From a cgroup namespace of a container's, or where nobody has mounted cgroup2. Whose process 1 is another one does not know
/// whether its network namespace is the machine's: users are of this one if their VRF is.
fn look_out_of_sight() -> io::Result<State> {
    let sees_first_process = fs::metadata("/proc/thread-self/ns/pid")?.ino() == FIRST_PID_NAMESPACE;
    let is_here = |user: &Assigned| if_nametoindex(user.vrf.as_str()).ok() == user.ifindex;
    let (mut users, unread) = all_assigned(Users::out_of_sight()?);
    users.retain(|user| sees_first_process || is_here(user));
    Ok(State { users, is_out_of_sight: true, unread, ..State::default() })
}

/// The same for who can do without: nothing where it may not be read, or the kernel has none of it.
pub fn visible() -> State {
    look().unwrap_or_default()
}

/// The same for who must not miss users.
///
/// # Errors
/// There may be some, and what could tell cannot be read.
pub fn known() -> Result<State, KernelError> {
    seen().map(Option::unwrap_or_default)
}

/// The same; None where it may not be read, or the kernel has none of it.
///
/// # Errors
/// As [`known`].
pub fn seen() -> Result<Option<State>, KernelError> {
    const NONE: [i32; 4] = [libc::EPERM, libc::EINVAL, libc::ENOSYS, libc::ENOENT];
    match look() {
        Err(error) if error.raw_os_error().is_some_and(|errno| NONE.contains(&errno)) => Ok(None),
        seen => Ok(Some(seen?)),
    }
}

/// Puts a user's sockets into a VRF, whose index is None while it is not there; or takes the user out. Who may leave cannot
/// while there is no group for it. `ports`: those of all VRFs.
///
/// # Errors
/// The kernel's own, or that of /etc/group or of PAM's file; then it is as it was. Who is to have no files is put into the VRF also
/// where that file cannot be read: no login passes then, and the user's sockets must not stay outside for it.
pub fn set(uid: u32, to: Option<(&Place, Option<u32>)>, ports: &Ports) -> Result<(), KernelError> {
    let cgroup = own_root()?.ok_or_else(|| io::Error::other("no cgroup2 is mounted"))?;
    let has_etc = to.is_some_and(|(place, _)| place.has_etc);
    // Whether the user is in PAM's file now; None: it cannot be read, and stays as it is.
    let had_etc = match namespaces::uids() {
        Err(_) if to.is_some() && !has_etc => None,
        uids => Some(uids?.contains(&uid)),
    };
    let group = if to.is_some_and(|(place, _)| place.may_leave) { way_out(uid)? } else { None };
    let users = Users::find(&cgroup)?.map_or_else(|| Ok(Vec::new()), |users| users.all())?;
    let before = users.into_iter().find(|user| user.uid == uid);
    // A run that is killed between the two leaves a user in the file who is in no VRF: that changes no login.
    if has_etc {
        namespaces::set(uid, true)?;
    }
    let done = match to {
        None => remove(&cgroup, uid),
        Some((place, ifindex)) => {
            let vrf = place.vrf.clone().into_bytes();
            add(&cgroup, &User { uid, ifindex: ifindex.unwrap_or(GONE), vrf, group }, ports)
        }
    };
    // Where this fails too, the user's logins, or its sockets, are as it was asked for.
    done.inspect_err(|_| drop(had_etc.map(|had_etc| namespaces::set(uid, had_etc))))?;
    if has_etc || had_etc.is_none() {
        return Ok(());
    }
    Ok(namespaces::set(uid, false).inspect_err(|_| {
        let _ = before.map_or_else(|| remove(&cgroup, uid), |before| add(&cgroup, &before, ports));
    })?)
}

/// Writes the ports of all VRFs, where packets are kept in.
///
/// # Errors
/// The kernel's own.
pub fn write_ports(ports: &Ports) -> io::Result<()> {
    let Some(cgroup) = own_root()? else { return Ok(()) };
    Ok(Users::find(&cgroup)?.map_or(Ok(()), |users| users.write_devices(ports).map(drop))?)
}

/// Attaches the programs that are missing.
///
/// # Errors
/// The kernel's own.
pub fn restore_programs() -> io::Result<()> {
    let Some(cgroup) = own_root()? else { return Ok(()) };
    Ok(Users::find(&cgroup)?.map_or(Ok(()), |users| users.attach(&cgroup))?)
}

/// Detaches what a run that was killed has left, if there are no users: without its map nothing else finds a program of packets.
///
/// # Errors
/// The kernel's own.
pub fn detach_unused() -> io::Result<()> {
    let Some(cgroup) = own_root()? else { return Ok(()) };
    let users = Users::find(&cgroup)?.map_or_else(|| Ok(Vec::new()), |users| users.all())?;
    if users.is_empty() { Ok(Users::detach_all(&cgroup)?) } else { Ok(()) }
}

/// Who comes first is in the map before its programs are attached: nothing of it goes unseen. Its ports are there before it.
fn add(cgroup: &File, user: &User, ports: &Ports) -> Result<(), Errno> {
    let found = Users::find(cgroup)?;
    let users = found.map_or_else(Users::make, Ok)?;
    users.write_devices(ports)?;
    let before = users.all()?.into_iter().find(|other| other.uid == user.uid);
    users.set(user)?;
    let attached = users.is_attached(cgroup).and_then(|is_whole| if is_whole { Ok(()) } else { users.attach(cgroup) });
    attached.inspect_err(|_| {
        // Where this fails too, the user is where it was asked for.
        let _ = before.map_or_else(|| users.remove(user.uid), |before| users.set(&before));
    })
}

fn remove(cgroup: &File, uid: u32) -> Result<(), Errno> {
    let Some(users) = Users::find(cgroup)? else { return Ok(()) };
    users.remove(uid)?;
    if users.all()?.is_empty() { Users::detach_all(cgroup) } else { Ok(()) }
}

fn assigned(User { uid, ifindex, vrf, group }: User, with_etc: &[u32]) -> Assigned {
    let ifindex = Some(ifindex).filter(|&ifindex| ifindex != GONE);
    let vrf = String::from_utf8_lossy(&vrf).into_owned();
    let has_etc = vrf != NOWHERE && with_etc.contains(&uid);
    Assigned { uid, vrf, ifindex, group, has_etc }
}

/// The first cgroup namespace and the first pid namespace (PROC_CGROUP_INIT_INO and PROC_PID_INIT_INO of the kernel).
const FIRST_CGROUP_NAMESPACE: u64 = 0xefff_fffb;
const FIRST_PID_NAMESPACE: u64 = 0xefff_fffc;

/// The root of cgroup2; None where none is mounted, or what is mounted begins below the machine's own, as in containers.
///
/// # Errors
/// /proc cannot be read, or it cannot be opened.
pub fn root() -> io::Result<Option<File>> {
    if fs::metadata("/proc/thread-self/ns/cgroup")?.ino() != FIRST_CGROUP_NAMESPACE {
        return Ok(None);
    }
    Ok(mounts::whole_cgroup2()?.map(|(_, directory)| directory))
}

/// What cannot be seen from another cgroup namespace, nor where nobody has mounted it.
pub const ROOT: &str = "the root of cgroup2, where the programs of users stand";

/// That it is in sight: without it nobody can tell who is in a VRF.
///
/// # Errors
/// ENODEV where it is not; else as [`root`].
pub fn expect_root() -> io::Result<()> {
    root()?.map(drop).ok_or_else(|| io::Error::from_raw_os_error(libc::ENODEV))
}

/// The same for who changes something there: users, VRFs and ports are those of the machine's own network namespace.
fn own_root() -> io::Result<Option<File>> {
    if !run_dir::first_netns()? {
        return Err(io::Error::other("users are not those of this network namespace"));
    }
    root()
}
