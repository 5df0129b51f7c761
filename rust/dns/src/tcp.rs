//! Questions over TCP (RFC 7766): many a connection, answered in any order, bounded in number,
//! size and time, so that an idle or slow client costs nobody else anything.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::Ordering;
use std::time::Duration;

use rustix::event::epoll::EventFlags;
use rustix::io::Errno;
use rustix::net::SocketFlags;

use crate::answer::{answer, Outcome};
use crate::connection::{Broken, Connection};
use crate::context::Context;
use crate::exchange::Asker;
use crate::forward::Forwarder;
use crate::poll::Target;
use crate::slab::{Slab, Token};

/// Connections one container may hold; one more closes the oldest.
const CONNECTIONS_MAX: usize = 128;
const IDLE: Duration = Duration::from_secs(10);
const MESSAGE_MAX: usize = 65_535;

/// Clients taken in before others get their turn.
const ACCEPTED_AT_ONCE: usize = 128;
/// For how long a client waits that could not be taken in, for want of descriptors or memory.
const PAUSE: Duration = Duration::from_millis(200);

/// Waits for clients of a container.
pub(crate) fn watch(context: &mut Context, service: Token) {
    if let Some(entry) = context.services.get_mut(service) {
        let target = Target::TcpListener(service);
        let _ = context.poll.watch(&*entry.tcp, target, EventFlags::IN);
    }
}

/// Stops waiting at a listening socket: one that cannot be served is ready all the time. For a while
/// if there is too little of something; for good if the socket has been destroyed.
fn give_up_for_now(context: &mut Context, service: Token, tcp: &OwnedFd, errno: Errno) {
    context.poll.forget(tcp);
    match errno {
        Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM => {
            context
                .poll
                .set_deadline(Target::TcpListener(service), PAUSE);
        }
        _ => context.report_broken(),
    }
}

/// Whether an error of accept(2) is that of the connection, which is gone then.
fn is_of_one_client(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::INTR
            | Errno::CONNABORTED
            | Errno::PROTO
            | Errno::PERM
            | Errno::NETDOWN
            | Errno::NETUNREACH
            | Errno::HOSTDOWN
            | Errno::HOSTUNREACH
    )
}

/// The connections of all containers of a thread.
pub(crate) struct Connections {
    connections: Slab<Connection>,
}

impl Connections {
    pub(crate) fn new() -> Self {
        Connections {
            connections: Slab::new(),
        }
    }

    /// Takes in the clients that wait at a container's listening socket.
    pub(crate) fn accept(&mut self, context: &mut Context, service: Token) {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        for _ in 0..ACCEPTED_AT_ONCE {
            let Some(entry) = context.services.get_mut(service) else {
                return;
            };
            let tcp = entry.tcp.clone();
            match rustix::net::accept_with(&*tcp, flags) {
                Ok(socket) => self.add(context, socket, service),
                Err(Errno::AGAIN) => return,
                Err(errno) if is_of_one_client(errno) => {}
                Err(errno) => return give_up_for_now(context, service, &tcp, errno),
            }
        }
    }

    fn add(&mut self, context: &mut Context, socket: OwnedFd, service: Token) {
        let crowded = match context.services.get_mut(service) {
            None => return,
            Some(entry) if entry.connections.len() >= CONNECTIONS_MAX => {
                entry.connections.first().copied()
            }
            Some(_) => None,
        };
        if let Some(oldest) = crowded {
            self.close(context, oldest);
        }
        let connection = Connection::new(socket, service);
        let socket = connection.socket.clone();
        let token = self.connections.insert(connection);
        let target = Target::Connection(token);
        let _ = context.poll.watch(socket.as_fd(), target, EventFlags::IN);
        if let Some(entry) = context.services.get_mut(service) {
            entry.connections.push(token);
        }
        context.poll.set_deadline(target, IDLE);
    }

