//! What the owner and the serving threads share: commands one way, counters the other.

use std::net::{SocketAddr, SocketAddrV4};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use arc_swap::ArcSwap;

use crate::view::View;

/// Listening sockets of one container, and its namespace for asking its own servers.
pub struct Listener {
    pub udp: Arc<OwnedFd>,
    pub tcp: Arc<OwnedFd>,
    pub namespace: OwnedFd,
}

impl Listener {
    /// Whether questions still arrive: whoever may administer the namespace can destroy its sockets
    /// (`ss -K`), which lose their ports by it.
    pub(crate) fn is_sound(udp: &OwnedFd, tcp: &OwnedFd) -> bool {
        let address = rustix::net::getsockname(udp).and_then(SocketAddrV4::try_from);
        address.is_ok_and(|address| address.port() != 0)
            && rustix::net::sockopt::socket_acceptconn(tcp).unwrap_or(false)
    }
}

/// What the owner tells a thread.
pub(crate) enum Command {
    Listen {
        container: String,
        listener: Listener,
        view: Arc<ArcSwap<View>>,
    },
    Unlisten(String),
    Stop,
}

/// Commands for a thread, and what wakes it up for them.
pub(crate) struct Mailbox {
    commands: Mutex<Vec<Command>>,
    pub(crate) wakeup: OwnedFd,
}

impl Mailbox {
    pub(crate) fn new(wakeup: OwnedFd) -> Self {
        Mailbox {
            commands: Mutex::default(),
            wakeup,
        }
    }

    pub(crate) fn send(&self, command: Command) {
        lock(&self.commands).push(command);
        let _ = rustix::io::write(&self.wakeup, &1u64.to_ne_bytes());
    }

    /// Takes what has been sent; the thread sleeps again until there is more.
    pub(crate) fn take(&self) -> Vec<Command> {
        let mut count = [0u8; 8];
        let _ = rustix::io::read(&self.wakeup, &mut count);
        std::mem::take(&mut *lock(&self.commands))
    }
}

/// The host's servers, and counters.
#[derive(Default)]
pub(crate) struct Shared {
    pub(crate) host_upstreams: ArcSwap<Vec<SocketAddr>>,
    /// A socket of a container may be of no more use: the owner is to look at them.
    pub(crate) has_broken: AtomicBool,
    pub(crate) local: AtomicU64,
    pub(crate) forwarded: AtomicU64,
    pub(crate) cached: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) dropped: AtomicU64,
}

/// Counters since the start.
#[derive(Debug, Clone, Copy)]
pub struct Stats {
    /// Answered from memory.
    pub local: u64,
    /// Answered by an upstream.
    pub forwarded: u64,
    /// Answered by what an upstream said before.
    pub cached: u64,
    /// Answered SERVFAIL or REFUSED because no upstream did.
    pub failed: u64,
    /// Not answered at all.
    pub dropped: u64,
}

impl Shared {
    pub(crate) fn stats(&self) -> Stats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            local: read(&self.local),
            forwarded: read(&self.forwarded),
            cached: read(&self.cached),
            failed: read(&self.failed),
            dropped: read(&self.dropped),
        }
    }
}

/// A thread that died while holding a lock left plain data behind: it is still good.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
