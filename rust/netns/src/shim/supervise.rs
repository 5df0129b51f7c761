//! `supervise`: stands beside one container from its start to its end.
//!
//! Started by netyard, it goes into the background before it does anything else. In the
//! container's directory it listens on `attach.sock` and leaves `exit` (status and
//! time) at the end. Then it becomes the clean-up command, unless an attached client has promised
//! to clean up and kept the promise.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::{poll, PollFd, PollFlags};
use rustix::io::Errno;
use rustix::net::RecvFlags;
use rustix::process::{waitpid, Pid, WaitOptions};
use rustix::time::Timespec;

use crate::client::{accept, await_client, has_something, listen, must_wait, Client};
use crate::frame::{self, CHUNK};
use crate::log::{now, Log, Stream};
use crate::options::Options;
use crate::signals;
use crate::status::{exit_code, report};
use crate::streams::Streams;

/// How long a client may take to receive the end of the output and the status.
const FLUSH_MILLISECONDS: i64 = 10_000;
/// How long the listener is left alone when a client cannot be let in.
const DEAF: Duration = Duration::from_millis(100);

pub(crate) fn run(mut options: Options) -> Result<u8, String> {
    let status = options.status.take();
    if go_to_background()? {
        return Ok(0);
    }
    let on_exit = std::mem::take(&mut options.on_exit);
    let cleans_up = match Supervisor::start(options, status.as_ref()) {
        Ok(mut supervisor) => {
            drop(status);
            supervisor.serve()
        }
        Err(error) => {
            report(status.as_ref(), &error);
            return Ok(0);
        }
    };
    if cleans_up {
        return Ok(0);
    }
    become_clean_up(&on_exit)
}

/// Forks; true in the process that is to end. The other is nobody's child and has its own session.
fn go_to_background() -> Result<bool, String> {
    // SAFETY: fork(2) in a process with one thread.
    match unsafe { libc::fork() } {
        -1 => Err(format!("fork: {}", std::io::Error::last_os_error())),
        0 => {
            let _ = rustix::process::setsid();
            let _ = rustix::process::chdir("/");
            Ok(false)
        }
        _ => Ok(true),
    }
}

fn become_clean_up(command: &[std::ffi::OsString]) -> Result<u8, String> {
    let Some((program, arguments)) = command.split_first() else {
        return Ok(0);
    };
    netyard_netns::reset_signals();
    let mut command = std::process::Command::new(program);
    command.args(arguments);
    let error = std::os::unix::process::CommandExt::exec(&mut command);
    Err(format!("clean up: {error}"))
}

struct Supervisor {
    child: Pid,
    streams: Streams,
    clients: Vec<Client>,
    listener: OwnedFd,
    /// When a client could not be let in, the last time.
    deaf_since: Option<Instant>,
    signals: OwnedFd,
    log: Log,
    directory: std::path::PathBuf,
    /// Attached when it was started: then the end of that client's input ends the container's.
    input_once: bool,
}

impl Supervisor {
    /// Starts the container's process; the error is what netyard is told.
    fn start(mut options: Options, status: Option<&OwnedFd>) -> Result<Self, String> {
        let internal = |what: &str, errno: Errno| format!("error {} {what}", errno.raw_os_error());
        let directory = std::mem::take(&mut options.directory);
        let listener = listen(&directory).map_err(|errno| internal("listen for attach", errno))?;
        let signals =
            signals::descriptor(&[libc::SIGCHLD, libc::SIGTERM, libc::SIGHUP, libc::SIGINT])
                .map_err(|error| format!("error 5 {error}"))?;
        // SAFETY: ignoring a signal is a plain setting: a vanished client is no reason to die.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
        let log = Log::open(&options.log, options.log_limits);
        let mut clients = Vec::new();
        if options.wait_attach > 0 {
            report(status, "listening");
        }
        for _ in 0..options.wait_attach {
            clients.push(await_client(&listener, status)?);
        }
        let (streams, theirs) =
            Streams::open(&options).map_err(|errno| internal("open streams", errno))?;
        let program = options
            .program()
            .map_err(|error| format!("error 22 {error}"))?;
        let sandbox = options.sandbox();
        let child = netyard_netns::spawn(&sandbox, &program, &theirs)
            .map_err(|error| format!("error {} {}", error.errno, error.step))?;
        drop(theirs);
        let child = Pid::from_raw(child).ok_or("error 3 start")?;
        if !report(status, &format!("pid {}", child.as_raw_pid())) {
            // Whoever started us is gone and will never know of the container.
            let _ = rustix::process::kill_process(child, rustix::process::Signal::KILL);
        }
        Ok(Supervisor {
            child,
            input_once: options.wait_attach > 0,
            streams,
            clients,
            listener,
            deaf_since: None,
            signals,
            log,
            directory,
        })
    }

