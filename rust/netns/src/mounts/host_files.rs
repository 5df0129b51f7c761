//! The host's files as a container's: some of them, or all, not to be written to.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, ResolveFlags, CWD};
use rustix::io::Errno;
use rustix::mount::{MountAttrFlags as Attributes, UnmountFlags};

use super::calls::{self, Reach, NO_DEVICES, PLAIN, READ_ONLY};
use super::place::{Kind, Makes, Place};
use super::volumes::FileMount;
use super::RootIds;
use crate::error::{Error, Result};

const SMALL: [(&str, &str); 2] = [("size", "1m"), ("mode", "0755")];

/// Takes away what a container has no business in.
///
/// `unmount` are mount points whose copies must go (kept namespaces); `hidden` are directories that
/// are covered.
pub(super) fn hide(unmount: &[PathBuf], hidden: &[PathBuf]) -> Result<()> {
    for point in unmount {
        // EINVAL: not mounted in this namespace, which is what is wanted.
        let _ = rustix::mount::unmount(point, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW);
    }
    for directory in hidden {
        let fail = |errno| Error::new("hide", directory, errno);
        let target = match straight(directory) {
            Err(Errno::NOENT) => continue,
            found => found.map_err(fail)?,
        };
        let tree = calls::filesystem("tmpfs", &SMALL, PLAIN).map_err(fail)?;
        calls::attach(tree.as_fd(), target.as_fd()).map_err(fail)?;
    }
    Ok(())
}

/// The host's files themselves.
pub(super) fn open() -> Result<Place> {
    let top = calls::look_up("/").map_err(|errno| Error::new("open", "/", errno))?;
    Ok(Place {
        top,
        makes: Makes::In(Vec::new()),
        owner: RootIds::default(),
    })
}

/// Makes directories read-only, and keeps them where they are.
///
/// In a mount namespace nobody can rename a mount point. What is above a directory is made one, so
/// that no other directory can be put in its place.
pub(super) fn protect(directories: &[PathBuf], kept: &[PathBuf]) -> Result<()> {
    for directory in directories.iter().chain(kept) {
        for above in above(directory) {
            mount_over_itself(above)?;
        }
    }
    for directory in directories {
        let fail = |errno| Error::new("make read-only", directory, errno);
        mount_over_itself(directory)?;
        let mount = straight(directory).map_err(fail)?;
        let none = Attributes::empty();
        calls::change(mount.as_fd(), READ_ONLY, none, Reach::All).map_err(fail)?;
    }
    Ok(())
}

/// From below the root downwards.
fn above(directory: &Path) -> Vec<&Path> {
    let mut found: Vec<_> = directory
        .ancestors()
        .skip(1)
        .filter(|each| each.parent().is_some())
        .collect();
    found.reverse();
    found
}

fn mount_over_itself(directory: &Path) -> Result<()> {
    let fail = |errno| Error::new("keep in place", directory, errno);
    let there = straight(directory).map_err(fail)?;
    if calls::is_mount_root(there.as_fd()).map_err(fail)? {
        return Ok(());
    }
    let tree = calls::copy_all(there.as_fd(), "").map_err(fail)?;
    calls::attach(tree.as_fd(), there.as_fd()).map_err(fail)
}

/// A directory by a path without links.
fn straight(directory: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let how = ResolveFlags::NO_SYMLINKS;
    rustix::fs::openat2(CWD, directory, flags, Mode::empty(), how)
}

/// Makes everything that is mounted read-only.
pub(super) fn make_read_only(place: &Place) -> Result<()> {
    let none = Attributes::empty();
    calls::change(place.top.as_fd(), READ_ONLY, none, Reach::All)
        .map_err(|errno| Error::new("make read-only", "/", errno))
}

/// Puts a layer over /etc if a file that is to be mounted there is missing.
///
/// A host without /etc/hostname must not get one. `plain`: nor may it be a link, because what it
/// leads to is about to be covered.
pub(super) fn complete_etc(place: &mut Place, files: &[FileMount], plain: bool) -> Result<()> {
    let is_there = |file: &FileMount| match plain {
        true => file
            .target
            .symlink_metadata()
            .is_ok_and(|found| found.is_file()),
        false => file.target.exists(),
    };
    let missing: Vec<_> = files.iter().filter(|file| !is_there(file)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let fail = |errno| Error::new("overlay", "/etc", errno);
    let etc = place.target(Path::new("/etc"), Kind::Directory)?;
    let layer = calls::filesystem("tmpfs", &SMALL, PLAIN).map_err(fail)?;
    let tree =
        super::layer::overlay(etc.as_fd(), layer.as_fd(), "etc", NO_DEVICES).map_err(fail)?;
    calls::attach(tree.as_fd(), etc.as_fd()).map_err(fail)?;
    for file in missing {
        let name = file.target.file_name().unwrap_or_default();
        let _ = rustix::fs::unlinkat(&tree, name, rustix::fs::AtFlags::empty());
        rustix::fs::mknodat(
            &tree,
            name,
            rustix::fs::FileType::RegularFile,
            Mode::from_raw_mode(0o644),
            0,
        )
        .map_err(|errno| Error::new("create", &file.target, errno))?;
    }
    Ok(())
}

/// Nothing of the host's files can be opened as a device, whatever is mounted.
pub(super) fn without_devices() -> Result<()> {
    change_all(NO_DEVICES)
}

/// Cuts the new mount namespace off: nothing that is mounted here appears on the host, nor what is
/// mounted there later, here.
pub(super) fn cut_off() -> Result<()> {
    change_all(Attributes::empty())
}

fn change_all(set: Attributes) -> Result<()> {
    let fail = |errno| Error::new("cut off", "/", errno);
    let top = calls::look_up("/").map_err(fail)?;
    calls::change(top.as_fd(), set, Attributes::empty(), Reach::All).map_err(fail)
}
