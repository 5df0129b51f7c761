//! What a container's processes are held to by themselves: `ulimit`, `no_new_privs`, system calls.
//!
//! What all of a container is held to together is `cgroup`.

use rustix::io::{Errno, Result};

use crate::error::Error;
use crate::seccomp::Filter;

/// A resource limit (`setrlimit(2)`); `u64::MAX` is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ulimit {
    /// `RLIMIT_…`.
    pub resource: u32,
    pub soft: u64,
    pub hard: u64,
}

/// What is put on a process before it executes the program.
#[derive(Default)]
pub struct Limits {
    pub ulimits: Vec<Ulimit>,
    /// Set-user-id programs and file capabilities give it nothing.
    pub no_new_privileges: bool,
    pub filter: Option<Filter>,
}

impl Limits {
    /// Raises hard limits as far as they have to be, which takes a capability on the host.
    ///
    /// None is lowered yet: what is still to be done may need more files or memory.
    pub(crate) fn raise(&self) -> crate::error::Result<()> {
        let raise = |limit: &Ulimit| {
            let now = change(limit.resource, None)?;
            if limit.hard > now.1 {
                change(limit.resource, Some((now.0, limit.hard)))?;
            }
            Ok(())
        };
        let raised = self.ulimits.iter().try_for_each(raise);
        raised.map_err(|errno: Errno| Error::new("raise", "ulimit", errno))
    }

    /// Sets the limits, and the filter if capabilities are needed for it: before they are dropped.
    pub(crate) fn apply_as_root(&self) -> Result<()> {
        for limit in &self.ulimits {
            change(limit.resource, Some((limit.soft, limit.hard)))?;
        }
        match &self.filter {
            Some(filter) if !self.no_new_privileges => filter.install(),
            _ => Ok(()),
        }
    }

    /// Sets what is left, last of all.
    pub(crate) fn apply_at_last(&self) -> Result<()> {
        if !self.no_new_privileges {
            return Ok(());
        }
        // SAFETY: PR_SET_NO_NEW_PRIVS takes one integer and three zeros.
        if unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) } != 0 {
            return Err(crate::error::last_errno());
        }
        self.filter.as_ref().map_or(Ok(()), Filter::install)
    }
}

/// Reads a limit of the calling process, soft and hard, and sets it if there is a new one.
fn change(resource: u32, new: Option<(u64, u64)>) -> Result<(u64, u64)> {
    let pair = |(soft, hard)| libc::rlimit64 {
        rlim_cur: soft,
        rlim_max: hard,
    };
    let new = new.map(pair);
    let mut old = pair((0, 0));
    let given = new.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: both structures are live, and as prlimit64 wants them.
    let status = unsafe { libc::syscall(libc::SYS_prlimit64, 0, resource, given, &raw mut old) };
    match status {
        0 => Ok((old.rlim_cur, old.rlim_max)),
        _ => Err(crate::error::last_errno()),
    }
}
