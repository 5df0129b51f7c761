//! What every part of a serving thread works with: the containers it serves, what it waits for,
//! and what is shared with the owner.

use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering;
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::cache::Scope;
use crate::poll::Poll;
use crate::shared::Shared;
use crate::slab::{Slab, Token};
use crate::view::{Upstreams, View};

/// A container that is served by this thread.
pub(crate) struct Service {
    pub(crate) view: Arc<ArcSwap<View>>,
    /// Shared with the forwarded questions that came from it.
    pub(crate) udp: Arc<OwnedFd>,
    pub(crate) tcp: Arc<OwnedFd>,
    pub(crate) namespace: OwnedFd,
    /// Forwarded questions that wait for an answer.
    pub(crate) in_flight: usize,
    /// TCP connections, the oldest first.
    pub(crate) connections: Vec<Token>,
}

impl Service {
    /// Whose remembered answers a container may have.
    pub(crate) fn scope(&self, own: Token) -> Scope {
        match self.view.load().upstreams {
            Upstreams::Own(_) => Scope::Own(own.raw()),
            _ => Scope::Host,
        }
    }
}

pub(crate) struct Context {
    pub(crate) shared: Arc<Shared>,
    pub(crate) poll: Poll,
    pub(crate) services: Slab<Service>,
    /// Counts local answers, so that records of one name take turns.
    turn: usize,
}

impl Context {
    pub(crate) fn new(shared: Arc<Shared>, poll: Poll) -> Self {
        Context {
            shared,
            poll,
            services: Slab::new(),
            turn: 0,
        }
    }

    /// What a container may see.
    pub(crate) fn view_of(&mut self, service: Token) -> Option<Arc<ArcSwap<View>>> {
        Some(self.services.get_mut(service)?.view.clone())
    }

    /// Has the owner look at the sockets of all containers: one seems to be of no more use.
    pub(crate) fn report_broken(&self) {
        self.shared.has_broken.store(true, Ordering::Relaxed);
    }

    pub(crate) fn next_turn(&mut self) -> usize {
        self.turn = self.turn.wrapping_add(1);
        self.turn
    }
}
