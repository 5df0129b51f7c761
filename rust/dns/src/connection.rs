//! One TCP connection of a container's: bytes in, messages out, and the other way round.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::epoll::EventFlags;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};

use crate::slab::Token;

/// Questions of one connection that may wait for upstreams; then no more are read.
const PENDING_MAX: usize = 32;
/// Unsent answers of one connection beyond which it is closed: the client does not read.
const OUTPUT_MAX: usize = 1 << 20;

pub(crate) struct Connection {
    pub(crate) socket: Arc<OwnedFd>,
    pub(crate) service: Token,
    input: Vec<u8>,
    output: Vec<u8>,
    pending: usize,
    last_active: Instant,
}

/// The connection is of no more use.
pub(crate) struct Broken;

impl Connection {
    pub(crate) fn new(socket: OwnedFd, service: Token) -> Self {
        Connection {
            socket: Arc::new(socket),
            service,
            input: Vec::new(),
            output: Vec::new(),
            pending: 0,
            last_active: Instant::now(),
        }
    }

    /// Reads what has come; false if that is nothing, or may not be worked on yet.
    pub(crate) fn read(&mut self) -> Result<bool, Broken> {
        if self.pending >= PENDING_MAX {
            return Ok(false);
        }
        let mut chunk = [0; 4096];
        match rustix::net::recv(&*self.socket, &mut chunk[..], RecvFlags::DONTWAIT) {
            Ok((0, _)) => return Err(Broken),
            Ok((length, _)) => self.input.extend(&chunk[..length]),
            Err(Errno::AGAIN | Errno::INTR) => return Ok(false),
            Err(_) => return Err(Broken),
        }
        self.last_active = Instant::now();
        Ok(true)
    }

    /// The next whole message, if it has arrived and may be worked on.
    pub(crate) fn take_message(&mut self) -> Option<Vec<u8>> {
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

    /// Queues an answer and sends what the connection takes.
    pub(crate) fn reply(&mut self, message: &[u8]) -> Result<(), Broken> {
        self.output.extend((message.len() as u16).to_be_bytes());
        self.output.extend(message);
        if self.output.len() > OUTPUT_MAX {
            return Err(Broken);
        }
        self.flush()
    }

    /// Sends what the connection takes.
    pub(crate) fn flush(&mut self) -> Result<(), Broken> {
        while !self.output.is_empty() {
            let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
            match rustix::net::send(&*self.socket, &self.output, flags) {
                Ok(sent) => drop(self.output.drain(..sent)),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Err(_) => return Err(Broken),
            }
        }
        Ok(())
    }

    /// What is worth waking up for.
    pub(crate) fn wanted(&self) -> EventFlags {
        if self.output.is_empty() {
            EventFlags::IN
        } else {
            EventFlags::IN | EventFlags::OUT
        }
    }

    /// One question more to wait for.
    pub(crate) fn expect(&mut self) {
        self.pending += 1;
    }

    /// One question less to wait for.
    pub(crate) fn settle(&mut self) {
        self.pending = self.pending.saturating_sub(1);
        self.last_active = Instant::now();
    }

    /// For how long nothing has happened, and whether nothing is going to.
    pub(crate) fn idle(&self) -> (Duration, bool) {
        (self.last_active.elapsed(), self.pending == 0)
    }
}
