//! The name server of containers: answers for their names from memory, forwards the rest.
//!
//! It is handed listening sockets and immutable views of who may know which names; it knows
//! nothing of namespaces' paths, stores or Python. A few threads serve everything, each with an
//! epoll of its own; nothing on the path of a local answer allocates or takes a lock.

mod answer;
mod builder;
mod cache;
mod connection;
mod context;
mod datagrams;
mod exchange;
mod forward;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod poll;
mod random;
mod server;
mod sharded;
mod shared;
mod slab;
mod tcp;
mod udp;
mod upstream;
mod view;
mod wire;
mod worker;
mod zone;

pub use server::Server;
pub use shared::{Listener, Stats};
pub use view::{Upstreams, View};
pub use wire::{check_query, Judgement};
pub use zone::{EndpointNames, Zone};

/// What can go wrong outside of serving.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A name that DNS cannot carry.
    #[error("{0:?} is no domain name")]
    Name(String),
    /// A system call failed.
    #[error("{operation}: {source}")]
    System {
        operation: &'static str,
        source: std::io::Error,
    },
}

/// The result of an operation on the server.
pub type Result<T> = std::result::Result<T, Error>;
