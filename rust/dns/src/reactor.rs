//! One serving thread: an epoll, the sockets behind it, and the deadlines of what is under way.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use rustix::event::epoll;
use rustix::io::Errno;

use crate::cache::Cache;
use crate::forward::Exchange;
use crate::random::Random;
use crate::server::{lock, Listener, Shared};
use crate::sources::{Slab, Token};
use crate::tcp::TcpClient;
use crate::udp::UdpBuffers;
use crate::view::View;

/// What the owner tells a thread.
pub(crate) enum Command {
    Listen {
        container: String,
        listener: Listener,
        view: Arc<ArcSwap<View>>,
    },
    Unlisten(String),
    Stop,
}

/// A container that is served by this thread.
pub(crate) struct Service {
    pub(crate) view: Arc<ArcSwap<View>>,
    pub(crate) namespace: OwnedFd,
    /// Forwarded questions that wait for an answer.
    pub(crate) in_flight: usize,
    pub(crate) tcp_clients: Vec<Token>,
    sources: Vec<Token>,
}

/// Something epoll watches.
pub(crate) enum Source {
    Wakeup,
    Udp {
        socket: Arc<OwnedFd>,
        service: Token,
    },
    TcpListener {
        socket: Arc<OwnedFd>,
        service: Token,
    },
    TcpClient(TcpClient),
    Exchange(Exchange),
}

pub(crate) struct Reactor {
    pub(crate) shared: Arc<Shared>,
    commands: Arc<Mutex<Vec<Command>>>,
    wakeup: Arc<OwnedFd>,
    epoll: OwnedFd,
    /// The namespace the server was started in.
    pub(crate) home: Option<OwnedFd>,
    pub(crate) sources: Slab<Source>,
    pub(crate) services: Slab<Service>,
    by_container: HashMap<String, Token>,
    deadlines: BinaryHeap<Reverse<(Instant, u64)>>,
    pub(crate) random: Random,
    pub(crate) udp: UdpBuffers,
    pub(crate) cache: Cache,
    /// Upstreams that did not answer, and until when they are asked last.
    pub(crate) unwell: HashMap<SocketAddr, Instant>,
    /// Counts local answers, so that records of one name take turns.
    pub(crate) turn: usize,
    running: bool,
}

