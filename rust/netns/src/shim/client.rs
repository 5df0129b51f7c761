//! A client attached to a supervisor, and the socket it comes in by.

use std::collections::VecDeque;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use rustix::event::{poll, PollFd, PollFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SendFlags, SocketAddrUnix, SocketFlags, SocketType};

/// A client that is further behind than this stops the container's output until it has caught up.
const BACKLOG_MAX: usize = 256 << 10;

/// An attached client.
pub(crate) struct Client {
    pub(crate) socket: OwnedFd,
    backlog: VecDeque<Vec<u8>>,
    backlog_bytes: usize,
    /// It cleans up after the container, and is sent no output.
    pub(crate) claims: bool,
    pub(crate) cleaned: bool,
    pub(crate) gone: bool,
}

impl Client {
    fn new(socket: OwnedFd) -> Self {
        Client {
            socket,
            backlog: VecDeque::new(),
            backlog_bytes: 0,
            claims: false,
            cleaned: false,
            gone: false,
        }
    }

    pub(crate) fn is_behind(&self) -> bool {
        self.backlog_bytes > BACKLOG_MAX
    }

    /// Whether there is something that it has not taken yet.
    pub(crate) fn has_unsent(&self) -> bool {
        !self.backlog.is_empty()
    }

    pub(crate) fn queue(&mut self, packet: Vec<u8>) {
        self.backlog_bytes += packet.len();
        self.backlog.push_back(packet);
        self.flush();
    }

    pub(crate) fn flush(&mut self) {
        while let Some(packet) = self.backlog.front() {
            let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
            match rustix::net::send(&self.socket, packet, flags) {
                Ok(_) => {
                    self.backlog_bytes -= packet.len();
                    self.backlog.pop_front();
                }
                Err(Errno::AGAIN | Errno::INTR) => return,
                Err(_) => {
                    self.gone = true;
                    self.backlog.clear();
                    self.backlog_bytes = 0;
                }
            }
        }
    }
}

/// The socket at which clients attach.
pub(crate) fn listen(directory: &Path) -> rustix::io::Result<OwnedFd> {
    let kind = SocketType::SEQPACKET;
    let socket = rustix::net::socket_with(
        AddressFamily::UNIX,
        kind,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        None,
    )?;
    let _ = std::fs::remove_file(directory.join("attach.sock"));
    // Through the directory's descriptor: a socket's path is limited to 108 bytes.
    let flags = rustix::fs::OFlags::PATH | rustix::fs::OFlags::CLOEXEC;
    let at = rustix::fs::open(directory, flags, rustix::fs::Mode::empty())?;
    let path = format!("/proc/self/fd/{}/attach.sock", at.as_raw_fd());
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o177));
    let bound = rustix::net::bind(&socket, &SocketAddrUnix::new(path)?);
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    bound?;
    rustix::net::listen(&socket, 16)?;
    Ok(socket)
}

/// Waits for the client that wants to see the container from its first byte.
///
/// Not for one whose starter has been killed: nobody reads the status any more.
pub(crate) fn await_client(listener: &OwnedFd, status: Option<&OwnedFd>) -> Result<Client, String> {
    let patience = rustix::time::Timespec {
        tv_sec: 30,
        tv_nsec: 0,
    };
    let mut awaited = vec![PollFd::new(listener, PollFlags::IN)];
    awaited.extend(status.map(|fd| PollFd::new(fd, PollFlags::empty())));
    let _ = poll(&mut awaited, Some(&patience));
    if awaited[0].revents().is_empty() {
        return Err(format!("error {} wait for attach", libc::ETIMEDOUT));
    }
    accept(listener).map_err(|errno| format!("error {} wait for attach", errno.raw_os_error()))
}

pub(crate) fn accept(listener: &OwnedFd) -> rustix::io::Result<Client> {
    rustix::net::accept_with(listener, SocketFlags::CLOEXEC).map(Client::new)
}

/// Whether the listener is to be left alone for a while: the one who waits makes it ready all the
/// time, and there is no descriptor or memory for them. One who has gone again is no reason.
pub(crate) fn must_wait(errno: Errno) -> bool {
    !matches!(errno, Errno::AGAIN | Errno::INTR | Errno::CONNABORTED)
}

/// Whether there is something to read, or somebody to accept.
pub(crate) fn has_something(fd: &OwnedFd) -> bool {
    let now = rustix::time::Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    matches!(
        poll(&mut [PollFd::new(fd, PollFlags::IN)], Some(&now)),
        Ok(1)
    )
}
