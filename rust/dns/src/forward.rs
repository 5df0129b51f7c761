//! Questions that are not ours: which upstream servers are asked, in what order, and what is
//! remembered of their answers.
//!
//! Whatever is to be sent to a client is returned, not sent: its transport is none of the concerns
//! here.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::Ordering;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::epoll::EventFlags;
use rustix::io::Errno;
use rustix::thread::LinkNameSpaceType;

use crate::answer::{fail, udp_limit};
use crate::cache::{Cache, Key, Scope};
use crate::context::Context;
use crate::exchange::{connect, Asker, Exchange, Heard};
use crate::poll::Target;
use crate::random::Random;
use crate::slab::{Slab, Token};
use crate::upstream::{rcode, truncate};
use crate::view::Upstreams;
use crate::wire::*;

/// Questions of one container that may wait for upstreams at once.
const IN_FLIGHT_MAX: usize = 1024;
const SERVERS_MAX: usize = 3;
const PATIENCE: Duration = Duration::from_millis(1400);
/// For how long a server that did not answer is asked last.
const UNWELL: Duration = Duration::from_secs(10);

/// What is to be sent to whoever asked.
pub(crate) struct Reply {
    pub(crate) asker: Asker,
    pub(crate) message: Vec<u8>,
}

pub(crate) struct Forwarder {
    exchanges: Slab<Exchange>,
    cache: Cache,
    /// Upstreams that did not answer, and until when they are asked last.
    unwell: HashMap<SocketAddr, Instant>,
    random: Random,
    /// The namespace the server was started in.
    home: Option<OwnedFd>,
}

impl Forwarder {
    pub(crate) fn new() -> Self {
        let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::CLOEXEC;
        let none = rustix::fs::Mode::empty();
        Forwarder {
            exchanges: Slab::new(),
            cache: Cache::default(),
            unwell: HashMap::new(),
            random: Random::new(),
            home: rustix::fs::open("/proc/thread-self/ns/net", flags, none).ok(),
        }
    }

    /// Writes what an upstream has answered to this question before, if it is remembered, and
    /// returns its length.
    pub(crate) fn recall(
        &mut self,
        context: &mut Context,
        service: Token,
        message: &[u8],
        over_tcp: bool,
        out: &mut [u8],
    ) -> Option<usize> {
        let mut room = Name::room();
        let query = parse(message, &mut room).ok()?;
        let scope = context.services.get_mut(service)?.scope(service);
        if matches!(scope, Scope::Host) {
            self.cache.follow(&context.shared.host_upstreams.load());
        }
        let key = Key::new(scope, over_tcp, &query)?;
        let length = self.cache.get(&key, &query, Instant::now(), out)?;
        context.shared.cached.fetch_add(1, Ordering::Relaxed);
        Some(length)
    }

    /// Starts asking upstreams about a question; a refusal, if there is nobody to ask.
    #[must_use]
    pub(crate) fn forward(
        &mut self,
        context: &mut Context,
        service: Token,
        asker: Asker,
        message: &[u8],
        most: usize,
    ) -> Option<Reply> {
        let mut room = Name::room();
        let query = parse(message, &mut room).ok()?;
        let limit = if most > UDP_PLAIN {
            most
        } else {
            udp_limit(&query)
        };
        let servers = self.servers_for(context, service);
        let entry = context.services.get_mut(service)?;
        let question_length = query.question_end - HEADER;
        let mut exchange = Exchange::new(service, asker, message, question_length, limit);
        exchange.key = Key::new(entry.scope(service), exchange.is_over_tcp(), &query).map(Box::new);
        let is_crowded = entry.in_flight >= IN_FLIGHT_MAX;
        entry.in_flight += 1;
        if servers.is_empty() {
            return give_up(context, exchange, SERVFAIL);
        }
        if is_crowded {
            return give_up(context, exchange, REFUSED);
        }
        exchange.set_servers(&servers);
        self.try_next(context, exchange)
    }

    /// The servers to ask, those that answered lately first.
    fn servers_for(&mut self, context: &mut Context, service: Token) -> Vec<SocketAddr> {
        let Some(entry) = context.services.get_mut(service) else {
            return Vec::new();
        };
        let mut servers = match &entry.view.load().upstreams {
            Upstreams::Host => {
                let servers = context.shared.host_upstreams.load_full();
                self.cache.follow(&servers);
                servers.to_vec()
            }
            Upstreams::Own(servers) => servers.clone(),
            Upstreams::Nobody => Vec::new(),
        };
        servers.truncate(SERVERS_MAX);
        if !self.unwell.is_empty() {
            let now = Instant::now();
            self.unwell.retain(|_, until| *until > now);
            servers.sort_by_key(|server| self.unwell.contains_key(server));
        }
        servers
    }

