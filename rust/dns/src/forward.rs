//! Questions that are not ours: asked of upstream servers, one socket a try.
//!
//! Against forged answers (RFC 5452): a socket of its own for each try, so a fresh random source
//! port; a random id; connected, so that only the asked address is heard; and the question must
//! come back. Anything else is ignored while the real answer is still awaited.

use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::atomic::Ordering;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::epoll::EventFlags;
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use rustix::thread::LinkNameSpaceType;

use crate::answer::{fail, udp_limit};
use crate::cache::{Key, Scope};
use crate::reactor::{Reactor, Service, Source};
use crate::sources::Token;
use crate::udp::Address;
use crate::view::Upstreams;
use crate::wire::*;

/// Questions of one container that may wait for upstreams at once.
const IN_FLIGHT_MAX: usize = 1024;
/// Tries of one question, over all servers; with the patience of each, a client that waits five
/// seconds always hears something.
const TRIES: usize = 3;
const SERVERS_MAX: usize = 3;
const PATIENCE: Duration = Duration::from_millis(1400);
/// For how long a server that did not answer is asked last.
const UNWELL: Duration = Duration::from_secs(10);

/// Who asked.
pub(crate) enum Asker {
    Udp {
        socket: Arc<OwnedFd>,
        address: Address,
    },
    Tcp(Token),
}

/// A question on its way.
pub(crate) struct Exchange {
    service: Token,
    asker: Asker,
    /// As the client sent it, but for the id.
    query: Vec<u8>,
    client_id: [u8; 2],
    question_length: usize,
    /// What the client takes.
    limit: usize,
    servers: Vec<SocketAddr>,
    tried: usize,
    socket: Option<Arc<OwnedFd>>,
    over_tcp: bool,
    /// Over TCP: what has arrived, and whether the question has been sent.
    input: Vec<u8>,
    sent: bool,
    /// Under what its answer is remembered.
    key: Option<Box<Key>>,
    /// An unwilling answer, kept in case nobody has a better one.
    fallback: Option<Vec<u8>>,
}

/// What became of reading an answer.
enum Heard {
    Answer(Vec<u8>),
    Nothing,
    Failed,
}

impl Reactor {
    /// Writes what an upstream has answered to this question before, if it is remembered, and
    /// returns its length.
    pub(crate) fn recall(
        &mut self,
        service: Token,
        message: &[u8],
        over_tcp: bool,
        out: &mut [u8],
    ) -> Option<usize> {
        let mut room = Name::room();
        let query = parse(message, &mut room).ok()?;
        let scope = self.services.get_mut(service)?.scope(service);
        if matches!(scope, Scope::Host) {
            self.cache.follow(&self.shared.host_upstreams.load());
        }
        let key = Key::new(scope, over_tcp, &query)?;
        let length = self.cache.get(&key, &query, Instant::now(), out)?;
        self.shared.cached.fetch_add(1, Ordering::Relaxed);
        Some(length)
    }

    /// Starts asking upstreams about a question.
    pub(crate) fn forward(&mut self, service: Token, asker: Asker, message: &[u8], most: usize) {
        let mut room = Name::room();
        let Ok(query) = parse(message, &mut room) else {
            return;
        };
        let limit = if most > UDP_PLAIN {
            most
        } else {
            udp_limit(&query)
        };
        let servers = self.servers_for(service);
        let Some(entry) = self.services.get_mut(service) else {
            return;
        };
        let over_tcp = matches!(asker, Asker::Tcp(_));
        let key = Key::new(entry.scope(service), over_tcp, &query);
        let problem = match (servers.is_empty(), entry.in_flight >= IN_FLIGHT_MAX) {
            (true, _) => Some(SERVFAIL),
            (_, true) => Some(REFUSED),
            _ => None,
        };
        let mut exchange = Exchange {
            service,
            over_tcp,
            key: key.map(Box::new),
            asker,
            query: message.to_vec(),
            client_id: [message[0], message[1]],
            question_length: query.question_end - HEADER,
            limit,
            servers,
            tried: 0,
            socket: None,
            input: Vec::new(),
            sent: false,
            fallback: None,
        };
        entry.in_flight += 1;
        match problem {
            Some(rcode) => self.give_up(exchange, rcode),
            None => {
                exchange.servers = with_retries(exchange.servers);
                self.try_next(exchange);
            }
        }
    }

