//! The minimal /dev: device nodes, terminals and shared memory of the container's own.
//!
//! Its nodes are not the host's: a container that changes the mode of one has changed its own.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{FileType, Mode};
use rustix::io::Errno;
use rustix::mount::MountAttrFlags as Attributes;

use super::calls::{self, Reach, NO_DEVICES, NO_EXEC, NO_SETUID};
use super::place::Place;
use super::RootIds;
use crate::error::{Error, Result};

/// As in the OCI runtime specification, with major and minor numbers.
const DEVICES: [(&str, u32, u32); 6] = [
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("random", 1, 8),
    ("urandom", 1, 9),
    ("tty", 5, 0),
];
const LINKS: [(&str, &str); 5] = [
    ("ptmx", "pts/ptmx"),
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
];

/// Mounts a /dev in which nothing can be opened but what is made here; gives its `null`.
pub(super) fn mount(
    place: &Place,
    privileged: bool,
    shm_size: u64,
    owner: RootIds,
) -> Result<OwnedFd> {
    let fail = |errno| Error::new("mount", "/dev", errno);
    let target = place.standard("dev")?;
    let (user, group) = (owner.user.to_string(), owner.group.to_string());
    let options = [
        ("mode", "0755"),
        ("size", "64k"),
        ("uid", user.as_str()),
        ("gid", group.as_str()),
    ];
    let dev = calls::filesystem("tmpfs", &options, NO_SETUID | NO_EXEC).map_err(fail)?;
    // Of the host's, before /dev of the host is covered.
    let console = console();
    let hosts = calls::look_up("/dev").map_err(fail)?;
    calls::attach(dev.as_fd(), target.as_fd()).map_err(fail)?;
    let nodes = nodes(dev.as_fd(), hosts.as_fd()).map_err(fail)?;
    if !privileged {
        let none = Attributes::empty();
        calls::change(dev.as_fd(), NO_DEVICES, none, Reach::One).map_err(fail)?;
    }
    for ((name, _, _), node) in DEVICES.iter().zip(&nodes) {
        calls::attach_at(node.as_fd(), dev.as_fd(), name).map_err(fail)?;
    }
    if let Some(terminal) = console {
        make_file(dev.as_fd(), "console").map_err(fail)?;
        calls::attach_at(terminal.as_fd(), dev.as_fd(), "console").map_err(fail)?;
    }
    furnish(dev.as_fd(), shm_size, owner).map_err(fail)?;
    nodes.into_iter().next().ok_or(fail(Errno::NODEV))
}

/// A mount of each device, in which it can be opened, unlike in /dev itself.
fn nodes(dev: BorrowedFd<'_>, hosts: BorrowedFd<'_>) -> rustix::io::Result<Vec<OwnedFd>> {
    let mut mounts = Vec::with_capacity(DEVICES.len());
    for (name, major, minor) in DEVICES {
        let number = rustix::fs::makedev(major, minor);
        let mode = Mode::from_raw_mode(0o666);
        match rustix::fs::mknodat(dev, name, FileType::CharacterDevice, mode, number) {
            Ok(()) => {
                rustix::fs::chmodat(dev, name, mode, rustix::fs::AtFlags::empty())?;
                mounts.push(calls::copy(dev, name)?);
            }
            // In a user namespace nodes cannot be made; then those that are there are used.
            Err(Errno::PERM) => {
                make_file(dev, name)?;
                let node = calls::copy(hosts, name)?;
                let set = NO_SETUID | NO_EXEC;
                calls::change(node.as_fd(), set, NO_DEVICES, Reach::One)?;
                mounts.push(node);
            }
            Err(errno) => return Err(errno),
        }
    }
    Ok(mounts)
}

fn make_file(at: BorrowedFd<'_>, name: &str) -> rustix::io::Result<()> {
    let mode = Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(at, name, FileType::RegularFile, mode, 0)
}

/// The container's terminal, if it has one: programs look for its name in /dev (`ttyname(3)`).
fn console() -> Option<OwnedFd> {
    let name = std::fs::read_link("/proc/self/fd/0").ok()?;
    if !name.starts_with("/dev/pts") {
        return None;
    }
    let tree = calls::copy(rustix::fs::CWD, &name).ok()?;
    // The host's /dev/pts may be without devices by now.
    calls::change(tree.as_fd(), NO_SETUID | NO_EXEC, NO_DEVICES, Reach::One).ok()?;
    Some(tree)
}

fn furnish(dev: BorrowedFd<'_>, shm_size: u64, owner: RootIds) -> rustix::io::Result<()> {
    let group = owner.terminals.to_string();
    let options = [
        ("newinstance", ""),
        ("ptmxmode", "0666"),
        ("mode", "0620"),
        ("gid", group.as_str()),
    ];
    let terminals = calls::filesystem("devpts", &options, NO_SETUID | NO_EXEC)?;
    let memory = shared_memory(shm_size, calls::PLAIN)?;
    for (name, tree) in [("pts", terminals), ("shm", memory)] {
        rustix::fs::mkdirat(dev, name, Mode::from_raw_mode(0o755))?;
        calls::attach_at(tree.as_fd(), dev, name)?;
    }
    for (name, leads_to) in LINKS {
        rustix::fs::symlinkat(leads_to, dev, name)?;
    }
    Ok(())
}

/// Memory to share, of a size in bytes, or of the kernel's choice if that is 0.
fn shared_memory(size: u64, attributes: Attributes) -> rustix::io::Result<OwnedFd> {
    let bytes = size.to_string();
    let options = [("mode", "1777"), ("size", bytes.as_str())];
    let given = if size == 0 { 1 } else { 2 };
    calls::filesystem("tmpfs", &options[..given], attributes)
}

/// Shared memory of its own in the host's /dev, which a privileged container sees.
pub(super) fn mount_shared_memory(size: u64) -> Result<()> {
    let fail = |errno| Error::new("mount", "/dev/shm", errno);
    let target = match calls::look_up(Path::new("/dev/shm")) {
        Err(Errno::NOENT) => return Ok(()),
        found => found.map_err(fail)?,
    };
    let attributes = NO_SETUID | NO_DEVICES;
    let tree = shared_memory(size, attributes).map_err(fail)?;
    calls::attach(tree.as_fd(), target.as_fd()).map_err(fail)
}