    /// Goes on with a client that sent something, or takes answers again.
    pub(crate) fn serve(
        &mut self,
        context: &mut Context,
        forwarder: &mut Forwarder,
        token: Token,
        flags: EventFlags,
    ) {
        if flags.contains(EventFlags::OUT) && !self.act(context, token, Connection::flush) {
            return;
        }
        if !flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
            return;
        }
        let Some(connection) = self.connections.get_mut(token) else {
            return;
        };
        match connection.read() {
            Ok(true) => self.answer(context, forwarder, token),
            Ok(false) => {}
            Err(Broken) => self.close(context, token),
        }
    }

    /// Answers the whole messages that have arrived.
    fn answer(&mut self, context: &mut Context, forwarder: &mut Forwarder, token: Token) {
        let mut out = vec![0; MESSAGE_MAX];
        while let Some(connection) = self.connections.get_mut(token) {
            let (Some(message), service) = (connection.take_message(), connection.service) else {
                return;
            };
            let Some(view) = context.view_of(service) else {
                return;
            };
            match answer(&view.load(), &message, &mut out, true, context.next_turn()) {
                Outcome::Reply(length) => {
                    context.shared.local.fetch_add(1, Ordering::Relaxed);
                    self.reply(context, token, &out[..length]);
                }
                Outcome::Forward => {
                    let known = forwarder.recall(context, service, &message, true, &mut out);
                    if let Some(length) = known {
                        self.reply(context, token, &out[..length]);
                        continue;
                    }
                    connection.expect();
                    let asker = Asker::Tcp(token);
                    let refusal = forwarder.forward(context, service, asker, &message, MESSAGE_MAX);
                    if let Some(refusal) = refusal {
                        self.settle(context, token, &refusal.message);
                    }
                }
                Outcome::Drop => return self.close(context, token),
            }
        }
    }

    /// An upstream's answer for a connection, which may now have more of its questions answered.
    pub(crate) fn answered(
        &mut self,
        context: &mut Context,
        forwarder: &mut Forwarder,
        token: Token,
        message: &[u8],
    ) {
        self.settle(context, token, message);
        self.answer(context, forwarder, token);
    }

    fn settle(&mut self, context: &mut Context, token: Token, message: &[u8]) {
        if let Some(connection) = self.connections.get_mut(token) {
            connection.settle();
        }
        self.reply(context, token, message);
    }

    fn reply(&mut self, context: &mut Context, token: Token, message: &[u8]) {
        self.act(context, token, |connection| connection.reply(message));
    }

    /// Has a connection send; false if it is gone.
    fn act(
        &mut self,
        context: &mut Context,
        token: Token,
        send: impl FnOnce(&mut Connection) -> Result<(), Broken>,
    ) -> bool {
        let Some(connection) = self.connections.get_mut(token) else {
            return false;
        };
        let outcome = send(connection);
        let (socket, wanted) = (connection.socket.clone(), connection.wanted());
        if outcome.is_err() {
            self.close(context, token);
            return false;
        }
        context
            .poll
            .rewatch(socket.as_fd(), Target::Connection(token), wanted);
        true
    }

    /// Closes a connection that has been idle for long enough.
    pub(crate) fn timed_out(&mut self, context: &mut Context, token: Token) {
        let Some(connection) = self.connections.get_mut(token) else {
            return;
        };
        let (idle, is_settled) = connection.idle();
        if idle >= IDLE && is_settled {
            return self.close(context, token);
        }
        let left = IDLE.saturating_sub(idle).max(Duration::from_secs(1));
        context.poll.set_deadline(Target::Connection(token), left);
    }

    fn close(&mut self, context: &mut Context, token: Token) {
        let Some(connection) = self.connections.remove(token) else {
            return;
        };
        if let Some(entry) = context.services.get_mut(connection.service) {
            entry.connections.retain(|other| *other != token);
        }
    }

    /// Closes the connections of a container that is not served any more.
    pub(crate) fn close_all(&mut self, connections: &[Token]) {
        for token in connections {
            self.connections.remove(*token);
        }
    }
}
