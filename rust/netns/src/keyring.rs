//! Session keyrings: a container's processes hold none of the keys of whoever started them.

use rustix::io::{Errno, Result};

/// Gives the calling process a new, empty session keyring (`keyctl(2)`).
pub(crate) fn join_new() -> Result<()> {
    const JOIN_SESSION_KEYRING: libc::c_int = 1;
    let anonymous = std::ptr::null::<libc::c_char>();
    // SAFETY: an integer, and no name.
    let status = unsafe { libc::syscall(libc::SYS_keyctl, JOIN_SESSION_KEYRING, anonymous) };
    match (status, crate::error::last_errno()) {
        (0.., _) => Ok(()),
        // A kernel without keys, or a filter around us that keeps the container from them as well.
        (_, Errno::NOSYS | Errno::PERM) => Ok(()),
        (_, errno) => Err(errno),
    }
}
