//! User namespaces of containers: made together with the network namespace that they own.
//!
//! A network namespace keeps its owner alive, so nothing but the network namespace is kept
//! anywhere: what enters a container asks it for its owner (`ioctl_nsfs(2)`, `NS_GET_USERNS`).
//! What capabilities are worth inside is decided by the owner: those of a container count for its
//! own network, and for nothing of the host's.

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::error::{last_errno, Error, Result};

/// `_IO(0xb7, 1)` of `include/uapi/linux/nsfs.h`.
const NS_GET_USERNS: libc::Ioctl = 0xb701;
/// The helper process does nothing but wait for its end.
const STACK_BYTES: usize = 16 << 10;

/// To which user namespace a new network namespace belongs.
pub enum Users {
    /// That of the caller.
    Callers,
    /// One of its own, in which each id that we have is the same.
    Same,
    /// One of its own with these ids.
    Mapped(IdMaps),
}

/// Which ids outside those of a user namespace are, as the kernel takes them (`user_namespaces(7)`):
/// lines of the first id inside, the first outside, and how many.
pub struct IdMaps {
    pub users: String,
    pub groups: String,
}

/// Makes a user namespace, with all our ids if none are given, and a network namespace that it
/// owns, and binds the latter to `path`, which is a file.
///
/// It takes a process to make a user namespace: `unshare(2)` refuses one with threads.
pub(crate) fn create_network(path: &Path, maps: Option<&IdMaps>) -> Result<()> {
    let helper = Helper::start()?;
    match maps {
        Some(maps) => {
            helper.write_map("gid_map", &maps.groups)?;
            helper.write_map("uid_map", &maps.users)?;
        }
        None => {
            for name in ["gid_map", "uid_map"] {
                helper.write_map(name, &same_ids(name)?)?;
            }
        }
    }
    rustix::mount::mount_bind(helper.file("ns/net"), path)
        .map_err(|errno| Error::new("keep network namespace at", path, errno))
}

/// The user namespace that owns a network namespace; `None` if it is the caller's own.
pub(crate) fn other_owner(network: BorrowedFd<'_>) -> Result<Option<OwnedFd>> {
    let fail =
        |error: std::io::Error| Error::new("find the owner of a network namespace", "", error);
    // SAFETY: takes no argument; the answer is a new descriptor, or -1.
    let owner = unsafe { libc::ioctl(network.as_raw_fd(), NS_GET_USERNS) };
    if owner < 0 {
        let error = std::io::Error::last_os_error();
        // It is of a user namespace further up, which can own nothing that is new.
        return match error.raw_os_error() {
            Some(libc::EPERM) => Ok(None),
            _ => Err(fail(error)),
        };
    }
    // SAFETY: new, and nobody else's.
    let owner = unsafe { OwnedFd::from_raw_fd(owner) };
    let own = rustix::fs::stat("/proc/self/ns/user").map_err(|errno| fail(errno.into()))?;
    let its = rustix::fs::fstat(&owner).map_err(|errno| fail(errno.into()))?;
    Ok((own.st_ino != its.st_ino).then_some(owner))
}

/// Makes the calling process, which has just entered a user namespace, root in it. It has kept the
/// ids it had outside, which may be none of the namespace's, and which own files of the host.
pub(crate) fn become_root() -> Result<()> {
    let no_groups = std::ptr::null::<libc::gid_t>();
    // SAFETY: integers, and no groups. Of this thread alone, which is the process's only one.
    let status = unsafe {
        match libc::syscall(libc::SYS_setgroups, 0, no_groups) {
            0 => match libc::syscall(libc::SYS_setresgid, 0, 0, 0) {
                0 => libc::syscall(libc::SYS_setresuid, 0, 0, 0),
                status => status,
            },
            status => status,
        }
    };
    match status {
        0 => Ok(()),
        _ => Err(Error::new(
            "become root in the user namespace",
            "",
            last_errno(),
        )),
    }
}

/// A process in the new namespaces, which share nothing else with it but our memory.
///
/// Sharing the memory spares the copy of a large process's page tables. Its signals are blocked,
/// all of them, so that no handler of ours ever runs in it.
struct Helper {
    pid: libc::pid_t,
    _stack: Vec<u8>,
}

impl Helper {
    fn start() -> Result<Self> {
        let mut stack = vec![0u8; STACK_BYTES];
        let flags = libc::CLONE_VM | libc::CLONE_NEWUSER | libc::CLONE_NEWNET;
        let pid = with_signals_blocked(|| {
            // The stack grows downwards, and starts on 16 bytes.
            let top = stack.as_mut_ptr().wrapping_add(STACK_BYTES);
            let top = top.wrapping_sub(top as usize % 16);
            // SAFETY: the child runs `wait_for_end` alone, on a stack that lives until it has been
            // reaped; it has an exit signal of none, so that no handler or wait of the caller's
            // process hears of it.
            let pid = unsafe { libc::clone(wait_for_end, top.cast(), flags, std::ptr::null_mut()) };
            (pid, std::io::Error::last_os_error())
        });
        match pid {
            (-1, error) => Err(Error::new("create user namespace", "", error)),
            (pid, _) => Ok(Helper { pid, _stack: stack }),
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{name}", self.pid))
    }

    /// Gives the namespace its ids.
    fn write_map(&self, name: &str, map: &str) -> Result<()> {
        let path = self.file(name);
        let fail = |errno: Errno| Error::new("write", &path, errno);
        let file = rustix::fs::open(&path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty());
        // One write: the kernel takes no second.
        rustix::io::write(file.map_err(fail)?, map.as_bytes()).map_err(fail)?;
        Ok(())
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        // SAFETY: plain system calls about a child of ours that nobody else waits for.
        unsafe {
            libc::kill(self.pid, libc::SIGKILL);
            while libc::waitpid(self.pid, std::ptr::null_mut(), libc::__WALL) < 0
                && std::io::Error::last_os_error().raw_os_error() == Some(libc::EINTR)
            {}
        }
    }
}

extern "C" fn wait_for_end(_: *mut libc::c_void) -> libc::c_int {
    // SAFETY: plain system calls. Should the caller be killed, its child goes as well.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0);
        loop {
            libc::pause();
        }
    }
}

fn with_signals_blocked<T>(job: impl FnOnce() -> T) -> T {
    // SAFETY: the sets are plain values that live through the calls, which change this thread only.
    unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        let mut before: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
        let outcome = job();
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const before, std::ptr::null_mut());
        outcome
    }
}

/// A map in which each id that we have ourselves is under the same number.
fn same_ids(name: &str) -> Result<String> {
    let own = Path::new("/proc/thread-self").join(name);
    let ours = std::fs::read_to_string(&own).map_err(|error| Error::new("read", own, error))?;
    Ok(identity_of(&ours))
}

/// The lines of a map (first id inside, first id outside, how many) as they are to be written by
/// those who have it: all ids of theirs, under the same numbers.
fn identity_of(map: &str) -> String {
    let mut identity = String::new();
    for line in map.lines() {
        let mut numbers = line.split_whitespace();
        if let (Some(first), Some(count)) = (numbers.next(), numbers.nth(1)) {
            identity += &format!("{first} {first} {count}\n");
        }
    }
    identity
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_has_all_ids_there_are() {
        assert_eq!(
            identity_of("         0          0 4294967295\n"),
            "0 0 4294967295\n"
        );
        assert_eq!(
            identity_of("         0       1000          1\n         1     100000      65536\n"),
            "0 0 1\n1 1 65536\n"
        );
    }
}
