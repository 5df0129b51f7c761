//! `attach`: a terminal on one side, a container on the other.
//!
//! Ends with the container's status; after the detach keys it reports `detached` and ends with 0.

use std::os::fd::OwnedFd;

use rustix::event::{poll, PollFd, PollFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType};

use crate::frame::{self, CHUNK};
use crate::options::Options;
use crate::terminal::{self, watch_size, write_all, Raw};
use crate::{signals, status};

/// Ctrl-P Ctrl-Q, as in Docker.
const DETACH_KEYS: [u8; 2] = [0x10, 0x11];

pub(crate) fn run(mut options: Options) -> Result<u8, String> {
    let starter = options.status.take();
    let socket = connect(&options)?;
    // Signals of the terminal are for the container; netyard passes them on.
    signals::ignore_terminal();
    let _raw = options.terminal.then(Raw::enter);
    let resized = watch_size(options.terminal)?;
    if options.terminal {
        send_size(&socket);
    }
    let keys = options.detach_keys.clone().unwrap_or(DETACH_KEYS.to_vec());
    let mut client = Client {
        socket,
        detach: DetachKeys { keys, matched: 0 },
        terminal: options.terminal,
        reads_input: options.interactive,
    };
    match client.relay(&resized)? {
        Some(status) => Ok(status),
        None => {
            status::report(starter.as_ref(), "detached");
            Ok(0)
        }
    }
}

fn connect(options: &Options) -> Result<OwnedFd, String> {
    let fail = |errno: Errno| format!("attach: {errno}");
    let flags = SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)
        .map_err(fail)?;
    // Through the directory's descriptor: a socket's path is limited to 108 bytes.
    let directory =
        std::fs::File::open(&options.directory).map_err(|error| format!("attach: {error}"))?;
    let number = std::os::fd::AsRawFd::as_raw_fd(&directory);
    let path = format!("/proc/self/fd/{number}/attach.sock");
    let address = SocketAddrUnix::new(path).map_err(fail)?;
    rustix::net::connect(&socket, &address).map_err(fail)?;
    Ok(socket)
}

/// The relaying client.
struct Client {
    socket: OwnedFd,
    detach: DetachKeys,
    terminal: bool,
    reads_input: bool,
}

impl Client {
    /// The container's status, or `None` after the detach keys.
    fn relay(&mut self, resized: &OwnedFd) -> Result<Option<u8>, String> {
        loop {
            let stdin = rustix::stdio::stdin();
            let mut waiting = vec![
                PollFd::new(&self.socket, PollFlags::IN),
                PollFd::new(resized, PollFlags::IN),
            ];
            if self.reads_input {
                waiting.push(PollFd::from_borrowed_fd(stdin, PollFlags::IN));
            }
            match poll(&mut waiting, None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(format!("wait: {errno}")),
            }
            let ready = |index: usize| {
                waiting
                    .get(index)
                    .is_some_and(|entry| !entry.revents().is_empty())
            };
            let (from_socket, from_signal, from_input) = (ready(0), ready(1), ready(2));
            drop(waiting);
            if from_signal {
                let mut info = [0u8; 128];
                let _ = rustix::io::read(resized, &mut info);
                send_size(&self.socket);
            }
            if from_socket {
                if let Some(status) = self.show()? {
                    return Ok(Some(status));
                }
            }
            if from_input && self.take_input() {
                return Ok(None);
            }
        }
    }

    /// Shows one packet of the container's; its status if it was the last.
    fn show(&mut self) -> Result<Option<u8>, String> {
        let mut packet = vec![0; CHUNK + 1];
        let (length, _) = rustix::net::recv(&self.socket, &mut packet[..], RecvFlags::empty())
            .map_err(|errno| format!("receive: {errno}"))?;
        if length == 0 {
            // Netyard says why: the command did not start, or the supervisor was killed.
            return Ok(Some(125));
        }
        let (kind, payload) = (packet[0], &packet[1..length]);
        match kind {
            frame::OUTPUT => write_all(rustix::stdio::stdout(), payload),
            frame::ERROR_OUTPUT => write_all(rustix::stdio::stderr(), payload),
            frame::ENDED => return Ok(Some(payload.first().copied().unwrap_or(125))),
            _ => {}
        }
        Ok(None)
    }

    /// Passes input on; true when the user typed the detach keys.
    fn take_input(&mut self) -> bool {
        let mut bytes = vec![0; CHUNK];
        let length = rustix::io::read(rustix::stdio::stdin(), &mut bytes).unwrap_or(0);
        if length == 0 {
            self.reads_input = false;
            send(&self.socket, frame::INPUT_END, &[]);
            return false;
        }
        let bytes = &bytes[..length];
        if !self.terminal {
            send(&self.socket, frame::INPUT, bytes);
            return false;
        }
        let (pass, detached) = self.detach.filter(bytes);
        if !pass.is_empty() {
            send(&self.socket, frame::INPUT, &pass);
        }
        detached
    }
}

/// Watches for the detach keys; holds back what may be their beginning.
struct DetachKeys {
    keys: Vec<u8>,
    matched: usize,
}

impl DetachKeys {
    fn filter(&mut self, bytes: &[u8]) -> (Vec<u8>, bool) {
        let mut pass = Vec::with_capacity(bytes.len());
        for byte in bytes {
            if self.keys.get(self.matched) == Some(byte) {
                self.matched += 1;
                if self.matched == self.keys.len() {
                    return (pass, true);
                }
                continue;
            }
            pass.extend(&self.keys[..self.matched]);
            self.matched = usize::from(self.keys.first() == Some(byte));
            if self.matched == 0 {
                pass.push(*byte);
            }
        }
        (pass, false)
    }
}

fn send_size(socket: &OwnedFd) {
    if let Some((rows, columns)) = terminal::size() {
        let mut payload = rows.to_be_bytes().to_vec();
        payload.extend(columns.to_be_bytes());
        send(socket, frame::RESIZE, &payload);
    }
}

fn send(socket: &OwnedFd, kind: u8, payload: &[u8]) {
    let mut packet = vec![kind];
    packet.extend(payload);
    let _ = rustix::net::send(socket, &packet, SendFlags::NOSIGNAL);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn detach_keys_are_held_back_and_given_back() {
        let mut keys = DetachKeys {
            keys: DETACH_KEYS.to_vec(),
            matched: 0,
        };
        assert_eq!(keys.filter(b"a\x10"), (b"a".to_vec(), false));
        assert_eq!(keys.filter(b"b"), (b"\x10b".to_vec(), false));
        assert_eq!(keys.filter(b"\x10\x10\x11"), (b"\x10".to_vec(), true));
    }
}