    /// Relays until the container has ended; true if a client has cleaned up.
    fn serve(&mut self) -> bool {
        let status = loop {
            if let Some(status) = self.turn() {
                break status;
            }
        };
        self.drain();
        self.log.finish();
        self.record(status);
        self.say_farewell(status)
    }

    /// One round of the loop: waits, and handles whatever is ready.
    fn turn(&mut self) -> Option<u8> {
        let behind = self.clients.iter().any(Client::is_behind);
        self.deaf_since = self.deaf_since.filter(|since| since.elapsed() < DEAF);
        let heard = match self.deaf_since {
            Some(_) => PollFlags::empty(),
            None => PollFlags::IN,
        };
        let mut waiting = vec![
            PollFd::new(&self.signals, PollFlags::IN),
            PollFd::new(&self.listener, heard),
        ];
        let mut sources = Vec::new();
        for stream in [Stream::Output, Stream::Error] {
            if let (Some(fd), false) = (self.streams.source(stream), behind) {
                sources.push((waiting.len(), stream));
                waiting.push(PollFd::new(fd, PollFlags::IN));
            }
        }
        let mut input_at = None;
        if let Some(fd) = self.streams.blocked_input() {
            input_at = Some(waiting.len());
            waiting.push(PollFd::new(fd, PollFlags::OUT));
        }
        let first_client = waiting.len();
        for client in &self.clients {
            let mut wanted = PollFlags::empty();
            if self.streams.takes_more() {
                wanted |= PollFlags::IN;
            }
            if client.has_unsent() {
                wanted |= PollFlags::OUT;
            }
            waiting.push(PollFd::new(&client.socket, wanted));
        }
        let patience = Timespec::try_from(DEAF).ok();
        let limit = patience.as_ref().filter(|_| self.deaf_since.is_some());
        if poll(&mut waiting, limit).is_err() {
            return None;
        }
        let ready: Vec<PollFlags> = waiting.iter().map(PollFd::revents).collect();
        drop(waiting);
        for (index, flags) in ready[first_client..].iter().enumerate() {
            self.serve_client(index, *flags);
        }
        for (at, stream) in sources {
            if !ready[at].is_empty() {
                self.take_output(stream);
            }
        }
        if input_at.is_some_and(|at| !ready[at].is_empty()) {
            self.streams.give_input();
        }
        if !ready[1].is_empty() {
            match accept(&self.listener) {
                Ok(client) => self.clients.push(client),
                Err(errno) => self.deaf_since = must_wait(errno).then(Instant::now),
            }
        }
        self.clients.retain(|client| !client.gone);
        if ready[0].is_empty() {
            None
        } else {
            self.take_signal()
        }
    }