    /// Asks the next server, or answers with what there is when all have been asked.
    fn try_next(&mut self, context: &mut Context, mut exchange: Exchange) -> Option<Reply> {
        while let Some(server) = exchange.next_server() {
            let id = self.random.id();
            let Ok(socket) = self.open_socket(context, &exchange, server) else {
                continue;
            };
            let socket = Arc::new(socket);
            let Some(wanted) = exchange.ask(socket.clone(), id) else {
                continue;
            };
            let target = Target::Exchange(self.exchanges.insert(exchange));
            let _ = context.poll.watch(socket.as_fd(), target, wanted);
            context.poll.set_deadline(target, PATIENCE);
            return None;
        }
        match exchange.fallback.take() {
            Some(answer) => Some(self.deliver(context, exchange, answer)),
            None => give_up(context, exchange, SERVFAIL),
        }
    }

    /// A connected socket in the namespace the server is to be asked from.
    fn open_socket(
        &self,
        context: &mut Context,
        exchange: &Exchange,
        server: SocketAddr,
    ) -> rustix::io::Result<OwnedFd> {
        let entry = context
            .services
            .get_mut(exchange.service)
            .ok_or(Errno::NOENT)?;
        let from_container = matches!(entry.view.load().upstreams, Upstreams::Own(_));
        let network = Some(LinkNameSpaceType::Network);
        if from_container {
            rustix::thread::move_into_link_name_space(entry.namespace.as_fd(), network)?;
        }
        let opened = connect(server, exchange.is_over_tcp());
        if from_container {
            let home = self.home.as_ref().ok_or(Errno::NOENT)?;
            if rustix::thread::move_into_link_name_space(home.as_fd(), network).is_err() {
                // In the wrong namespace this thread would ask for others what they must not.
                std::process::abort();
            }
        }
        opened
    }

    /// Goes on with a question whose server has something to say.
    #[must_use]
    pub(crate) fn serve(
        &mut self,
        context: &mut Context,
        token: Token,
        flags: EventFlags,
    ) -> Option<Reply> {
        let exchange = self.exchanges.get_mut(token)?;
        if let Some(socket) = exchange.unsent() {
            if !exchange.send(&socket, flags) {
                return self.server_failed(context, token);
            }
            let target = Target::Exchange(token);
            context.poll.rewatch(socket.as_fd(), target, EventFlags::IN);
            return None;
        }
        match exchange.hear() {
            Heard::Nothing => None,
            Heard::Failed => self.server_failed(context, token),
            Heard::Answer(answer) => {
                let mut exchange = self.exchanges.remove(token)?;
                // These say that the server could not or would not; another may.
                if matches!(rcode(&answer), SERVFAIL | REFUSED | NOTIMP) {
                    exchange.fallback = Some(answer);
                    return self.try_next(context, exchange);
                }
                Some(self.deliver(context, exchange, answer))
            }
        }
    }

    /// Remembers that a question's server did not answer, and asks the next.
    #[must_use]
    pub(crate) fn server_failed(&mut self, context: &mut Context, token: Token) -> Option<Reply> {
        let exchange = self.exchanges.remove(token)?;
        if let Some(server) = exchange.server() {
            self.unwell.insert(*server, Instant::now() + UNWELL);
        }
        self.try_next(context, exchange)
    }

    /// An answer, as it is passed on to whoever asked.
    fn deliver(&mut self, context: &mut Context, exchange: Exchange, mut answer: Vec<u8>) -> Reply {
        answer[..2].copy_from_slice(&exchange.client_id);
        if answer.len() > exchange.limit {
            truncate(&mut answer, exchange.question_length);
        }
        context.shared.forwarded.fetch_add(1, Ordering::Relaxed);
        self.remember(context, &exchange, &answer);
        settle(context, exchange, answer)
    }

    /// Keeps an answer for others who ask the same, if the server is still one that is asked.
    fn remember(&mut self, context: &mut Context, exchange: &Exchange, answer: &[u8]) {
        let current = self.servers_for(context, exchange.service);
        if let (Some(key), Some(server)) = (&exchange.key, exchange.server()) {
            if current.contains(server) {
                self.cache.put(key, answer, Instant::now());
            }
        }
    }
}

/// An answer that only says why there is none.
fn give_up(context: &mut Context, mut exchange: Exchange, code: u8) -> Option<Reply> {
    let mut out = [0; UDP_PLAIN];
    let mut room = Name::room();
    let query = parse(exchange.client_query(), &mut room).ok()?;
    let length = fail(&query, &mut out, code);
    context.shared.failed.fetch_add(1, Ordering::Relaxed);
    Some(settle(context, exchange, out[..length].to_vec()))
}

/// One question less that waits.
fn settle(context: &mut Context, exchange: Exchange, message: Vec<u8>) -> Reply {
    if let Some(entry) = context.services.get_mut(exchange.service) {
        entry.in_flight = entry.in_flight.saturating_sub(1);
    }
    Reply {
        asker: exchange.asker,
        message,
    }
}
