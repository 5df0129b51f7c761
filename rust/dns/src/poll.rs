//! What a serving thread waits for: descriptors that epoll watches, and deadlines.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, Event, EventData, EventFlags};
use rustix::io::{Errno, Result};
use rustix::time::Timespec;

use crate::slab::Token;

/// What an event or a deadline is about. Both sockets of a service have the service's token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    Mailbox,
    Udp(Token),
    TcpListener(Token),
    Connection(Token),
    Exchange(Token),
}

/// A target travels as its token, with its kind in bits that no index reaches: there are fewer
/// descriptors than that.
const KIND_SHIFT: u32 = 28;
const KIND_MASK: u64 = 0xf << KIND_SHIFT;

impl Target {
    fn to_raw(self) -> u64 {
        let (kind, token) = match self {
            Target::Mailbox => return 0,
            Target::Udp(token) => (1, token),
            Target::TcpListener(token) => (2, token),
            Target::Connection(token) => (3, token),
            Target::Exchange(token) => (4, token),
        };
        token.raw() | kind << KIND_SHIFT
    }

    fn from_raw(raw: u64) -> Self {
        let token = Token::from_raw(raw & !KIND_MASK);
        match (raw & KIND_MASK) >> KIND_SHIFT {
            1 => Target::Udp(token),
            2 => Target::TcpListener(token),
            3 => Target::Connection(token),
            4 => Target::Exchange(token),
            _ => Target::Mailbox,
        }
    }

    /// What an event is about.
    pub(crate) fn of(event: &Event) -> Self {
        Self::from_raw(event.data.u64())
    }
}

pub(crate) struct Poll {
    epoll: OwnedFd,
    deadlines: BinaryHeap<Reverse<(Instant, u64)>>,
}

impl Poll {
    pub(crate) fn new() -> Result<Self> {
        Ok(Poll {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            deadlines: BinaryHeap::new(),
        })
    }

    /// Waits for events, until the next deadline at most; none if a signal came.
    pub(crate) fn wait(&self, events: &mut Vec<Event>) -> Result<()> {
        events.clear();
        let patience = self.until_next_deadline();
        let room = rustix::buffer::spare_capacity(events);
        match epoll::wait(&self.epoll, room, patience.as_ref()) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(errno) => Err(errno),
        }
    }

    pub(crate) fn watch(&self, fd: impl AsFd, target: Target, flags: EventFlags) -> Result<()> {
        let data = EventData::new_u64(target.to_raw());
        epoll::add(&self.epoll, fd, data, flags)
    }

    pub(crate) fn rewatch(&self, fd: impl AsFd, target: Target, flags: EventFlags) {
        let data = EventData::new_u64(target.to_raw());
        let _ = epoll::modify(&self.epoll, fd, data, flags);
    }

    pub(crate) fn forget(&self, fd: impl AsFd) {
        let _ = epoll::delete(&self.epoll, fd);
    }

    /// Has `expired` give a target after a while.
    pub(crate) fn set_deadline(&mut self, target: Target, after: Duration) {
        self.deadlines
            .push(Reverse((Instant::now() + after, target.to_raw())));
    }

    fn until_next_deadline(&self) -> Option<Timespec> {
        let Reverse((at, _)) = self.deadlines.peek()?;
        let left = at.saturating_duration_since(Instant::now());
        Some(Timespec {
            tv_sec: left.as_secs() as i64,
            tv_nsec: left.subsec_nanos().into(),
        })
    }

    /// Takes a deadline that has passed by now.
    pub(crate) fn expired(&mut self, now: Instant) -> Option<Target> {
        let Reverse((at, raw)) = *self.deadlines.peek()?;
        if at > now {
            return None;
        }
        self.deadlines.pop();
        Some(Target::from_raw(raw))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slab::Slab;

    #[test]
    fn a_target_survives_the_kernel() {
        let mut slab = Slab::new();
        let (first, second) = (slab.insert('a'), slab.insert('b'));
        slab.remove(second);
        let again = slab.insert('c');
        for token in [first, second, again] {
            for target in [
                Target::Mailbox,
                Target::Udp(token),
                Target::TcpListener(token),
                Target::Connection(token),
                Target::Exchange(token),
            ] {
                assert_eq!(Target::from_raw(target.to_raw()), target);
            }
        }
        assert_ne!(second, again);
    }
}
