//! Namespaces, mounts and the processes in them.
//!
//! Used from two sides: the Python binding makes and enters network namespaces, the shim starts
//! processes in a sandbox of their own (`src/shim`, a program of this crate). Knows nothing of networks, names or state files.

mod cgroup;
mod credentials;
mod error;
mod files;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod join;
mod keyring;
mod limits;
mod mounts;
mod namespace;
mod process;
mod seccomp;
mod syscalls;
mod sysctl;
mod user_namespace;

pub use credentials::{Credentials, DEFAULT_CAPABILITIES};
pub use error::{Error, Result};
pub use files::{find_beneath, mount_small, open_read_only, unmount};
pub use join::join;
pub use limits::{Limits, Ulimit};
pub use mounts::{
    make_mount_point, own_runtime, set_up, Base, FileMount, Mounts, RootIds, Volume, VolumeKind,
};
pub use namespace::{bind, create, current, enter, identity, inside, inside_each, open, release};
pub use process::{exec, reset_signals, spawn, Program, Sandbox, SpawnError, Terminal};
pub use seccomp::Filter;
pub use sysctl::Sysctls;
pub use user_namespace::{IdMaps, Users};