impl Reactor {
    pub(crate) fn new(
        shared: Arc<Shared>,
        commands: Arc<Mutex<Vec<Command>>>,
        wakeup: Arc<OwnedFd>,
    ) -> rustix::io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::CLOEXEC;
        let none = rustix::fs::Mode::empty();
        let mut reactor = Reactor {
            shared,
            commands,
            wakeup,
            epoll,
            home: rustix::fs::open("/proc/thread-self/ns/net", flags, none).ok(),
            sources: Slab::new(),
            services: Slab::new(),
            by_container: HashMap::new(),
            deadlines: BinaryHeap::new(),
            random: Random::new(),
            udp: UdpBuffers::new(),
            cache: Cache::default(),
            unwell: HashMap::new(),
            turn: 0,
            running: true,
        };
        let token = reactor.sources.insert(Source::Wakeup);
        let wakeup = reactor.wakeup.clone();
        reactor.watch(wakeup.as_fd(), token, epoll::EventFlags::IN)?;
        Ok(reactor)
    }

    /// Serves until told to stop.
    pub(crate) fn run(&mut self) {
        let mut events = Vec::with_capacity(64);
        while self.running {
            events.clear();
            let patience = self.until_next_deadline();
            match epoll::wait(
                &self.epoll,
                rustix::buffer::spare_capacity(&mut events),
                patience.as_ref(),
            ) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(_) => return,
            }
            for event in &events {
                self.handle(Token::from_raw(event.data.u64()), event.flags);
            }
            self.expire();
        }
    }

    pub(crate) fn watch(
        &self,
        fd: impl AsFd,
        token: Token,
        flags: epoll::EventFlags,
    ) -> rustix::io::Result<()> {
        epoll::add(
            &self.epoll,
            fd,
            epoll::EventData::new_u64(token.raw()),
            flags,
        )
    }

    pub(crate) fn rewatch(&self, fd: impl AsFd, token: Token, flags: epoll::EventFlags) {
        let _ = epoll::modify(
            &self.epoll,
            fd,
            epoll::EventData::new_u64(token.raw()),
            flags,
        );
    }

    /// Has `expire` look at a source after a while.
    pub(crate) fn set_deadline(&mut self, token: Token, after: Duration) {
        self.deadlines
            .push(Reverse((Instant::now() + after, token.raw())));
    }

    fn handle(&mut self, token: Token, flags: epoll::EventFlags) {
        match self.sources.get_mut(token) {
            Some(Source::Wakeup) => self.obey(),
            Some(Source::Udp { socket, service }) => {
                let (socket, service) = (socket.clone(), *service);
                self.serve_udp(&socket, service);
            }
            Some(Source::TcpListener { .. }) => self.accept_tcp(token),
            Some(Source::TcpClient(_)) => self.serve_tcp_client(token, flags),
            Some(Source::Exchange(_)) => self.serve_exchange(token, flags),
            None => {}
        }
    }

    fn until_next_deadline(&self) -> Option<rustix::time::Timespec> {
        let Reverse((at, _)) = self.deadlines.peek()?;
        let left = at.saturating_duration_since(Instant::now());
        Some(rustix::time::Timespec {
            tv_sec: left.as_secs() as i64,
            tv_nsec: left.subsec_nanos().into(),
        })
    }

    fn expire(&mut self) {
        let now = Instant::now();
        while let Some(Reverse((at, raw))) = self.deadlines.peek().copied() {
            if at > now {
                return;
            }
            self.deadlines.pop();
            let token = Token::from_raw(raw);
            match self.sources.get_mut(token) {
                Some(Source::Exchange(_)) => self.exchange_timed_out(token),
                Some(Source::TcpClient(_)) => self.tcp_client_timed_out(token),
                _ => {}
            }
        }
    }

    fn obey(&mut self) {
        let mut count = [0u8; 8];
        let _ = rustix::io::read(&*self.wakeup, &mut count);
        let commands = std::mem::take(&mut *lock(&self.commands));
        for command in commands {
            match command {
                Command::Listen {
                    container,
                    listener,
                    view,
                } => {
                    self.add_service(container, listener, view);
                }
                Command::Unlisten(container) => self.remove_service(&container),
                Command::Stop => self.running = false,
            }
        }
    }

    fn add_service(&mut self, container: String, listener: Listener, view: Arc<ArcSwap<View>>) {
        let udp = Arc::new(listener.udp);
        let service = self.services.insert(Service {
            view,
            namespace: listener.namespace,
            in_flight: 0,
            tcp_clients: Vec::new(),
            sources: Vec::new(),
        });
        let for_udp = self.sources.insert(Source::Udp {
            socket: udp.clone(),
            service,
        });
        let _ = self.watch(udp.as_fd(), for_udp, epoll::EventFlags::IN);
        let tcp = Arc::new(listener.tcp);
        let for_tcp = self.sources.insert(Source::TcpListener {
            socket: tcp.clone(),
            service,
        });
        let _ = self.watch(tcp.as_fd(), for_tcp, epoll::EventFlags::IN);
        if let Some(entry) = self.services.get_mut(service) {
            entry.sources = vec![for_udp, for_tcp];
        }
        self.by_container.insert(container, service);
    }

    fn remove_service(&mut self, container: &str) {
        let Some(token) = self.by_container.remove(container) else {
            return;
        };
        let Some(service) = self.services.remove(token) else {
            return;
        };
        for source in service.sources.into_iter().chain(service.tcp_clients) {
            self.sources.remove(source);
        }
        // Its questions to upstreams end by themselves: their answers find no service any more.
    }
}
