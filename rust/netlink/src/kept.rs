//! Netlink sockets that are used again.
//!
//! Opening one takes six system calls; closing one of netfilter's lets its owner wait for RCU,
//! 4 to 12 ms, when anything was deleted from nf_tables just before (`nft_rcv_nl_event`).

use std::ops::{Deref, DerefMut};
use std::os::unix::fs::MetadataExt;
use std::sync::Mutex;

use crate::error::Result;
use crate::socket::{Protocol, Socket};

/// For threads that work at the same time.
const MOST: usize = 4;

static KEPT: Mutex<Vec<Kept>> = Mutex::new(Vec::new());

/// Where and how a socket can be used again.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Place {
    protocol: Protocol,
    process: u32,
    namespace: (u64, u64),
}

struct Kept {
    place: Place,
    socket: Socket,
}

/// A socket to work with. It is kept for the next who needs one of its kind, unless its namespace
/// is another than the process's, which it would keep alive, or an answer has not come.
pub struct Lent {
    socket: Option<Socket>,
    place: Option<Place>,
}

impl Socket {
    /// A socket of the calling thread's network namespace: one that was used before, or a new one.
    pub fn open(protocol: Protocol) -> Result<Lent> {
        let place = place_of(protocol);
        let kept = place.and_then(take_kept);
        let socket = Some(match kept {
            Some(socket) => socket,
            None => Socket::open_apart(protocol)?,
        });
        Ok(Lent { socket, place })
    }
}

impl Deref for Lent {
    type Target = Socket;

    fn deref(&self) -> &Socket {
        self.socket.as_ref().expect("lent until dropped")
    }
}

impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut Socket {
        self.socket.as_mut().expect("lent until dropped")
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let (Some(place), Some(socket)) = (self.place, self.socket.take()) {
            if let (true, Ok(mut kept)) = (socket.is_settled(), KEPT.try_lock()) {
                if kept.len() < MOST {
                    kept.push(Kept { place, socket });
                }
            }
        }
    }
}

/// `None` in a namespace that is not the process's own.
fn place_of(protocol: Protocol) -> Option<Place> {
    let namespace = identity("/proc/thread-self/ns/net")?;
    (identity("/proc/self/ns/net")? == namespace).then(|| Place {
        protocol,
        process: std::process::id(),
        namespace,
    })
}

fn identity(path: &str) -> Option<(u64, u64)> {
    let found = std::fs::metadata(path).ok()?;
    Some((found.dev(), found.ino()))
}

/// One that fits; those of a parent process, or of a namespace the process has left, are closed.
fn take_kept(place: Place) -> Option<Socket> {
    let mut kept = KEPT.try_lock().ok()?;
    kept.retain(|each| {
        each.place.process == place.process && each.place.namespace == place.namespace
    });
    let at = kept.iter().position(|each| each.place == place)?;
    Some(kept.swap_remove(at).socket)
}
