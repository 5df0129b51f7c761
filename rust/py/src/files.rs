//! Files and small file systems that a container, or another user, has had a hand in.

use std::os::fd::IntoRawFd;
use std::path::PathBuf;

use netyard_netns as netns;
use pyo3::prelude::*;

use crate::errors::Failure;

/// A descriptor (`O_PATH`) of what a path is inside a root; links lead nowhere else.
#[pyfunction]
pub(crate) fn find_beneath(root: PathBuf, path: PathBuf) -> PyResult<i32> {
    let found = netns::find_beneath(&root, &path).map_err(Failure::from)?;
    Ok(found.into_raw_fd())
}

/// A descriptor of a file by which it can be executed, and not be opened for writing.
#[pyfunction]
pub(crate) fn open_read_only(py: Python<'_>, path: PathBuf) -> PyResult<i32> {
    let found = py.detach(|| netns::open_read_only(&path).map_err(Failure::from))?;
    Ok(found.into_raw_fd())
}

/// Mounts a file system in memory for so many bytes and files.
#[pyfunction]
pub(crate) fn mount_small(
    py: Python<'_>,
    directory: PathBuf,
    bytes: u32,
    files: u32,
) -> PyResult<()> {
    py.detach(|| netns::mount_small(&directory, bytes, files).map_err(Failure::from))?;
    Ok(())
}

/// Unmounts what is mounted at a directory. Nothing there is no error.
#[pyfunction]
pub(crate) fn unmount(py: Python<'_>, directory: PathBuf) -> PyResult<()> {
    py.detach(|| netns::unmount(&directory).map_err(Failure::from))?;
    Ok(())
}
