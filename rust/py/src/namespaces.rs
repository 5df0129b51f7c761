//! Network namespaces, and settings inside them.

use std::path::PathBuf;

use netyard_netlink::{Batch, Protocol, Socket};
use netyard_netns as netns;
use pyo3::prelude::*;

use crate::convert::borrow_fd;
use crate::errors::{Failure, Outcome};

/// Makes a network namespace that is kept at a path; `confined`, in a user namespace of its own.
///
/// `ids` are the maps of that one, of users and of groups (`user_namespaces(7)`); without them it
/// has the caller's ids.
#[pyfunction]
#[pyo3(signature = (path, confined=false, ids=None))]
pub(crate) fn create_namespace(
    py: Python<'_>,
    path: PathBuf,
    confined: bool,
    ids: Option<(String, String)>,
) -> PyResult<()> {
    let users = match (confined, ids) {
        (false, _) => netns::Users::Callers,
        (true, None) => netns::Users::Same,
        (true, Some((users, groups))) => netns::Users::Mapped(netns::IdMaps { users, groups }),
    };
    py.detach(|| netns::create(&path, &users).map_err(Failure::from))?;
    Ok(())
}

/// Keeps an existing network namespace alive at a path.
#[pyfunction]
pub(crate) fn bind_namespace(py: Python<'_>, namespace: i32, path: PathBuf) -> PyResult<()> {
    let fd = borrow_fd(namespace)?;
    py.detach(|| netns::bind(fd, &path).map_err(Failure::from))?;
    Ok(())
}

/// Lets a kept namespace go. Nothing at the path is no error.
#[pyfunction]
pub(crate) fn release_namespace(py: Python<'_>, path: PathBuf) -> PyResult<()> {
    py.detach(|| netns::release(&path).map_err(Failure::from))?;
    Ok(())
}

/// Device and inode of a namespace, or of ours: equal for two handles on the same one.
#[pyfunction]
#[pyo3(signature = (namespace=None))]
pub(crate) fn namespace_identity(namespace: Option<i32>) -> PyResult<(u64, u64)> {
    let identity = match namespace {
        Some(fd) => netns::identity(borrow_fd(fd)?),
        None => netns::current().and_then(|own| netns::identity(std::os::fd::AsFd::as_fd(&own))),
    };
    Ok(identity.map_err(Failure::from)?)
}

/// Makes a directory a private mount point, below which namespaces are kept.
#[pyfunction]
pub(crate) fn make_mount_point(py: Python<'_>, directory: PathBuf) -> PyResult<()> {
    py.detach(|| netns::make_mount_point(&directory).map_err(Failure::from))?;
    Ok(())
}

/// Sets the loopback of a namespace up or down.
#[pyfunction]
pub(crate) fn set_loopback(py: Python<'_>, namespace: i32, up: bool) -> PyResult<()> {
    let fd = borrow_fd(namespace)?;
    let job = || -> Outcome<()> {
        let mut socket = Socket::open(Protocol::Route)?;
        let links = netyard_netlink::list_links(&mut socket)?;
        let before = links.iter().any(|link| link.name == "lo" && link.is_up);
        if before != up {
            let mut batch = Batch::new();
            netyard_netlink::set_link_up(&mut batch, 1, "lo", up);
            if !up {
                // Coming up gave it this address, and going down does not take it away (IPv6's ::1
                // goes by itself).
                let own = std::net::Ipv4Addr::LOCALHOST.into();
                netyard_netlink::delete_address(&mut batch, 1, "lo", own, 8);
            }
            socket.run(batch)?;
        }
        Ok(())
    };
    py.detach(|| netns::inside(fd, job).map_err(Failure::from)?)?;
    Ok(())
}

/// Sets kernel settings of a namespace, or of ours; what they were before.
#[pyfunction]
pub(crate) fn write_sysctls(
    py: Python<'_>,
    namespace: Option<i32>,
    settings: Vec<(String, String)>,
) -> PyResult<Vec<String>> {
    let fd = namespace.map(borrow_fd).transpose()?;
    let job = || -> Outcome<Vec<String>> {
        let mut before = Vec::with_capacity(settings.len());
        let mut sysctls = netns::Sysctls::default();
        for (name, value) in &settings {
            let current = sysctls.read(name)?;
            if &current != value {
                sysctls.write(name, value)?;
            }
            before.push(current);
        }
        Ok(before)
    };
    let before = py.detach(|| match fd {
        Some(fd) => netns::inside(fd, job).map_err(Failure::from)?,
        None => job(),
    })?;
    Ok(before)
}

/// What is wrong with rules for a filter of system calls; `None` if nothing is.
#[pyfunction]
pub(crate) fn complaint_about_filter(py: Python<'_>, rules: &str) -> Option<String> {
    py.detach(|| netns::Filter::compile(rules).err())
}
