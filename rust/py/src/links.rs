//! What is done with links of any kind: made or undone together, named, deleted.

use netyard_netlink::{self as netlink, Batch, Protocol, Socket};
use pyo3::prelude::*;

use crate::errors::{Failure, Outcome};

/// Says on links what they belong to, for `ip link` and for who has lost the store. Missing ones are
/// no error.
#[pyfunction]
pub(crate) fn set_aliases(py: Python<'_>, names: Vec<String>, alias: &str) -> PyResult<()> {
    py.detach(|| -> Outcome<()> {
        let mut batch = Batch::new();
        for name in &names {
            netlink::set_alias(&mut batch, name, alias);
        }
        for error in Socket::open(Protocol::Route)?
            .run_each(batch)?
            .into_iter()
            .flatten()
        {
            if error.errno() != Some(libc::ENODEV) {
                return Err(error.into());
            }
        }
        Ok(())
    })?;
    Ok(())
}

/// Deletes links by name, waiting for the kernel once for all. Missing ones are no error.
#[pyfunction]
pub(crate) fn delete_links(py: Python<'_>, names: Vec<String>) -> PyResult<()> {
    py.detach(|| remove(&mut *Socket::open(Protocol::Route)?, &names))?;
    Ok(())
}

/// Sends a batch that makes links; if part of it fails, what was made goes again.
pub(crate) fn run_or_undo(socket: &mut Socket, batch: Batch, names: &[String]) -> Outcome<()> {
    let outcome = socket.run_each(batch)?;
    let existed: Vec<_> = outcome
        .iter()
        .flatten()
        .filter_map(|error| match error {
            netlink::Error::Refused {
                subject,
                errno: libc::EEXIST,
                ..
            } => Some(subject.clone()),
            _ => None,
        })
        .collect();
    let Some(error) = outcome.into_iter().flatten().next() else {
        return Ok(());
    };
    // What was there before is not ours to delete.
    let made: Vec<_> = names
        .iter()
        .filter(|name| !existed.contains(name))
        .cloned()
        .collect();
    remove(socket, &made)?;
    Err(error.into())
}

/// Deletes links: one by itself, several as a group of their own.
pub(crate) fn remove(socket: &mut Socket, names: &[String]) -> Outcome<()> {
    let mut batch = Batch::new();
    match names {
        [] => return Ok(()),
        [one] => netlink::delete_link(&mut batch, one),
        many => {
            // A group nobody else uses: netyard's mark and the thread that works with it.
            let group = 0x6e79_0000 | (thread_id() & 0xffff);
            for name in many {
                netlink::set_group(&mut batch, name, group);
            }
            netlink::delete_group(&mut batch, group);
        }
    }
    let failed = socket.run_each(batch)?.into_iter().flatten();
    for error in failed {
        if error.errno() != Some(libc::ENODEV) {
            return Err(error.into());
        }
    }
    Ok(())
}

fn thread_id() -> u32 {
    rustix::thread::gettid().as_raw_nonzero().get() as u32
}

/// The index of an interface of the calling thread's namespace.
pub(crate) fn index_of(name: &str) -> Outcome<u32> {
    let bytes = std::ffi::CString::new(name)
        .map_err(|_| Failure::new("find interface", name, "the name holds a NUL"))?;
    // SAFETY: the string ends in NUL and outlives the call.
    match unsafe { libc::if_nametoindex(bytes.as_ptr()) } {
        0 => {
            let errno = Some(libc::ENODEV);
            Err(Failure::system("find interface", name, errno))
        }
        index => Ok(index),
    }
}