    fn serve_client(&mut self, index: usize, flags: PollFlags) {
        if flags.contains(PollFlags::OUT) {
            self.clients[index].flush();
        }
        if flags.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR) {
            let mut packet = vec![0; CHUNK + 1];
            let socket = &self.clients[index].socket;
            match rustix::net::recv(socket, &mut packet[..], RecvFlags::DONTWAIT) {
                Ok((0, _)) => self.clients[index].gone = true,
                Ok((length, _)) => self.obey(index, packet[0], &packet[1..length]),
                // Reset: it has closed before it read all we said. What it said comes after that.
                Err(Errno::AGAIN | Errno::INTR | Errno::CONNRESET) => {}
                Err(_) => self.clients[index].gone = true,
            }
        }
    }

    /// Does what a client's packet asks for.
    fn obey(&mut self, index: usize, kind: u8, payload: &[u8]) {
        match kind {
            frame::INPUT => self.streams.queue_input(payload),
            frame::INPUT_END if self.input_once => self.streams.end_input(),
            frame::RESIZE if payload.len() == 4 => {
                let rows = u16::from_be_bytes([payload[0], payload[1]]);
                let columns = u16::from_be_bytes([payload[2], payload[3]]);
                self.streams.resize(rows, columns);
            }
            frame::CLAIM => self.clients[index].claims = true,
            frame::KILL => {
                let _ = rustix::process::kill_process(self.child, rustix::process::Signal::KILL);
            }
            frame::CLEANED => self.clients[index].cleaned = true,
            _ => {}
        }
    }

    /// Reads one piece of output for log and clients; false when there is no more for now.
    fn take_output(&mut self, stream: Stream) -> bool {
        let mut packet = vec![0; CHUNK + 1];
        packet[0] = match stream {
            Stream::Output => frame::OUTPUT,
            Stream::Error => frame::ERROR_OUTPUT,
        };
        let Some(length) = self.streams.read(stream, &mut packet[1..]) else {
            return false;
        };
        packet.truncate(length + 1);
        self.log.write(stream, &packet[1..]);
        for client in self.clients.iter_mut().filter(|client| !client.claims) {
            client.queue(packet.clone());
        }
        true
    }

    /// Reads what the container left in its pipes. Its processes are all dead by now.
    fn drain(&mut self) {
        while self.take_output(Stream::Output) {}
        while self.take_output(Stream::Error) {}
    }

    /// Handles a signal; the status if the container has ended.
    fn take_signal(&mut self) -> Option<u8> {
        let mut info = [0u8; 128];
        let length = rustix::io::read(&self.signals, &mut info).unwrap_or(0);
        if length < 4 {
            return None;
        }
        let number = i32::from_ne_bytes([info[0], info[1], info[2], info[3]]);
        if number != libc::SIGCHLD {
            // Ending the supervisor means ending the container, as its first process would see it.
            if let Some(signal) = rustix::process::Signal::from_named_raw(number) {
                let _ = rustix::process::kill_process(self.child, signal);
            }
            return None;
        }
        match waitpid(Some(self.child), WaitOptions::NOHANG) {
            Ok(Some((_, status))) => Some(exit_code(status)),
            _ => None,
        }
    }

    /// Leaves the status and the time, whole or not at all.
    fn record(&self, status: u8) {
        let (draft, record) = (self.directory.join("exit.new"), self.directory.join("exit"));
        if std::fs::write(&draft, format!("{status} {}\n", now())).is_ok() {
            let _ = std::fs::rename(draft, record);
        }
    }

    /// Takes what has come before the end: whoever kills a container claims it just before that.
    fn hear_out(&mut self) {
        while has_something(&self.listener) {
            match accept(&self.listener) {
                Ok(client) => self.clients.push(client),
                Err(_) => break,
            }
        }
        for index in 0..self.clients.len() {
            while !self.clients[index].gone && has_something(&self.clients[index].socket) {
                self.serve_client(index, PollFlags::IN);
            }
        }
    }

    /// Tells the clients; true if one that promised to clean up says it has.
    fn say_farewell(&mut self, status: u8) -> bool {
        let _ = std::fs::remove_file(self.directory.join("attach.sock"));
        self.hear_out();
        for client in &mut self.clients {
            client.queue(vec![frame::ENDED, status]);
        }
        let claimed =
            |clients: &[Client]| clients.iter().any(|c| c.claims && !c.gone && !c.cleaned);
        loop {
            let unsent = self.clients.iter().any(|c| !c.gone && c.has_unsent());
            if !unsent && !claimed(&self.clients) {
                break;
            }
            let mut waiting: Vec<PollFd<'_>> = Vec::new();
            for client in &self.clients {
                let out = if client.has_unsent() {
                    PollFlags::OUT
                } else {
                    PollFlags::empty()
                };
                waiting.push(PollFd::new(&client.socket, out | PollFlags::IN));
            }
            let patience = rustix::time::Timespec {
                tv_sec: FLUSH_MILLISECONDS / 1000,
                tv_nsec: 0,
            };
            let limit = if claimed(&self.clients) {
                None
            } else {
                Some(&patience)
            };
            let count = poll(&mut waiting, limit).unwrap_or(0);
            let ready: Vec<PollFlags> = waiting.iter().map(PollFd::revents).collect();
            drop(waiting);
            if count == 0 {
                break;
            }
            for (index, flags) in ready.iter().enumerate() {
                self.serve_client(index, *flags);
            }
            if self.clients.iter().any(|client| client.cleaned) {
                return true;
            }
            self.clients.retain(|client| !client.gone);
        }
        self.clients.iter().any(|client| client.cleaned)
    }
}
