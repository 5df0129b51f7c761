//! Questions over TCP (RFC 7766): many a connection, answered in any order, bounded in number,
//! size and time, so that an idle or slow client costs nobody else anything.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::Ordering;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::epoll::EventFlags;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, SocketFlags};

use crate::answer::{answer, Outcome};
use crate::forward::Asker;
use crate::reactor::{Reactor, Source};
use crate::sources::Token;

/// Connections one container may hold; one more closes the longest idle.
const CLIENTS_MAX: usize = 128;
/// Questions of one connection that may wait for upstreams; then no more are read.
const PENDING_MAX: usize = 32;
const IDLE: Duration = Duration::from_secs(10);
const MESSAGE_MAX: usize = 65_535;
/// Unsent answers of one connection beyond which it is closed: the client does not read.
const OUTPUT_MAX: usize = 1 << 20;

/// One connection of a container's.
pub(crate) struct TcpClient {
    socket: Arc<OwnedFd>,
    service: Token,
    input: Vec<u8>,
    output: Vec<u8>,
    pending: usize,
    last_active: Instant,
}

impl Reactor {
    pub(crate) fn accept_tcp(&mut self, listener: Token) {
        loop {
            let Some(Source::TcpListener { socket, service }) = self.sources.get_mut(listener)
            else {
                return;
            };
            let service = *service;
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            let Ok(socket) = rustix::net::accept_with(&**socket, flags) else {
                return;
            };
            self.add_tcp_client(socket, service);
        }
    }

    fn add_tcp_client(&mut self, socket: OwnedFd, service: Token) {
        let crowded = match self.services.get_mut(service) {
            None => return,
            Some(entry) if entry.tcp_clients.len() >= CLIENTS_MAX => {
                entry.tcp_clients.first().copied()
            }
            Some(_) => None,
        };
        if let Some(oldest) = crowded {
            self.close_tcp_client(oldest);
        }
        let socket = Arc::new(socket);
        let client = TcpClient {
            socket: socket.clone(),
            service,
            input: Vec::new(),
            output: Vec::new(),
            pending: 0,
            last_active: Instant::now(),
        };
        let token = self.sources.insert(Source::TcpClient(client));
        let _ = self.watch(socket.as_fd(), token, EventFlags::IN);
        if let Some(entry) = self.services.get_mut(service) {
            entry.tcp_clients.push(token);
        }
        self.set_deadline(token, IDLE);
    }

    pub(crate) fn serve_tcp_client(&mut self, token: Token, flags: EventFlags) {
        if flags.contains(EventFlags::OUT) && !self.flush_tcp_client(token) {
            return;
        }
        if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
            self.read_tcp_client(token);
        }
    }

    fn read_tcp_client(&mut self, token: Token) {
        let Some(Source::TcpClient(client)) = self.sources.get_mut(token) else {
            return;
        };
        if client.pending >= PENDING_MAX {
            return;
        }
        let mut chunk = [0; 4096];
        match rustix::net::recv(&*client.socket, &mut chunk[..], RecvFlags::DONTWAIT) {
            Ok((0, _)) => return self.close_tcp_client(token),
            Ok((length, _)) => client.input.extend(&chunk[..length]),
            Err(Errno::AGAIN | Errno::INTR) => return,
            Err(_) => return self.close_tcp_client(token),
        }
        client.last_active = Instant::now();
        self.answer_tcp_client(token);
    }

    /// Answers the whole messages that have arrived.
    fn answer_tcp_client(&mut self, token: Token) {
        let mut out = vec![0; MESSAGE_MAX];
        loop {
            let Some(Source::TcpClient(client)) = self.sources.get_mut(token) else {
                return;
            };
            let (Some(message), service) = (client.take_message(), client.service) else {
                break;
            };
            let view = self
                .services
                .get_mut(service)
                .map(|entry| entry.view.clone());
            let Some(view) = view else { return };
            self.turn = self.turn.wrapping_add(1);
            match answer(&view.load(), &message, &mut out, true, self.turn) {
                Outcome::Reply(length) => {
                    self.shared.local.fetch_add(1, Ordering::Relaxed);
                    self.reply_tcp(token, &out[..length]);
                }
                Outcome::Forward => {
                    if let Some(length) = self.recall(service, &message, true, &mut out) {
                        self.reply_tcp(token, &out[..length]);
                        continue;
                    }
                    if let Some(Source::TcpClient(client)) = self.sources.get_mut(token) {
                        client.pending += 1;
                    }
                    self.forward(service, Asker::Tcp(token), &message, MESSAGE_MAX);
                }
                Outcome::Drop => return self.close_tcp_client(token),
            }
        }
    }

    /// Queues an answer and sends what the connection takes.
    pub(crate) fn reply_tcp(&mut self, token: Token, message: &[u8]) {
        let Some(Source::TcpClient(client)) = self.sources.get_mut(token) else {
            return;
        };
        client.output.extend((message.len() as u16).to_be_bytes());
        client.output.extend(message);
        if client.output.len() > OUTPUT_MAX {
            return self.close_tcp_client(token);
        }
        self.flush_tcp_client(token);
    }

    /// An upstream's answer for a connection.
    pub(crate) fn reply_tcp_forwarded(&mut self, token: Token, message: &[u8]) {
        if let Some(Source::TcpClient(client)) = self.sources.get_mut(token) {
            client.settle();
            client.last_active = Instant::now();
        }
        self.reply_tcp(token, message);
        self.answer_tcp_client(token);
    }

    /// Sends; false if the connection is gone.
    fn flush_tcp_client(&mut self, token: Token) -> bool {
        let Some(Source::TcpClient(client)) = self.sources.get_mut(token) else {
            return false;
        };
        while !client.output.is_empty() {
            let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
            match rustix::net::send(&*client.socket, &client.output, flags) {
                Ok(sent) => drop(client.output.drain(..sent)),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Err(_) => {
                    self.close_tcp_client(token);
                    return false;
                }
            }
        }
        let unsent = !client.output.is_empty();
        let socket = client.socket.clone();
        let wanted = if unsent {
            EventFlags::IN | EventFlags::OUT
        } else {
            EventFlags::IN
        };
        self.rewatch(socket.as_fd(), token, wanted);
        true
    }

    pub(crate) fn tcp_client_timed_out(&mut self, token: Token) {
        let Some(Source::TcpClient(client)) = self.sources.get_mut(token) else {
            return;
        };
        let idle = client.last_active.elapsed();
        if idle >= IDLE && client.pending == 0 {
            return self.close_tcp_client(token);
        }
        self.set_deadline(token, IDLE.saturating_sub(idle).max(Duration::from_secs(1)));
    }

    fn close_tcp_client(&mut self, token: Token) {
        let Some(Source::TcpClient(client)) = self.sources.remove(token) else {
            return;
        };
        if let Some(entry) = self.services.get_mut(client.service) {
            entry.tcp_clients.retain(|other| *other != token);
        }
    }
}

impl TcpClient {
    /// One question less to wait for.
    pub(crate) fn settle(&mut self) {
        self.pending = self.pending.saturating_sub(1);
    }

    /// The next whole message, if it has arrived and may be worked on.
    fn take_message(&mut self) -> Option<Vec<u8>> {
        let length = usize::from(u16::from_be_bytes([
            *self.input.first()?,
            *self.input.get(1)?,
        ]));
        if self.pending >= PENDING_MAX || self.input.len() < length + 2 {
            return None;
        }
        let message = self.input[2..length + 2].to_vec();
        self.input.drain(..length + 2);
        Some(message)
    }
}
