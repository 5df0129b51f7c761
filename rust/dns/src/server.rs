//! The server as its owner sees it: start, listen, change what is known, stop.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use arc_swap::ArcSwap;
use rustix::event::{eventfd, EventfdFlags};

use crate::shared::{lock, Command, Listener, Mailbox, Shared, Stats};
use crate::view::{Link, Upstreams, View};
use crate::wire::encode_name;
use crate::worker::Worker;
use crate::zone::{EndpointNames, Zone};
use crate::{Error, Result};

/// One thread, as the owner holds it.
struct Thread {
    mailbox: Arc<Mailbox>,
    running: Option<JoinHandle<()>>,
}

struct Served {
    thread: usize,
    view: Arc<ArcSwap<View>>,
    udp: Arc<OwnedFd>,
    tcp: Arc<OwnedFd>,
}

impl Served {
    fn is_sound(&self) -> bool {
        Listener::is_sound(&self.udp, &self.tcp)
    }
}

/// The name server.
pub struct Server {
    shared: Arc<Shared>,
    threads: Vec<Thread>,
    zones: Mutex<HashMap<String, Arc<ArcSwap<Zone>>>>,
    served: Mutex<HashMap<String, Served>>,
}

impl Server {
    /// Starts `threads` threads in the calling thread's network namespace.
    pub fn start(threads: usize) -> Result<Self> {
        let shared = Arc::<Shared>::default();
        let threads = (0..threads.max(1))
            .map(|_| Thread::start(shared.clone()))
            .collect::<Result<Vec<_>>>()?;
        Ok(Server {
            shared,
            threads,
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
        let thread = served.len() % self.threads.len();
        let view = Arc::new(ArcSwap::from_pointee(view));
        let (udp, tcp) = (listener.udp.clone(), listener.tcp.clone());
        self.threads[thread].mailbox.send(Command::Listen {
            container: container.to_string(),
            listener,
            view: view.clone(),
        });
        let entry = Served {
            thread,
            view,
            udp,
            tcp,
        };
        served.insert(container.to_string(), entry);
    }

    /// Changes what a served container may see; false if it is not served, or no more: then its
    /// sockets are to be made again.
    pub fn set_view(&self, container: &str, view: View) -> bool {
        match lock(&self.served).get(container) {
            Some(served) => {
                served.view.store(Arc::new(view));
                served.is_sound()
            }
            None => false,
        }
    }

    /// Containers whose sockets have been destroyed since the last time.
    pub fn take_broken(&self) -> Vec<String> {
        if !self.shared.has_broken.swap(false, Ordering::Relaxed) {
            return Vec::new();
        }
        let served = lock(&self.served);
        let broken = served.iter().filter(|(_, served)| !served.is_sound());
        broken.map(|(container, _)| container.clone()).collect()
    }

    /// Stops serving a container.
    pub fn unlisten(&self, container: &str) {
        if let Some(served) = lock(&self.served).remove(container) {
            self.threads[served.thread]
                .mailbox
                .send(Command::Unlisten(container.to_string()));
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

    /// What has happened since the start.
    pub fn stats(&self) -> Stats {
        self.shared.stats()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for thread in &self.threads {
            thread.mailbox.send(Command::Stop);
        }
        for thread in &mut self.threads {
            if let Some(running) = thread.running.take() {
                let _ = running.join();
            }
        }
    }
}

impl Thread {
    fn start(shared: Arc<Shared>) -> Result<Self> {
        let system = |operation, errno: rustix::io::Errno| Error::System {
            operation,
            source: errno.into(),
        };
        let wakeup = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map_err(|errno| system("make event descriptor", errno))?;
        let mailbox = Arc::new(Mailbox::new(wakeup));
        let mut worker =
            Worker::new(shared, mailbox.clone()).map_err(|errno| system("make epoll", errno))?;
        let running = std::thread::Builder::new()
            .name("netyard-dns".into())
            .spawn(move || worker.run())
            .map_err(|source| Error::System {
                operation: "start thread",
                source,
            })?;
        Ok(Thread {
            mailbox,
            running: Some(running),
        })
    }
}
