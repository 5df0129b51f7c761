//! Files and small file systems that a container, or another user, has had a hand in.

use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::mount::{MountFlags, OpenTreeFlags, UnmountFlags};

use crate::error::{Error, Result};

/// Finds a file as a process whose root is `root` would: no link leads out of it. The descriptor
/// (`O_PATH`) is for looking at the file and for opening it again: nothing has been opened yet that
/// could wait, such as a FIFO.
pub fn find_beneath(root: &Path, path: &Path) -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let top = rustix::fs::open(root, flags | OFlags::DIRECTORY, Mode::empty())
        .map_err(|errno| Error::new("open root", root, errno))?;
    let how = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    rustix::fs::openat2(&top, path, flags, Mode::empty(), how)
        .map_err(|errno| Error::new("open in root", path, errno))
}

/// As `mount_setattr(2)` takes it.
#[repr(C)]
struct MountAttributes {
    set: u64,
    clear: u64,
    propagation: u64,
    namespace: u64,
}

/// Opens a file by a read-only mount of its own, which is in no mount namespace: what is executed
/// by this descriptor cannot be opened for writing through `/proc/PID/exe`.
pub fn open_read_only(path: &Path) -> Result<OwnedFd> {
    const READ_ONLY: u64 = 1;
    const NO_SETUID: u64 = 2;
    const NO_DEVICES: u64 = 4;
    let fail = |errno| Error::new("open read-only", path, errno);
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_SYMLINK_NOFOLLOW;
    let tree = rustix::mount::open_tree(rustix::fs::CWD, path, flags).map_err(fail)?;
    let wanted = MountAttributes {
        set: READ_ONLY | NO_SETUID | NO_DEVICES,
        clear: 0,
        propagation: 0,
        namespace: 0,
    };
    // SAFETY: the path is an empty C string, the attributes a live value of the size that is told.
    let status = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            &raw const wanted,
            size_of::<MountAttributes>(),
        )
    };
    let error = std::io::Error::last_os_error();
    // Before Linux 5.12: then a running program is kept from writers by being busy, as any is.
    if status != 0 && error.raw_os_error() != Some(libc::ENOSYS) {
        return Err(Error::new("open read-only", path, error));
    }
    Ok(tree)
}

/// Mounts a file system in memory for so many bytes and files.
pub fn mount_small(directory: &Path, bytes: u32, files: u32) -> Result<()> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    // Room for one inode more: that of the directory itself.
    let options = format!("size={bytes},nr_inodes={},mode=0711", files + 1);
    let options = std::ffi::CString::new(options).unwrap_or_default();
    rustix::mount::mount("netyard", directory, "tmpfs", flags, Some(&*options))
        .map_err(|errno| Error::new("mount", directory, errno))
}

/// Unmounts what is mounted at a directory. Nothing there is no error.
pub fn unmount(directory: &Path) -> Result<()> {
    let flags = UnmountFlags::DETACH | UnmountFlags::NOFOLLOW;
    match rustix::mount::unmount(directory, flags) {
        Ok(()) | Err(Errno::NOENT | Errno::INVAL) => Ok(()),
        Err(errno) => Err(Error::new("unmount", directory, errno)),
    }
}
