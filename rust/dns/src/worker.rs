//! One serving thread: its loop, which alone knows all the parts and passes between them.

use std::collections::HashMap;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use rustix::event::epoll::EventFlags;

use crate::context::{Context, Service};
use crate::datagrams::{send_to, Datagrams};
use crate::exchange::Asker;
use crate::forward::{Forwarder, Reply};
use crate::poll::{Poll, Target};
use crate::shared::{Command, Listener, Mailbox, Shared};
use crate::slab::Token;
use crate::tcp::{self, Connections};
use crate::udp;
use crate::view::View;

pub(crate) struct Worker {
    mailbox: Arc<Mailbox>,
    context: Context,
    forwarder: Forwarder,
    connections: Connections,
    datagrams: Datagrams,
    by_container: HashMap<String, Token>,
    running: bool,
}

impl Worker {
    pub(crate) fn new(shared: Arc<Shared>, mailbox: Arc<Mailbox>) -> rustix::io::Result<Self> {
        let poll = Poll::new()?;
        poll.watch(&mailbox.wakeup, Target::Mailbox, EventFlags::IN)?;
        Ok(Worker {
            mailbox,
            context: Context::new(shared, poll),
            forwarder: Forwarder::new(),
            connections: Connections::new(),
            datagrams: Datagrams::new(),
            by_container: HashMap::new(),
            running: true,
        })
    }

    /// Serves until told to stop.
    pub(crate) fn run(&mut self) {
        let mut events = Vec::with_capacity(64);
        while self.running {
            if self.context.poll.wait(&mut events).is_err() {
                return;
            }
            for event in &events {
                self.handle(Target::of(event), event.flags);
            }
            self.expire();
        }
    }

    fn handle(&mut self, target: Target, flags: EventFlags) {
        let (context, forwarder) = (&mut self.context, &mut self.forwarder);
        match target {
            Target::Mailbox => self.obey(),
            Target::Udp(service) => {
                if flags.intersects(EventFlags::ERR | EventFlags::HUP) {
                    context.report_broken();
                }
                udp::serve(context, forwarder, &mut self.datagrams, service);
            }
            Target::TcpListener(service) => self.connections.accept(context, service),
            Target::Connection(token) => {
                self.connections.serve(context, forwarder, token, flags);
            }
            Target::Exchange(token) => {
                let reply = forwarder.serve(context, token, flags);
                self.pass_on(reply);
            }
        }
    }

    fn expire(&mut self) {
        let now = Instant::now();
        while let Some(target) = self.context.poll.expired(now) {
            match target {
                Target::Exchange(token) => {
                    let reply = self.forwarder.server_failed(&mut self.context, token);
                    self.pass_on(reply);
                }
                Target::Connection(token) => self.connections.timed_out(&mut self.context, token),
                Target::TcpListener(service) => tcp::watch(&mut self.context, service),
                Target::Mailbox | Target::Udp(_) => {}
            }
        }
    }

    /// Sends whoever asked what came of it.
    fn pass_on(&mut self, reply: Option<Reply>) {
        let Some(Reply { asker, message }) = reply else {
            return;
        };
        match asker {
            Asker::Udp { socket, address } => send_to(&socket, &message, &address),
            Asker::Tcp(token) => {
                let (context, forwarder) = (&mut self.context, &mut self.forwarder);
                self.connections
                    .answered(context, forwarder, token, &message);
            }
        }
    }

    fn obey(&mut self) {
        for command in self.mailbox.take() {
            match command {
                Command::Listen {
                    container,
                    listener,
                    view,
                } => self.add_service(container, listener, view),
                Command::Unlisten(container) => self.remove_service(&container),
                Command::Stop => self.running = false,
            }
        }
    }

    fn add_service(&mut self, container: String, listener: Listener, view: Arc<ArcSwap<View>>) {
        let udp = listener.udp;
        let token = self.context.services.insert(Service {
            view,
            udp: udp.clone(),
            tcp: listener.tcp,
            namespace: listener.namespace,
            in_flight: 0,
            connections: Vec::new(),
        });
        let poll = &self.context.poll;
        let _ = poll.watch(udp.as_fd(), Target::Udp(token), EventFlags::IN);
        tcp::watch(&mut self.context, token);
        self.by_container.insert(container, token);
    }

    fn remove_service(&mut self, container: &str) {
        let Some(token) = self.by_container.remove(container) else {
            return;
        };
        let Some(service) = self.context.services.remove(token) else {
            return;
        };
        // Questions on their way hold the socket open, and nobody reads it any more.
        self.context.poll.forget(&*service.udp);
        self.context.poll.forget(&*service.tcp);
        self.connections.close_all(&service.connections);
        // Its questions to upstreams end by themselves: their answers find no service any more.
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, UdpSocket};

    use crate::view::Upstreams;

    const QUESTION: &[u8] = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x03web\0\0\x01\0\x01";

    /// A thread that serves one container, whose upstream never answers.
    fn worker(silent: &UdpSocket, udp: UdpSocket) -> Worker {
        let shared = Arc::<Shared>::default();
        let upstreams = vec![silent.local_addr().unwrap()];
        shared.host_upstreams.store(Arc::new(upstreams));
        let flags = rustix::event::EventfdFlags::NONBLOCK;
        let wakeup = rustix::event::eventfd(0, flags).unwrap();
        let mut worker = Worker::new(shared, Arc::new(Mailbox::new(wakeup))).unwrap();
        let listener = Listener {
            udp: Arc::new(udp.into()),
            tcp: Arc::new(TcpListener::bind("127.0.0.1:0").unwrap().into()),
            namespace: std::fs::File::open("/proc/self/ns/net").unwrap().into(),
        };
        let view = View {
            zones: Vec::new(),
            upstreams: Upstreams::Host,
            keeps_single_labels: false,
            ttl_seconds: 0,
            links: Vec::new(),
        };
        worker.add_service(
            "web".into(),
            listener,
            Arc::new(ArcSwap::from_pointee(view)),
        );
        worker
    }

    #[test]
    #[cfg_attr(miri, ignore = "sockets and epoll")]
    fn a_container_that_is_gone_wakes_nobody() {
        let bind = || UdpSocket::bind("127.0.0.1:0").unwrap();
        let (silent, client, udp) = (bind(), bind(), bind());
        let address = udp.local_addr().unwrap();
        let mut worker = worker(&silent, udp);
        let mut events = Vec::with_capacity(8);
        client.send_to(QUESTION, address).unwrap();
        worker.context.poll.wait(&mut events).unwrap();
        assert_eq!(events.len(), 1);
        worker.handle(Target::of(&events[0]), events[0].flags);
        worker.remove_service("web");
        // The question that is on its way holds the socket: this one arrives, at nobody.
        client.send_to(QUESTION, address).unwrap();
        worker.context.poll.wait(&mut events).unwrap();
        assert!(events.is_empty(), "until the deadline of the first");
    }
}
