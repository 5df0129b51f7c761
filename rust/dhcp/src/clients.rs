//! All clients of one process, by name, and what has become of their leases.

use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use rustix::event::EventfdFlags;
use tokio::sync::oneshot;

use crate::client::{hold, ClientSpec, Ending, Event};
use crate::{Error, Result};

/// Enough for a runtime of one thread and packets of one link.
const STACK_BYTES: usize = 256 * 1024;

/// The clients; each ends with them, its lease kept.
pub struct Clients {
    running: Mutex<HashMap<String, Running>>,
    reports: Arc<Reports>,
}

struct Running {
    ending: oneshot::Sender<Ending>,
    thread: JoinHandle<()>,
}

struct Reports {
    events: Mutex<Vec<(String, Event)>>,
    wake: OwnedFd,
}

impl Clients {
    pub fn new() -> Result<Self> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        let wake = rustix::event::eventfd(0, flags).map_err(std::io::Error::from)?;
        Ok(Clients {
            running: Mutex::default(),
            reports: Arc::new(Reports {
                events: Mutex::default(),
                wake,
            }),
        })
    }

    /// Starts a client; one of the same name is ended first, its lease kept.
    pub fn hold(&self, id: &str, spec: ClientSpec) -> Result<()> {
        self.end(id, Ending::Leave);
        let (ending, told) = oneshot::channel();
        let (name, reports) = (id.to_string(), self.reports.clone());
        let thread = std::thread::Builder::new()
            .name("dhcp".to_string())
            .stack_size(STACK_BYTES)
            .spawn(move || {
                let outcome = netyard_netns::enter(spec.namespace.as_fd())
                    .map_err(Error::from)
                    .and_then(|()| hold(&spec, told, |event| reports.push(&name, event)));
                if let Err(error) = outcome {
                    reports.push(&name, Event::Failed(error.to_string()));
                }
            })?;
        lock(&self.running).insert(id.to_string(), Running { ending, thread });
        Ok(())
    }

    /// Gives a lease back and ends its client; whether there was one.
    pub fn release(&self, id: &str) -> bool {
        self.end(id, Ending::Release)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        lock(&self.running).len()
    }

    /// Readable while there are events.
    pub fn wake(&self) -> BorrowedFd<'_> {
        self.reports.wake.as_fd()
    }

    /// What has happened since this was last asked.
    pub fn take_events(&self) -> Vec<(String, Event)> {
        let mut counter = [0; 8];
        let _ = rustix::io::read(&self.reports.wake, &mut counter);
        std::mem::take(&mut *lock(&self.reports.events))
    }

    fn end(&self, id: &str, ending: Ending) -> bool {
        let Some(running) = lock(&self.running).remove(id) else {
            return false;
        };
        running.finish(ending);
        true
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        for (_, running) in lock(&self.running).drain() {
            running.finish(Ending::Leave);
        }
    }
}

impl Running {
    /// A client that has ended by itself is not there to be told.
    fn finish(self, ending: Ending) {
        let _ = self.ending.send(ending);
        let _ = self.thread.join();
    }
}

impl Reports {
    fn push(&self, id: &str, event: Event) {
        lock(&self.events).push((id.to_string(), event));
        let _ = rustix::io::write(&self.wake, &1u64.to_ne_bytes());
    }
}

/// A thread that died with the lock held has left nothing half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
