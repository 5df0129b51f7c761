//! The namespaces of a running process, entered by another.

use std::os::fd::{AsRawFd, BorrowedFd};

use crate::error::{Error, Result};

/// Enters all the namespaces of a process, given by pidfd (`setns(2)`, Linux 5.8).
///
/// The pid namespace takes effect for children only. The process stops being dumpable first, so
/// that nobody inside can reach our executable or memory through /proc (CVE-2019-5736).
pub fn join(target: BorrowedFd<'_>) -> Result<()> {
    // SAFETY: PR_SET_DUMPABLE takes one integer.
    unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) };
    let kinds = libc::CLONE_NEWNS
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWNET
        | libc::CLONE_NEWPID;
    let enter = |kinds| {
        // SAFETY: plain system call; this process has one thread, as setns to a mount namespace
        // wants.
        match unsafe { libc::setns(target.as_raw_fd(), kinds) } {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        }
    };
    // EINVAL: its user namespace is ours, which cannot be entered once more.
    enter(kinds | libc::CLONE_NEWUSER)
        .or_else(|error| match error.raw_os_error() {
            Some(libc::EINVAL) => enter(kinds),
            _ => Err(error),
        })
        .map_err(|error| Error::new("enter container", "", error))
}
