//! The server as its owner sees it: start, listen, change what is known, stop.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;

use arc_swap::ArcSwap;
use rustix::event::{eventfd, EventfdFlags};

use crate::reactor::{Command, Reactor};
use crate::view::{Link, Upstreams, View};
use crate::wire::encode_name;
use crate::zone::{EndpointNames, Zone};
use crate::{Error, Result};

/// Listening sockets of one container, and its namespace for asking its own servers.
pub struct Listener {
    pub udp: OwnedFd,
    pub tcp: OwnedFd,
    pub namespace: OwnedFd,
}

/// What is shared between the threads and the owner.
pub(crate) struct Shared {
    pub(crate) host_upstreams: ArcSwap<Vec<SocketAddr>>,
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

/// One thread, as the owner holds it.
struct Worker {
    commands: Arc<Mutex<Vec<Command>>>,
    wakeup: Arc<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

struct Served {
    worker: usize,
    view: Arc<ArcSwap<View>>,
}

/// The name server.
pub struct Server {
    shared: Arc<Shared>,
    workers: Vec<Worker>,
    zones: Mutex<HashMap<String, Arc<ArcSwap<Zone>>>>,
    served: Mutex<HashMap<String, Served>>,
}

impl Server {
    /// Starts `threads` threads in the calling thread's network namespace.
    pub fn start(threads: usize) -> Result<Self> {
        let shared = Arc::new(Shared {
            host_upstreams: ArcSwap::from_pointee(Vec::new()),
            local: AtomicU64::new(0),
            forwarded: AtomicU64::new(0),
            cached: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
        });
        let workers = (0..threads.max(1))
            .map(|_| Worker::start(shared.clone()))
            .collect::<Result<Vec<_>>>()?;
        Ok(Server {
            shared,
            workers,
            zones: Mutex::default(),
            served: Mutex::default(),
        })
    }

    /// Replaces the host's servers.
    pub fn set_host_upstreams(&self, servers: Vec<SocketAddr>) {
        self.shared.host_upstreams.store(Arc::new(servers));
    }

    /// Makes a network known, empty; keeps it if it already is.
    pub fn add_zone(&self, id: &str, zone: Zone) {
        lock(&self.zones)
            .entry(id.to_string())
            .or_insert_with(|| Arc::new(ArcSwap::from_pointee(zone)));
    }

    /// Forgets a network.
    pub fn remove_zone(&self, id: &str) {
        if let Some(zone) = lock(&self.zones).remove(id) {
            // Views may still hold it until they are replaced.
            zone.store(Arc::new(Zone::default()));
        }
    }

    /// Takes endpoints out of a network and puts others in. An unknown network is no error.
    pub fn update_zone(
        &self,
        id: &str,
        removed: &[String],
        added: Vec<EndpointNames>,
    ) -> Result<()> {
        let zones = lock(&self.zones);
        if let Some(zone) = zones.get(id) {
            let next = zone.load().updated(removed, added)?;
            zone.store(Arc::new(next));
        }
        Ok(())
    }

    /// Serves a container, or replaces its sockets if it is served already.
    pub fn listen(&self, container: &str, listener: Listener, view: View) {
        self.unlisten(container);
        let mut served = lock(&self.served);
        let worker = served.len() % self.workers.len();
        let view = Arc::new(ArcSwap::from_pointee(view));
        self.workers[worker].send(Command::Listen {
            container: container.to_string(),
            listener,
            view: view.clone(),
        });
        served.insert(container.to_string(), Served { worker, view });
    }

    /// Changes what a served container may see; false if it is not served.
    pub fn set_view(&self, container: &str, view: View) -> bool {
        match lock(&self.served).get(container) {
            Some(served) => {
                served.view.store(Arc::new(view));
                true
            }
            None => false,
        }
    }

    /// Stops serving a container.
    pub fn unlisten(&self, container: &str) {
        if let Some(served) = lock(&self.served).remove(container) {
            self.workers[served.worker].send(Command::Unlisten(container.to_string()));
        }
    }

    /// The containers that are served.
    pub fn listeners(&self) -> Vec<String> {
        lock(&self.served).keys().cloned().collect()
    }

    /// A view of these networks; unknown ones are left out. Links are network, alias and target.
    pub fn view(
        &self,
        networks: &[String],
        upstreams: Upstreams,
        keeps_single_labels: bool,
        ttl_seconds: u32,
        links: &[(String, String, String)],
    ) -> View {
        let known = lock(&self.zones);
        let link = |(network, alias, target): &(String, String, String)| {
            Some(Link {
                alias: encode_name(alias)?,
                target: encode_name(target)?,
                zone: known.get(network)?.clone(),
            })
        };
        View {
            zones: networks
                .iter()
                .filter_map(|id| known.get(id).cloned())
                .collect(),
            upstreams,
            keeps_single_labels,
            ttl_seconds,
            links: links.iter().filter_map(link).collect(),
        }
    }

    pub fn stats(&self) -> Stats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            local: read(&self.shared.local),
            forwarded: read(&self.shared.forwarded),
            cached: read(&self.shared.cached),
            failed: read(&self.shared.failed),
            dropped: read(&self.shared.dropped),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for worker in &self.workers {
            worker.send(Command::Stop);
        }
        for worker in &mut self.workers {
            if let Some(thread) = worker.thread.take() {
                let _ = thread.join();
            }
        }
    }
}

impl Worker {
    fn start(shared: Arc<Shared>) -> Result<Self> {
        let system = |operation, errno: rustix::io::Errno| Error::System {
            operation,
            source: errno.into(),
        };
        let wakeup = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map_err(|errno| system("make event descriptor", errno))?;
        let wakeup = Arc::new(wakeup);
        let commands = Arc::new(Mutex::new(Vec::new()));
        let mut reactor = Reactor::new(shared, commands.clone(), wakeup.clone())
            .map_err(|errno| system("make epoll", errno))?;
        let thread = std::thread::Builder::new()
            .name("netyard-dns".into())
            .spawn(move || reactor.run())
            .map_err(|source| Error::System {
                operation: "start thread",
                source,
            })?;
        Ok(Worker {
            commands,
            wakeup,
            thread: Some(thread),
        })
    }

    fn send(&self, command: Command) {
        lock(&self.commands).push(command);
        let _ = rustix::io::write(&*self.wakeup, &1u64.to_ne_bytes());
    }
}

/// A thread that died while holding a lock left plain data behind: it is still good.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
