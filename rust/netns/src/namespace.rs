//! Network namespaces: made, kept by a bind mount, entered, let go.

use std::fs::File;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::mount::UnmountFlags;
use rustix::thread::{LinkNameSpaceType, UnshareFlags};

use crate::error::{Error, Result};
use crate::user_namespace::{self, Users};

/// Makes a network namespace that lives as long as the file `path` is mounted.
///
/// It belongs to our own user namespace, or to one made for it.
pub fn create(path: &Path, users: &Users) -> Result<()> {
    make_file(path)?;
    let outcome = match users {
        // On a thread that is thrown away, so that the caller's own namespace never changes.
        Users::Callers => on_thread(|| unshare_and_bind(path)).and_then(|made| made),
        Users::Same => user_namespace::create_network(path, None),
        Users::Mapped(maps) => user_namespace::create_network(path, Some(maps)),
    };
    if outcome.is_err() {
        let _ = std::fs::remove_file(path);
    }
    outcome
}

/// Keeps somebody else's network namespace alive under `path`.
pub fn bind(namespace: BorrowedFd<'_>, path: &Path) -> Result<()> {
    make_file(path)?;
    let source = format!(
        "/proc/self/fd/{}",
        std::os::fd::AsRawFd::as_raw_fd(&namespace)
    );
    let outcome = rustix::mount::mount_bind(&source, path)
        .map_err(|errno| Error::new("keep network namespace at", path, errno));
    if outcome.is_err() {
        let _ = std::fs::remove_file(path);
    }
    outcome
}

/// Opens a network namespace by path (`/proc/PID/ns/net`, a bind mount).
pub fn open(path: &Path) -> Result<OwnedFd> {
    rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|errno| Error::new("open network namespace", path, errno))
}

/// The namespace of the calling thread.
pub fn current() -> Result<OwnedFd> {
    open(Path::new("/proc/thread-self/ns/net"))
}

/// Device and inode of the file, which is how two handles on one namespace are told alike.
pub fn identity(namespace: BorrowedFd<'_>) -> Result<(u64, u64)> {
    let stat = rustix::fs::fstat(namespace)
        .map_err(|errno| Error::new("look at network namespace", "", errno))?;
    Ok((stat.st_dev as u64, stat.st_ino as u64))
}

/// Lets a namespace go: unmounts and removes `path`. Nothing there is no error.
pub fn release(path: &Path) -> Result<()> {
    match rustix::mount::unmount(path, UnmountFlags::DETACH) {
        // EINVAL: a plain file, which a crash left before it was mounted on.
        Ok(()) | Err(rustix::io::Errno::NOENT | rustix::io::Errno::INVAL) => {}
        Err(errno) => return Err(Error::new("let go of network namespace", path, errno)),
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::new("remove", path, error))
        }
        _ => Ok(()),
    }
}

/// Runs `job` inside the namespace, on a thread that is thrown away afterwards.
pub fn inside<T: Send>(namespace: BorrowedFd<'_>, job: impl FnOnce() -> T + Send) -> Result<T> {
    let worker = || {
        enter(namespace)?;
        Ok(job())
    };
    on_thread(worker)?
}

/// Runs `job` inside each namespace in turn, on one thread that is thrown away afterwards; the
/// first that fails is the last. `job` is told which it is in.
pub fn inside_each<T: Send, E: Send>(
    namespaces: &[BorrowedFd<'_>],
    mut job: impl FnMut(usize) -> std::result::Result<T, E> + Send,
) -> Result<std::result::Result<Vec<T>, E>> {
    if namespaces.is_empty() {
        return Ok(Ok(Vec::new()));
    }
    let worker = || {
        let mut done = Vec::with_capacity(namespaces.len());
        for (at, namespace) in namespaces.iter().enumerate() {
            enter(*namespace)?;
            match job(at) {
                Ok(outcome) => done.push(outcome),
                Err(error) => return Ok(Err(error)),
            }
        }
        Ok(Ok(done))
    };
    on_thread(worker)?
}

fn on_thread<T: Send>(worker: impl FnOnce() -> T + Send) -> Result<T> {
    std::thread::scope(|scope| {
        let started = std::thread::Builder::new().spawn_scoped(scope, worker);
        let thread = started.map_err(|error| Error::new("start a thread", "", error))?;
        match thread.join() {
            Ok(outcome) => Ok(outcome),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// Moves the calling thread into the namespace for good: for threads that end there.
pub fn enter(namespace: BorrowedFd<'_>) -> Result<()> {
    let kind = Some(LinkNameSpaceType::Network);
    rustix::thread::move_into_link_name_space(namespace, kind)
        .map_err(|errno| Error::new("enter network namespace", "", errno))
}

fn unshare_and_bind(path: &Path) -> Result<()> {
    // SAFETY: only the network namespace is unshared, of a thread that holds no sockets and ends
    // right after; file descriptors and memory stay shared as they were.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET) }
        .map_err(|errno| Error::new("create network namespace", path, errno))?;
    rustix::mount::mount_bind("/proc/thread-self/ns/net", path)
        .map_err(|errno| Error::new("keep network namespace at", path, errno))
}

/// The file a namespace is mounted on; EXCL, because two owners of one path would share it.
fn make_file(path: &Path) -> Result<()> {
    File::options()
        .write(true)
        .create_new(true)
        .open(path)
        .map(drop)
        .map_err(|error| Error::new("create", path, error))
}
