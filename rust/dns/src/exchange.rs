//! One question on its way to upstream servers, and what it accepts as an answer.
//!
//! Against forged answers (RFC 5452): a socket of its own for each try, so a fresh random source
//! port; a random id; connected, so that only the asked address is heard; and the question must
//! come back. Anything else is ignored while the real answer is still awaited.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::event::epoll::EventFlags;
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

use crate::cache::Key;
use crate::datagrams::Address;
use crate::slab::Token;
use crate::upstream::repeats_question;
use crate::wire::HEADER;

/// Tries of one question, over all servers; with the patience of each, a client that waits five
/// seconds always hears something.
const TRIES: usize = 3;

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
    pub(crate) service: Token,
    pub(crate) asker: Asker,
    /// As the client sent it, but for the id.
    query: Vec<u8>,
    pub(crate) client_id: [u8; 2],
    pub(crate) question_length: usize,
    /// What the client takes.
    pub(crate) limit: usize,
    servers: Vec<SocketAddr>,
    tried: usize,
    socket: Option<Arc<OwnedFd>>,
    over_tcp: bool,
    /// Over TCP: what has arrived, and whether the question has been sent.
    input: Vec<u8>,
    sent: bool,
    /// Under what its answer is remembered.
    pub(crate) key: Option<Box<Key>>,
    /// An unwilling answer, kept in case nobody has a better one.
    pub(crate) fallback: Option<Vec<u8>>,
}

/// What became of reading an answer.
pub(crate) enum Heard {
    Answer(Vec<u8>),
    Nothing,
    Failed,
}

impl Exchange {
    /// A question nobody has been asked yet; `message` is a whole query.
    pub(crate) fn new(
        service: Token,
        asker: Asker,
        message: &[u8],
        question_length: usize,
        limit: usize,
    ) -> Self {
        Exchange {
            service,
            over_tcp: matches!(asker, Asker::Tcp(_)),
            asker,
            query: message.to_vec(),
            client_id: [message[0], message[1]],
            question_length,
            limit,
            servers: Vec::new(),
            tried: 0,
            socket: None,
            input: Vec::new(),
            sent: false,
            key: None,
            fallback: None,
        }
    }

    pub(crate) fn is_over_tcp(&self) -> bool {
        self.over_tcp
    }

    /// The servers to ask, gone through again until there are enough tries.
    pub(crate) fn set_servers(&mut self, servers: &[SocketAddr]) {
        let tries = servers.len().max(TRIES);
        self.servers = servers.iter().cycle().take(tries).copied().collect();
    }

    /// The server of the next try, if there is another.
    pub(crate) fn next_server(&mut self) -> Option<SocketAddr> {
        let server = self.servers.get(self.tried).copied()?;
        self.tried += 1;
        self.input.clear();
        Some(server)
    }

    /// The server of this try.
    pub(crate) fn server(&self) -> Option<&SocketAddr> {
        self.servers.get(self.tried.wrapping_sub(1))
    }

    /// The question as the client sent it.
    pub(crate) fn client_query(&mut self) -> &[u8] {
        self.query[..2].copy_from_slice(&self.client_id);
        &self.query
    }

    /// Asks through a connected socket, under an id of its own; what to wait for, or `None` if the
    /// server is not there.
    pub(crate) fn ask(&mut self, socket: Arc<OwnedFd>, id: u16) -> Option<EventFlags> {
        self.query[..2].copy_from_slice(&id.to_be_bytes());
        let wanted = if self.over_tcp {
            EventFlags::OUT
        } else {
            rustix::net::send(&socket, &self.query, SendFlags::NOSIGNAL).ok()?;
            EventFlags::IN
        };
        self.sent = !self.over_tcp;
        self.socket = Some(socket);
        Some(wanted)
    }

    /// The socket of a connection that has not carried the question yet.
    pub(crate) fn unsent(&self) -> Option<Arc<OwnedFd>> {
        match self.sent {
            true => None,
            false => self.socket.clone(),
        }
    }

    /// Over TCP: sends the question once connected; false if the server is not there.
    pub(crate) fn send(&mut self, socket: &OwnedFd, flags: EventFlags) -> bool {
        if flags.intersects(EventFlags::ERR | EventFlags::HUP) {
            return false;
        }
        let mut framed = (self.query.len() as u16).to_be_bytes().to_vec();
        framed.extend(&self.query);
        // A fresh connection's buffer takes a question whole.
        self.sent = rustix::net::send(socket, &framed, SendFlags::NOSIGNAL) == Ok(framed.len());
        self.sent
    }

    /// Reads from the server what has come.
    pub(crate) fn hear(&mut self) -> Heard {
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

/// A socket that is connected to a server, or on the way to it.
pub(crate) fn connect(server: SocketAddr, over_tcp: bool) -> rustix::io::Result<OwnedFd> {
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
