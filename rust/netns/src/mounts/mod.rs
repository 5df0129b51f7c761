//! The file system a container sees: the host's with a few files of its own, or a root of its own.
//!
//! Everything here runs as root of the host in a mount namespace that belongs to the container
//! alone, and by descriptor: no path that a container can change says where something is mounted.

mod calls;
mod dev;
mod host_files;
mod kernel;
mod layer;
mod machine;
mod place;
mod root;
mod volumes;

use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;

pub use machine::{make_mount_point, own_runtime};
use place::Place;
pub use volumes::{FileMount, Volume, VolumeKind};

use crate::error::Result;

/// What is said of a mount whose ids cannot be others.
const MAP_IDS: &str = "map ids of";

/// What a container's files are.
pub enum Base {
    /// A directory of the host's.
    Root(PathBuf),
    /// The host's files.
    Host,
    /// The same, and what is written goes to a layer of this size (as tmpfs takes it).
    Layered(String),
}

/// The files of a container, and what it may do to them.
pub struct Mounts {
    pub base: Base,
    /// Only what is mounted beside the base can be written to.
    pub read_only: bool,
    pub files: Vec<FileMount>,
    pub volumes: Vec<Volume>,
    /// Mount points whose copies are dropped.
    pub unmount: Vec<PathBuf>,
    /// Directories of the host that are covered.
    pub hidden: Vec<PathBuf>,
    /// Directories of the host that are read-only. Like the hidden ones they stay where they are,
    /// and no path here has a link in it.
    pub protected: Vec<PathBuf>,
    pub privileged: bool,
    /// Of its shared memory, in bytes; half of the machine's memory if 0.
    pub shm_size: u64,
    /// Whose what is mounted for the container is.
    pub owner: RootIds,
    /// The base is root's of the container, and not root's of the host: if it has other ids.
    pub maps_base: bool,
}

/// The host's ids of users and groups that a container has.
#[derive(Clone, Copy)]
pub struct RootIds {
    pub user: u32,
    pub group: u32,
    /// To which terminals belong: 5 in the container.
    pub terminals: u32,
}

impl Default for RootIds {
    fn default() -> Self {
        RootIds {
            user: 0,
            group: 0,
            terminals: 5,
        }
    }
}

/// Puts the files of a container together, and enters them.
///
/// `own_network`: whether it has a network namespace of its own, entered already. `users`: the user
/// namespace that it is going to enter.
pub fn set_up(mounts: &Mounts, own_network: bool, users: Option<BorrowedFd<'_>>) -> Result<()> {
    let privileged = mounts.privileged;
    host_files::cut_off()?;
    let waiting = volumes::open_all(&mounts.files, &mounts.volumes, privileged, users)?;
    let base_users = users.filter(|_| mounts.maps_base);
    let is_root = matches!(mounts.base, Base::Root(_));
    if !is_root {
        host_files::hide(&mounts.unmount, &mounts.hidden)?;
    }
    let mut place = match &mounts.base {
        Base::Root(directory) => root::open(directory, privileged, base_users)?,
        Base::Layered(size) => layer::open(size, privileged, base_users)?,
        Base::Host => open_host(mounts)?,
    };
    place.owner = mounts.owner;
    if is_root && mounts.read_only {
        root::make_read_only(&place, &waiting)?;
    }
    mount_own(&place, mounts, own_network)?;
    for each in &waiting {
        each.mount(&mut place)?;
    }
    match mounts.base {
        Base::Host => Ok(()),
        _ => root::enter(&place.top),
    }
}

fn open_host(mounts: &Mounts) -> Result<Place> {
    if !mounts.privileged {
        host_files::without_devices()?;
    }
    let mut place = host_files::open()?;
    host_files::complete_etc(&mut place, &mounts.files, mounts.read_only)?;
    host_files::protect(&mounts.protected, &mounts.hidden)?;
    if mounts.read_only {
        host_files::make_read_only(&place)?;
    }
    Ok(place)
}

/// /dev, /proc and /sys. A privileged container sees the host's devices, if it sees its files.
fn mount_own(place: &Place, mounts: &Mounts, own_network: bool) -> Result<()> {
    let privileged = mounts.privileged;
    let sees_host = privileged && matches!(mounts.base, Base::Host);
    if sees_host {
        dev::mount_shared_memory(mounts.shm_size)?;
        kernel::mount_proc(place, None)?;
        return match own_network {
            true => kernel::mount_sys(place, None),
            false => Ok(()),
        };
    }
    let null = dev::mount(place, privileged, mounts.shm_size, mounts.owner)?;
    let null = (!privileged).then(|| null.as_fd());
    kernel::mount_proc(place, null)?;
    kernel::mount_sys(place, null)
}