    /// The servers to ask, those that answered lately first.
    fn servers_for(&mut self, service: Token) -> Vec<SocketAddr> {
        let Some(entry) = self.services.get_mut(service) else {
            return Vec::new();
        };
        let mut servers = match &entry.view.load().upstreams {
            Upstreams::Host => {
                let servers = self.shared.host_upstreams.load_full();
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
    fn try_next(&mut self, mut exchange: Exchange) {
        while let Some(server) = exchange.servers.get(exchange.tried).copied() {
            exchange.tried += 1;
            exchange.input.clear();
            let id = self.random.id().to_be_bytes();
            exchange.query[..2].copy_from_slice(&id);
            let Ok(socket) = self.open_socket(&exchange, server) else {
                continue;
            };
            let wanted = if exchange.over_tcp {
                EventFlags::OUT
            } else {
                EventFlags::IN
            };
            exchange.sent = !exchange.over_tcp;
            if exchange.sent
                && rustix::net::send(&socket, &exchange.query, SendFlags::NOSIGNAL).is_err()
            {
                continue;
            }
            let socket = Arc::new(socket);
            exchange.socket = Some(socket.clone());
            let token = self.sources.insert(Source::Exchange(exchange));
            let _ = self.watch(socket.as_fd(), token, wanted);
            self.set_deadline(token, PATIENCE);
            return;
        }
        match exchange.fallback.take() {
            Some(answer) => self.deliver(exchange, answer),
            None => self.give_up(exchange, SERVFAIL),
        }
    }

    /// A connected socket in the namespace the server is to be asked from.
    fn open_socket(
        &mut self,
        exchange: &Exchange,
        server: SocketAddr,
    ) -> rustix::io::Result<OwnedFd> {
        let entry = self
            .services
            .get_mut(exchange.service)
            .ok_or(Errno::NOENT)?;
        let from_container = matches!(entry.view.load().upstreams, Upstreams::Own(_));
        let network = Some(LinkNameSpaceType::Network);
        if from_container {
            rustix::thread::move_into_link_name_space(entry.namespace.as_fd(), network)?;
        }
        let opened = connect(server, exchange.over_tcp);
        if from_container {
            let home = self.home.as_ref().ok_or(Errno::NOENT)?;
            if rustix::thread::move_into_link_name_space(home.as_fd(), network).is_err() {
                // In the wrong namespace this thread would ask for others what they must not.
                std::process::abort();
            }
        }
        opened
    }

    pub(crate) fn serve_exchange(&mut self, token: Token, flags: EventFlags) {
        let Some(Source::Exchange(exchange)) = self.sources.get_mut(token) else {
            return;
        };
        if exchange.over_tcp && !exchange.sent {
            if !exchange.send_over_tcp(flags) {
                return self.server_failed(token);
            }
            if let Some(socket) = exchange.socket.clone() {
                self.rewatch(socket.as_fd(), token, EventFlags::IN);
            }
            return;
        }
        match exchange.hear() {
            Heard::Nothing => {}
            Heard::Failed => self.server_failed(token),
            Heard::Answer(answer) => {
                let Some(Source::Exchange(mut exchange)) = self.sources.remove(token) else {
                    return;
                };
                // These say that the server could not or would not; another may.
                if matches!(rcode(&answer), SERVFAIL | REFUSED | NOTIMP) {
                    exchange.fallback = Some(answer);
                    return self.try_next(exchange);
                }
                self.deliver(exchange, answer);
            }
        }
    }

    pub(crate) fn exchange_timed_out(&mut self, token: Token) {
        self.server_failed(token);
    }

    /// Remembers that the server is unwell and asks the next.
    fn server_failed(&mut self, token: Token) {
        let Some(Source::Exchange(exchange)) = self.sources.remove(token) else {
            return;
        };
        if let Some(server) = exchange.servers.get(exchange.tried.wrapping_sub(1)) {
            self.unwell.insert(*server, Instant::now() + UNWELL);
        }
        self.try_next(exchange);
    }

    /// Passes an answer on to whoever asked.
    fn deliver(&mut self, exchange: Exchange, mut answer: Vec<u8>) {
        answer[..2].copy_from_slice(&exchange.client_id);
        if answer.len() > exchange.limit {
            truncate(&mut answer, exchange.question_length);
        }
        self.shared.forwarded.fetch_add(1, Ordering::Relaxed);
        self.remember(&exchange, &answer);
        self.reply(exchange, &answer);
    }

    /// Keeps an answer for others who ask the same, if the server is still one that is asked.
    fn remember(&mut self, exchange: &Exchange, answer: &[u8]) {
        let asked = exchange.servers.get(exchange.tried.wrapping_sub(1));
        let current = self.servers_for(exchange.service);
        if let (Some(key), Some(server)) = (&exchange.key, asked) {
            if current.contains(server) {
                self.cache.put(key, answer, Instant::now());
            }
        }
    }

    fn give_up(&mut self, mut exchange: Exchange, rcode: u8) {
        exchange.query[..2].copy_from_slice(&exchange.client_id);
        let mut out = [0; UDP_PLAIN];
        let mut room = Name::room();
        let Ok(query) = parse(&exchange.query, &mut room) else {
            return;
        };
        let length = fail(&query, &mut out, rcode);
        self.shared.failed.fetch_add(1, Ordering::Relaxed);
        self.reply(exchange, &out[..length]);
    }

    fn reply(&mut self, exchange: Exchange, message: &[u8]) {
        if let Some(entry) = self.services.get_mut(exchange.service) {
            entry.in_flight = entry.in_flight.saturating_sub(1);
        }
        match exchange.asker {
            Asker::Udp { socket, address } => send_to(&socket, message, &address),
            Asker::Tcp(token) => self.reply_tcp_forwarded(token, message),
        }
    }
}

impl Service {
    /// Whose remembered answers a container may have.
    fn scope(&self, own: Token) -> Scope {
        match self.view.load().upstreams {
            Upstreams::Own(_) => Scope::Own(own.raw()),
            _ => Scope::Host,
        }
    }
}

impl Exchange {
    /// Sends the question once connected; false if the server is not there.
    fn send_over_tcp(&mut self, flags: EventFlags) -> bool {
        let Some(socket) = &self.socket else {
            return false;
        };
        if flags.intersects(EventFlags::ERR | EventFlags::HUP) {
            return false;
        }
        let mut framed = (self.query.len() as u16).to_be_bytes().to_vec();
        framed.extend(&self.query);
        // A fresh connection's buffer takes a question whole.
        self.sent = rustix::net::send(&**socket, &framed, SendFlags::NOSIGNAL) == Ok(framed.len());
        self.sent
    }

    /// Reads from the server what has come.
    fn hear(&mut self) -> Heard {
        let Some(socket) = &self.socket else {
            return Heard::Failed;
        };
        let mut buffer = [0; 4096];
        match rustix::net::recv(&**socket, &mut buffer[..], RecvFlags::DONTWAIT) {
            Err(Errno::AGAIN | Errno::INTR) => Heard::Nothing,
            Err(_) => Heard::Failed,
            Ok((0, _)) if self.over_tcp => Heard::Failed,
            Ok((length, _)) if !self.over_tcp => match self.is_answer(&buffer[..length]) {
                true => Heard::Answer(buffer[..length].to_vec()),
                false => Heard::Nothing,
            },
            Ok((length, _)) => {
                self.input.extend(&buffer[..length]);
                self.take_framed()
            }
        }
    }

    fn take_framed(&mut self) -> Heard {
        let Some(prefix) = self.input.get(..2) else {
            return Heard::Nothing;
        };
        let length = usize::from(u16::from_be_bytes([prefix[0], prefix[1]]));
        let Some(message) = self.input.get(2..length + 2) else {
            return Heard::Nothing;
        };
        match self.is_answer(message) {
            true => Heard::Answer(message.to_vec()),
            false => Heard::Failed,
        }
    }

    /// Whether a message is the answer to our question and nobody's guess.
    fn is_answer(&self, message: &[u8]) -> bool {
        let question = &self.query[HEADER..HEADER + self.question_length];
        message.len() >= HEADER
            && message[..2] == self.query[..2]
            && message[2] & 0x80 != 0
            && repeats_question(message, question)
    }
}

/// The servers, gone through again until there are enough tries.
fn with_retries(servers: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let tries = servers.len().max(TRIES);
    servers.iter().cycle().take(tries).copied().collect()
}

fn connect(server: SocketAddr, over_tcp: bool) -> rustix::io::Result<OwnedFd> {
    let family = if server.is_ipv6() {
        AddressFamily::INET6
    } else {
        AddressFamily::INET
    };
    let kind = if over_tcp {
        SocketType::STREAM
    } else {
        SocketType::DGRAM
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, kind, flags, None)?;
    match rustix::net::connect(&socket, &server) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(socket),
        Err(errno) => Err(errno),
    }
}

fn send_to(socket: &OwnedFd, message: &[u8], address: &Address) {
    // SAFETY: message and address are live and of the lengths stated.
    unsafe {
        libc::sendto(
            socket.as_raw_fd(),
            message.as_ptr().cast(),
            message.len(),
            libc::MSG_DONTWAIT,
            (&raw const *address).cast(),
            size_of::<Address>() as libc::socklen_t,
        );
    }
}
