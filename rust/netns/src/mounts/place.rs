//! Where in a container's files something is mounted: paths as the container would see them.
//!
//! Each is looked up with the container's root as `/`, so that a link in it leads nowhere else, and
//! used by descriptor: exchanged while we look, it is still in there.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::{calls, RootIds};
use crate::error::{Error, Result};

/// `PROC_SUPER_MAGIC` of `include/uapi/linux/magic.h`.
const PROC: u64 = 0x9fa0;

const DIRECTORY: Mode = Mode::from_raw_mode(0o755);
const FILE: Mode = Mode::from_raw_mode(0o644);
/// `SECBIT_NO_SETUID_FIXUP` of `include/uapi/linux/securebits.h`: who changes ids keeps capabilities.
const NO_SETUID_FIXUP: u64 = 1 << 2;

/// What a target must be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Directory,
    File,
}

/// Where targets that are missing may be made.
pub(super) enum Makes {
    Anywhere,
    /// In these mounts, which are the container's own; not in the host's files.
    In(Vec<u64>),
}

/// The files of a container while they are put together.
pub(super) struct Place {
    pub(super) top: OwnedFd,
    pub(super) makes: Makes,
    /// Who makes targets, and whose they are.
    pub(super) owner: RootIds,
}

impl Place {
    /// `/proc`, `/sys` or `/dev`: never a link, as what follows must be where the container looks.
    pub(super) fn standard(&self, name: &str) -> Result<OwnedFd> {
        let fail = |errno| Error::new("mount over the directory", Path::new("/").join(name), errno);
        let how = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let open = || rustix::fs::openat2(&self.top, name, flags, Mode::empty(), how);
        let found = match open() {
            Err(Errno::NOENT) if matches!(self.makes, Makes::Anywhere) => {
                self.as_owner(|| rustix::fs::mkdirat(&self.top, name, DIRECTORY))
                    .map_err(fail)?;
                open()
            }
            Err(Errno::LOOP) => Err(Errno::NOTDIR),
            found => found,
        };
        found.map_err(fail)
    }

    /// What is at a path; made if it is missing.
    pub(super) fn target(&self, path: &Path, kind: Kind) -> Result<OwnedFd> {
        let fail = |errno| Error::new("mount over", path, errno);
        let relative = path.strip_prefix("/").unwrap_or(path);
        let mut parent = self
            .resolve(Path::new("."), Kind::Directory)
            .map_err(fail)?;
        let mut components = relative.components().peekable();
        let mut walked = PathBuf::new();
        while let Some(component) = components.next() {
            walked.push(component);
            let is_last = components.peek().is_none();
            let wanted = if is_last { kind } else { Kind::Directory };
            let found = match self.resolve(&walked, wanted) {
                Err(Errno::NOENT) => {
                    self.make(parent.as_fd(), component.as_ref(), wanted)
                        .map_err(fail)?;
                    self.resolve(&walked, wanted)
                }
                found => found,
            };
            parent = found.map_err(fail)?;
        }
        // Over a file of /proc only what netyard puts there itself may be.
        let found = rustix::fs::fstatfs(&parent).map_err(fail)?;
        if found.f_type as u64 == PROC {
            return Err(fail(Errno::ACCESS));
        }
        Ok(parent)
    }

    fn make(&self, parent: BorrowedFd<'_>, name: &Path, kind: Kind) -> rustix::io::Result<()> {
        if let Makes::In(own) = &self.makes {
            if !own.contains(&calls::mount_id(parent)?) {
                return Err(Errno::NOENT);
            }
        }
        self.as_owner(|| {
            // A dangling symlink in the way is replaced: its target is not ours to make.
            let _ = rustix::fs::unlinkat(parent, name, AtFlags::empty());
            match kind {
                Kind::Directory => rustix::fs::mkdirat(parent, name, DIRECTORY),
                Kind::File => rustix::fs::mknodat(parent, name, FileType::RegularFile, FILE, 0),
            }
        })
    }

    /// Does something as the owner, with our capabilities.
    ///
    /// Where files have the ids of a user namespace, nobody can make one whose id it has not
    /// (EOVERFLOW), root of the host included.
    fn as_owner<T>(&self, job: impl FnOnce() -> rustix::io::Result<T>) -> rustix::io::Result<T> {
        if self.owner.user == 0 && self.owner.group == 0 {
            return job();
        }
        let set = |user: u32, group: u32, bits: u64| {
            // SAFETY: integers, about this thread, which is the process's only one.
            unsafe {
                libc::prctl(libc::PR_SET_SECUREBITS, bits, 0, 0, 0);
                libc::syscall(libc::SYS_setfsgid, group);
                libc::syscall(libc::SYS_setfsuid, user);
            }
        };
        // SAFETY: takes no argument.
        let before = unsafe { libc::prctl(libc::PR_GET_SECUREBITS, 0, 0, 0, 0) } as u64;
        set(self.owner.user, self.owner.group, before | NO_SETUID_FIXUP);
        let outcome = job();
        set(0, 0, before | NO_SETUID_FIXUP);
        set(0, 0, before);
        outcome
    }

    fn resolve(&self, path: &Path, kind: Kind) -> rustix::io::Result<OwnedFd> {
        let how = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let flags = match kind {
            Kind::Directory => flags | OFlags::DIRECTORY,
            Kind::File => flags,
        };
        rustix::fs::openat2(&self.top, path, flags, Mode::empty(), how)
    }
}
