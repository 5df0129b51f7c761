//! Mounts of machines rather than of containers: kept namespaces, and lab hosts.

use std::path::Path;

use rustix::fs::AtFlags;
use rustix::mount::{MountFlags, MountPropagationFlags};

use crate::error::{Error, Result};

const NO_EXEC: MountFlags = MountFlags::NOSUID
    .union(MountFlags::NODEV)
    .union(MountFlags::NOEXEC);

/// Makes a directory a mount point of its own that shares nothing with other mount namespaces.
///
/// Containers copy the host's mounts when they start. Because all kept namespaces hang below this
/// one point, a container can drop its copies in one step and never keeps another's alive.
pub fn make_mount_point(directory: &Path) -> Result<()> {
    let fail = |errno| Error::new("make mount point", directory, errno);
    if is_mount_point(directory) {
        return Ok(());
    }
    rustix::mount::mount_bind(directory, directory).map_err(fail)?;
    rustix::mount::mount_change(directory, MountPropagationFlags::PRIVATE).map_err(fail)
}

fn is_mount_point(directory: &Path) -> bool {
    let (Ok(own), Some(parent)) = (mount_id(directory), directory.parent()) else {
        return false;
    };
    mount_id(parent).is_ok_and(|parent| parent != own)
}

fn mount_id(path: &Path) -> rustix::io::Result<u64> {
    let wanted = rustix::fs::StatxFlags::MNT_ID;
    rustix::fs::statx(rustix::fs::CWD, path, AtFlags::empty(), wanted).map(|found| found.stx_mnt_id)
}

/// A private /run over the host's, for a lab host that keeps its own state.
pub fn own_runtime() -> Result<()> {
    // As a receiver: what the host mounts later is to be seen.
    let flags = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
    rustix::mount::mount_change("/", flags).map_err(|errno| Error::new("cut off", "/", errno))?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    rustix::mount::mount("tmpfs", "/run", "tmpfs", flags, Some(c"mode=0755"))
        .map_err(|errno| Error::new("mount", "/run", errno))?;
    rustix::mount::mount("proc", "/proc", "proc", NO_EXEC, None)
        .map_err(|errno| Error::new("mount", "/proc", errno))?;
    rustix::mount::mount("sysfs", "/sys", "sysfs", NO_EXEC, None)
        .map_err(|errno| Error::new("mount", "/sys", errno))
}
