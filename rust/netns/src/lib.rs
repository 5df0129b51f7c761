//! Namespaces, mounts and the processes in them.
//!
//! Used from two sides: the Python binding makes and enters network namespaces, the shim starts
//! processes in a sandbox of their own (`src/shim`, a program of this crate). Knows nothing of networks, names or state files.

mod error;
mod mounts;
mod namespace;
mod process;
mod sysctl;

pub use error::{Error, Result};
pub use mounts::{
    make_mount_point, own_runtime, set_up, Base, FileMount, Mounts, Volume, VolumeKind,
};
pub use namespace::{bind, create, current, enter, identity, inside, inside_each, open, release};
pub use process::{
    exec, join, reset_signals, spawn, Credentials, Program, Sandbox, SpawnError, Terminal,
    DEFAULT_CAPABILITIES,
};
pub use sysctl::Sysctls;
