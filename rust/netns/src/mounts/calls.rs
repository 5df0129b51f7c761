//! System calls that mount by descriptor: nothing here looks a path up that a container can change.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, StatxAttributes, StatxFlags, CWD};
use rustix::io::{Errno, Result};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags as Attributes, MoveMountFlags, OpenTreeFlags,
};
use rustix::path::Arg;

pub(super) const READ_ONLY: Attributes = Attributes::MOUNT_ATTR_RDONLY;
pub(super) const NO_DEVICES: Attributes = Attributes::MOUNT_ATTR_NODEV;
pub(super) const NO_SETUID: Attributes = Attributes::MOUNT_ATTR_NOSUID;
pub(super) const NO_EXEC: Attributes = Attributes::MOUNT_ATTR_NOEXEC;
/// Of a mount with nothing to run and nothing to open but files.
pub(super) const PLAIN: Attributes = NO_DEVICES.union(NO_SETUID).union(NO_EXEC);

/// A new file system, mounted nowhere yet. An option without a value is a flag.
pub(super) fn filesystem(
    kind: &str,
    options: &[(&str, &str)],
    attributes: Attributes,
) -> Result<OwnedFd> {
    let context = rustix::mount::fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    for (key, value) in options {
        if value.is_empty() {
            rustix::mount::fsconfig_set_flag(&context, *key)?;
        } else {
            rustix::mount::fsconfig_set_string(&context, *key, *value)?;
        }
    }
    rustix::mount::fsconfig_create(&context)?;
    rustix::mount::fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

/// A second mount of what is there, mounted nowhere yet; an empty path is the descriptor's own.
pub(super) fn copy(at: BorrowedFd<'_>, path: impl Arg) -> Result<OwnedFd> {
    rustix::mount::open_tree(at, path, copying())
}

/// The same with everything that is mounted below.
pub(super) fn copy_all(at: BorrowedFd<'_>, path: impl Arg) -> Result<OwnedFd> {
    rustix::mount::open_tree(at, path, copying() | OpenTreeFlags::AT_RECURSIVE)
}

fn copying() -> OpenTreeFlags {
    OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH
        | OpenTreeFlags::AT_SYMLINK_NOFOLLOW
}

/// Mounts what `filesystem` or `copy` gave over what a descriptor is of.
pub(super) fn attach(tree: BorrowedFd<'_>, target: BorrowedFd<'_>) -> Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    rustix::mount::move_mount(tree, "", target, "", flags)
}

/// The same over a name in a directory that only we have written to.
pub(super) fn attach_at(tree: BorrowedFd<'_>, at: BorrowedFd<'_>, name: &str) -> Result<()> {
    rustix::mount::move_mount(tree, "", at, name, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
}

/// Which mounts `change` is about.
#[derive(Clone, Copy)]
pub(super) enum Reach {
    One,
    /// And all that are mounted below.
    All,
}

/// Changes attributes of mounts, which share nothing with other namespaces afterwards.
///
/// Private and not only a receiver: what the host mounts later would come without the attributes.
pub(super) fn change(
    mount: BorrowedFd<'_>,
    set: Attributes,
    clear: Attributes,
    reach: Reach,
) -> Result<()> {
    let attributes = libc::mount_attr {
        attr_set: set.bits().into(),
        attr_clr: clear.bits().into(),
        propagation: libc::MS_PRIVATE,
        userns_fd: 0,
    };
    set_attributes(mount, &attributes, reach)
}

/// Has files of a mount that `copy` gave belong to the ids that theirs are in a user namespace.
///
/// What that has as 0 is written as 0, whichever id outside it is. Where the kernel and the file
/// system can (`mount_setattr(2)`, Linux 5.12), and once a mount.
pub(super) fn map_ids(mount: BorrowedFd<'_>, users: BorrowedFd<'_>) -> Result<()> {
    set_attributes(mount, &mapping(users), Reach::One)
}

/// The same with what is mounted below, if all of that can.
pub(super) fn map_ids_below(mount: BorrowedFd<'_>, users: BorrowedFd<'_>) -> Result<()> {
    set_attributes(mount, &mapping(users), Reach::All).or_else(|_| map_ids(mount, users))
}

fn mapping(users: BorrowedFd<'_>) -> libc::mount_attr {
    libc::mount_attr {
        attr_set: libc::MOUNT_ATTR_IDMAP,
        attr_clr: 0,
        propagation: 0,
        userns_fd: users.as_raw_fd() as u64,
    }
}

fn set_attributes(
    mount: BorrowedFd<'_>,
    attributes: &libc::mount_attr,
    reach: Reach,
) -> Result<()> {
    let recursive = match reach {
        Reach::One => 0,
        Reach::All => libc::AT_RECURSIVE,
    };
    // SAFETY: the path is a string that ends in NUL, the attributes outlive the call and their size
    // is told.
    let status = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH | recursive,
            std::ptr::from_ref(attributes),
            size_of_val(attributes),
        )
    };
    match status {
        0 => Ok(()),
        _ => Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)),
    }
}

/// The number of the mount that a descriptor is in.
pub(super) fn mount_id(fd: BorrowedFd<'_>) -> Result<u64> {
    rustix::fs::statx(fd, "", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID).map(|found| found.stx_mnt_id)
}

/// Whether a descriptor is of the root of a mount.
pub(super) fn is_mount_root(fd: BorrowedFd<'_>) -> Result<bool> {
    rustix::fs::statx(fd, "", AtFlags::EMPTY_PATH, StatxFlags::TYPE)
        .map(|found| found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

/// A directory or file of the host, by a path that was given to us.
pub(super) fn look_up(path: impl Arg) -> Result<OwnedFd> {
    let flags = rustix::fs::OFlags::PATH | rustix::fs::OFlags::CLOEXEC;
    rustix::fs::openat(CWD.as_fd(), path, flags, rustix::fs::Mode::empty())
}
