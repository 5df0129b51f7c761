//! /proc and /sys of a container's own namespaces, and what of them it may not read or write.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::MountAttrFlags as Attributes;

use super::calls::{self, Reach};
use super::place::Place;
use crate::error::{Error, Result};

/// Files and directories of /proc that a container may read only. The kernel's settings are always
/// there; the rest, as the kernel was built.
const SETTINGS: &str = "sys";
const READ_ONLY: [&str; 4] = ["bus", "fs", "irq", "sysrq-trigger"];
/// What tells of the host, or of its other processes: as in Docker.
const MASKED_OF_PROC: [&str; 10] = [
    "acpi",
    "asound",
    "interrupts",
    "kcore",
    "keys",
    "latency_stats",
    "sched_debug",
    "scsi",
    "timer_list",
    "timer_stats",
];
const MASKED_OF_SYS: [&str; 2] = ["firmware", "devices/virtual/powercap"];
const PROCESSORS: &str = "devices/system/cpu";
const THROTTLE: &str = "thermal_throttle";

/// Mounts /proc. With a `null` to cover files by, what is to be kept from a container is.
pub(super) fn mount_proc(place: &Place, null: Option<BorrowedFd<'_>>) -> Result<()> {
    let fail = |errno| Error::new("mount", "/proc", errno);
    let target = place.standard("proc")?;
    let proc = calls::filesystem("proc", &[], calls::PLAIN).map_err(fail)?;
    calls::attach(proc.as_fd(), target.as_fd()).map_err(fail)?;
    let Some(null) = null else {
        return Ok(());
    };
    // Whatever is wrong with the settings, a container must not start with them to write to.
    protect(proc.as_fd(), SETTINGS).map_err(fail)?;
    for name in READ_ONLY {
        unless_missing(protect(proc.as_fd(), name)).map_err(fail)?;
    }
    let mut mask = Mask { null, empty: None };
    mask.all(proc.as_fd(), &MASKED_OF_PROC).map_err(fail)
}

/// Mounts /sys, to read only if there is anything to be kept from a container.
pub(super) fn mount_sys(place: &Place, null: Option<BorrowedFd<'_>>) -> Result<()> {
    let fail = |errno| Error::new("mount", "/sys", errno);
    let attributes = match null {
        None => calls::PLAIN,
        Some(_) => calls::PLAIN | calls::READ_ONLY,
    };
    let target = place.standard("sys")?;
    let sys = calls::filesystem("sysfs", &[], attributes).map_err(fail)?;
    calls::attach(sys.as_fd(), target.as_fd()).map_err(fail)?;
    let Some(null) = null else {
        return Ok(());
    };
    let mut mask = Mask { null, empty: None };
    mask.all(sys.as_fd(), &MASKED_OF_SYS).map_err(fail)?;
    mask_throttles(sys.as_fd(), &mut mask).map_err(fail)
}

/// How hot each processor has been, which tells what others compute.
fn mask_throttles(sys: BorrowedFd<'_>, mask: &mut Mask<'_>) -> rustix::io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let Ok(processors) = rustix::fs::openat(sys, PROCESSORS, flags, Mode::empty()) else {
        return Ok(());
    };
    // All of them have it, or none.
    if rustix::fs::accessat(
        &processors,
        format!("cpu0/{THROTTLE}"),
        rustix::fs::Access::EXISTS,
        rustix::fs::AtFlags::empty(),
    )
    .is_err()
    {
        return Ok(());
    }
    for entry in rustix::fs::Dir::read_from(&processors)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.strip_prefix("cpu").is_some_and(is_number) {
            unless_missing(mask.one(processors.as_fd(), &format!("{name}/{THROTTLE}")))?;
        }
    }
    Ok(())
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Makes one name below a mount of ours read-only.
fn protect(at: BorrowedFd<'_>, name: &str) -> rustix::io::Result<()> {
    let tree = calls::copy(at, name)?;
    let attributes = calls::PLAIN | calls::READ_ONLY;
    calls::change(tree.as_fd(), attributes, Attributes::empty(), Reach::One)?;
    calls::attach_at(tree.as_fd(), at, name)
}

fn unless_missing(done: rustix::io::Result<()>) -> rustix::io::Result<()> {
    match done {
        Err(Errno::NOENT) => Ok(()),
        done => done,
    }
}

/// What covers files and directories that are not to be seen.
struct Mask<'a> {
    null: BorrowedFd<'a>,
    /// An empty directory that nothing can be made in; its first mount, once there is one.
    empty: Option<OwnedFd>,
}

impl Mask<'_> {
    /// Covers names below a mount of ours, as many of them as there are.
    fn all(&mut self, at: BorrowedFd<'_>, names: &[&str]) -> rustix::io::Result<()> {
        names
            .iter()
            .try_for_each(|name| unless_missing(self.one(at, name)))
    }

    fn one(&mut self, at: BorrowedFd<'_>, name: &str) -> rustix::io::Result<()> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let target = rustix::fs::openat(at, name, flags, Mode::empty())?;
        let kind = rustix::fs::fstat(&target)?.st_mode;
        if rustix::fs::FileType::from_raw_mode(kind) != rustix::fs::FileType::Directory {
            let tree = calls::copy(self.null, "")?;
            return calls::attach(tree.as_fd(), target.as_fd());
        }
        match &self.empty {
            Some(first) => {
                let tree = calls::copy(first.as_fd(), "")?;
                calls::attach(tree.as_fd(), target.as_fd())
            }
            None => {
                let options = [("size", "4k"), ("nr_inodes", "1"), ("mode", "0555")];
                let attributes = calls::PLAIN | calls::READ_ONLY;
                let tree = calls::filesystem("tmpfs", &options, attributes)?;
                calls::attach(tree.as_fd(), target.as_fd())?;
                self.empty = Some(tree);
                Ok(())
            }
        }
    }
}
