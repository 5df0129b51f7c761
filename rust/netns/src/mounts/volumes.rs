//! What is mounted into a container beside its root: files of netyard's, volumes, tmpfs.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, CWD};
use rustix::mount::MountAttrFlags as Attributes;

use super::calls::{self, Reach, NO_DEVICES, NO_EXEC, NO_SETUID, READ_ONLY};
use super::place::{Kind, Makes, Place};
use super::MAP_IDS;
use crate::error::{Error, Result};

/// A file of the container's own that appears over one of the root's.
pub struct FileMount {
    pub source: PathBuf,
    /// Absolute path inside the container.
    pub target: PathBuf,
}

/// Something of the caller's that appears in the container.
pub struct Volume {
    pub what: VolumeKind,
    /// Absolute path inside the container.
    pub target: PathBuf,
    pub read_only: bool,
    /// Its files have the container's ids.
    pub maps_ids: bool,
}

pub enum VolumeKind {
    /// A directory or file of the host, with what is mounted below it.
    Bind(PathBuf),
    /// A new tmpfs, with mount options as `mount -o` has them.
    Temporary(Vec<(String, String)>),
}

/// A mount that is not yet where it belongs.
pub(super) struct Waiting<'a> {
    tree: OwnedFd,
    pub(super) target: &'a Path,
    pub(super) kind: Kind,
    /// Its mount point can be made in it: it is empty, and the container's own.
    is_own: bool,
}

/// Opens everything, before anything is covered: a source may lie below a hidden directory.
///
/// In the order in which it is to be mounted: what is nearer to the root first, and of one target
/// only what the caller asked for.
pub(super) fn open_all<'a>(
    files: &'a [FileMount],
    volumes: &'a [Volume],
    privileged: bool,
    users: Option<BorrowedFd<'_>>,
) -> Result<Vec<Waiting<'a>>> {
    let mut found = Vec::with_capacity(files.len() + volumes.len());
    for file in files {
        if volumes.iter().all(|volume| volume.target != file.target) {
            found.push(open_file(file)?);
        }
    }
    for volume in volumes {
        found.push(open_volume(volume, privileged, users)?);
    }
    found.sort_by_key(|each| each.target.components().count());
    Ok(found)
}

fn open_file(file: &FileMount) -> Result<Waiting<'_>> {
    let fail = |errno| Error::new("open", &file.source, errno);
    let tree = calls::copy(CWD, &file.source).map_err(fail)?;
    let set = NO_DEVICES | NO_SETUID;
    calls::change(tree.as_fd(), set, READ_ONLY, Reach::One).map_err(fail)?;
    Ok(Waiting {
        tree,
        target: &file.target,
        kind: Kind::File,
        is_own: false,
    })
}

fn open_volume<'a>(
    volume: &'a Volume,
    privileged: bool,
    users: Option<BorrowedFd<'_>>,
) -> Result<Waiting<'a>> {
    let mut set = Attributes::empty();
    set.set(NO_DEVICES, !privileged);
    set.set(READ_ONLY, volume.read_only);
    let (tree, kind) = match &volume.what {
        VolumeKind::Bind(source) => {
            let fail = |errno| Error::new("mount volume", source, errno);
            let there = calls::look_up(source).map_err(fail)?;
            let mode = rustix::fs::fstat(&there).map_err(fail)?.st_mode;
            let kind = match FileType::from_raw_mode(mode) {
                FileType::Directory => Kind::Directory,
                _ => Kind::File,
            };
            let tree = calls::copy_all(there.as_fd(), "").map_err(fail)?;
            let none = Attributes::empty();
            calls::change(tree.as_fd(), set, none, Reach::All).map_err(fail)?;
            if let (true, Some(users)) = (volume.maps_ids, users) {
                calls::map_ids_below(tree.as_fd(), users)
                    .map_err(|errno| Error::new(MAP_IDS, source, errno))?;
            }
            (tree, kind)
        }
        VolumeKind::Temporary(options) => {
            let tree = temporary(options, set)
                .map_err(|errno| Error::new("mount tmpfs", &volume.target, errno))?;
            (tree, Kind::Directory)
        }
    };
    Ok(Waiting {
        tree,
        target: &volume.target,
        kind,
        is_own: matches!(volume.what, VolumeKind::Temporary(_)),
    })
}

fn temporary(options: &[(String, String)], set: Attributes) -> rustix::io::Result<OwnedFd> {
    let mut attributes = set;
    let mut settings = Vec::new();
    for (key, value) in options {
        match key.as_str() {
            "noexec" => attributes |= NO_EXEC,
            "nosuid" => attributes |= NO_SETUID,
            "nodev" => attributes |= NO_DEVICES,
            key => settings.push((key, value.as_str())),
        }
    }
    calls::filesystem("tmpfs", &settings, attributes)
}

impl Waiting<'_> {
    /// Mounts it, making its mount point if that may be made.
    pub(super) fn mount(&self, place: &mut Place) -> Result<()> {
        let fail = |errno| Error::new("mount over", self.target, errno);
        let target = place.target(self.target, self.kind)?;
        calls::attach(self.tree.as_fd(), target.as_fd()).map_err(fail)?;
        if let (true, Makes::In(own)) = (self.is_own, &mut place.makes) {
            own.push(calls::mount_id(self.tree.as_fd()).map_err(fail)?);
        }
        Ok(())
    }

    /// Whether its mount point is in what another one mounts.
    pub(super) fn is_below(&self, others: &[Waiting<'_>]) -> bool {
        others
            .iter()
            .any(|other| self.target != other.target && self.target.starts_with(other.target))
    }
}
