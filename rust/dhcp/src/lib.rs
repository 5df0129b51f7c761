//! DHCPv4 clients of containers: each holds the lease of one interface in one namespace.
//!
//! The protocol is mozim's (RFC 2131: renewing, rebinding, INIT-REBOOT). Here are the threads it
//! runs on, and what becomes of a lease as events. What is done about them is Python's to decide.

mod client;
mod clients;

pub use client::{ClientSpec, Event, Last, Lease};
pub use clients::Clients;

/// What can go wrong when a client is started; everything later is an `Event`.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Namespace(#[from] netyard_netns::Error),
    #[error("start DHCP client: {0}")]
    System(#[from] std::io::Error),
}

pub type Result<T> = std::result::Result<T, Error>;
