//! Control groups: a process born in one, and a namespace in which that is all there is.
//!
//! The groups themselves and what they are limited to are `netyard.runtime.cgroup`.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::error::{last_errno, Error, Result};

/// What comes of a `clone`, in the parent and in the child.
pub(crate) struct Cloned {
    /// 0 in the child.
    pub(crate) pid: i32,
    /// The child has to enter the group by itself.
    is_outside: bool,
}

/// `clone(2)` without a new stack or shared memory, into a control group if one is given.
///
/// Born there instead of moved: to move a process, the kernel waits for all others (`cgroup_attach`).
pub(crate) fn clone_into(flags: i32, group: Option<&OwnedFd>) -> rustix::io::Result<Cloned> {
    if let Some(group) = group {
        match clone3(flags, group) {
            // A filter around us that has no look into its arguments, or an old kernel.
            Err(Errno::NOSYS | Errno::PERM | Errno::INVAL | Errno::TOOBIG) => {}
            other => {
                return other.map(|pid| Cloned {
                    pid,
                    is_outside: false,
                })
            }
        }
    }
    // SAFETY: without CLONE_VM and with no new stack this is fork(2): the child has a copy of
    // everything, and there is only one thread.
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags | libc::SIGCHLD, 0, 0, 0, 0) };
    match pid {
        0.. => Ok(Cloned {
            pid: pid as i32,
            is_outside: group.is_some(),
        }),
        _ => Err(last_errno()),
    }
}

fn clone3(flags: i32, group: &OwnedFd) -> rustix::io::Result<i32> {
    const INTO_CGROUP: u64 = 1 << 33;
    // `struct clone_args`: eight words until 5.5, then set_tid, its size, and the group.
    let mut arguments = [0u64; 11];
    arguments[0] = flags as u32 as u64 | INTO_CGROUP;
    arguments[4] = libc::SIGCHLD as u64;
    arguments[10] = group.as_raw_fd() as u64;
    // SAFETY: as fork(2), see above; the arguments are as long as the call is told.
    let pid = unsafe {
        libc::syscall(
            libc::SYS_clone3,
            arguments.as_ptr(),
            std::mem::size_of_val(&arguments),
        )
    };
    match pid {
        0.. => Ok(pid as i32),
        _ => Err(last_errno()),
    }
}

impl Cloned {
    /// In the child: enters the group, if it is not there yet.
    pub(crate) fn settle(&self, group: Option<&OwnedFd>) -> rustix::io::Result<()> {
        let Some(group) = group.filter(|_| self.is_outside) else {
            return Ok(());
        };
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        let members = rustix::fs::openat(group.as_fd(), "cgroup.procs", flags, Mode::empty())?;
        rustix::io::write(members, b"0").map(drop)
    }
}

/// Makes the groups the process is in the top of what it sees (`/proc/self/cgroup` says `/`).
pub(crate) fn new_namespace() -> Result<()> {
    // SAFETY: no memory and no descriptors are unshared.
    let status = unsafe { libc::unshare(libc::CLONE_NEWCGROUP) };
    told(status, "create cgroup namespace")
}

/// Enters that of a process. Not before the process is in the group: from inside the namespace,
/// a group outside cannot be left (`nsdelegate`).
pub(crate) fn join_namespace(target: BorrowedFd<'_>) -> Result<()> {
    // SAFETY: plain system call.
    let status = unsafe { libc::setns(target.as_raw_fd(), libc::CLONE_NEWCGROUP) };
    told(status, "enter cgroup namespace")
}

fn told(status: i32, operation: &'static str) -> Result<()> {
    match (status, last_errno()) {
        // A kernel without control groups.
        (0, _) | (_, Errno::INVAL) => Ok(()),
        (_, errno) => Err(Error::new(operation, "", errno)),
    }
}
