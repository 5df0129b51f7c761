//! Bytes between our own streams and those of a process in a container.
//!
//! The process never holds a descriptor of ours: it has pipes or a terminal, and what comes through
//! is copied. No direction waits for another, and none waits for a slow reader on our side: that
//! reader's stream is left as it is (its flags are shared with whoever else has it open), and a
//! pipe or a terminal is opened once more to be written to without waiting.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use netyard_netns::Terminal;
use rustix::event::{PollFd, PollFlags};
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::{Errno, Result};
use rustix::net::SendFlags;

use crate::options::Options;
use crate::terminal;

/// As much as a pipe holds.
const CHUNK: usize = 64 << 10;
/// What is read at most of a stream once the process has ended: what it started may write for ever.
const LEFTOVER_MAX: usize = 1 << 20;

/// All directions of one process.
pub(crate) struct Relay {
    /// Our side of its terminal, if it has one.
    terminal: Option<OwnedFd>,
    /// What it reads, if it reads from us at all; then what it writes.
    flows: Vec<Flow>,
    has_input: bool,
}

impl Relay {
    /// Opens pipes or a terminal: our side, and the process's.
    ///
    /// To be called before the container is entered: afterwards its files are all there is.
    pub(crate) fn open(options: &Options) -> Result<(Self, Terminal)> {
        let (ours, theirs) = if options.terminal {
            Self::over_terminal(options.interactive)?
        } else {
            Self::over_pipes(options.interactive)?
        };
        if let Some((user, group)) = options.stream_owner {
            theirs.give_to(user, group)?;
        }
        Ok((ours, theirs))
    }

    fn over_terminal(interactive: bool) -> Result<(Self, Terminal)> {
        let (ours, theirs) = terminal::open()?;
        set_nonblocking(&ours)?;
        if let Some((rows, columns)) = terminal::size() {
            terminal::resize(&ours, rows, columns);
        }
        let mut flows = Vec::new();
        if interactive {
            flows.push(Flow::new(
                copy(rustix::stdio::stdin())?,
                Sink::of(copy(&ours)?),
            ));
        }
        flows.push(Flow::new(
            copy(&ours)?,
            Sink::open(rustix::stdio::stdout())?,
        ));
        let relay = Relay {
            terminal: Some(ours),
            flows,
            has_input: interactive,
        };
        Ok((relay, Terminal::Pty(theirs)))
    }

    fn over_pipes(interactive: bool) -> Result<(Self, Terminal)> {
        let pipe = || rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC);
        let mut flows = Vec::new();
        let stdin = if interactive {
            let (stdin, ours) = pipe()?;
            set_nonblocking(&ours)?;
            flows.push(Flow::new(copy(rustix::stdio::stdin())?, Sink::of(ours)));
            stdin
        } else {
            rustix::fs::open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?
        };
        let mut output = |ours: BorrowedFd<'static>| -> Result<OwnedFd> {
            let (source, theirs) = pipe()?;
            set_nonblocking(&source)?;
            flows.push(Flow::new(source, Sink::open(ours)?));
            Ok(theirs)
        };
        let streams = Terminal::Streams {
            stdin,
            stdout: output(rustix::stdio::stdout())?,
            stderr: output(rustix::stdio::stderr())?,
        };
        let relay = Relay {
            terminal: None,
            flows,
            has_input: interactive,
        };
        Ok((relay, streams))
    }

    /// Gives its terminal the size of ours.
    pub(crate) fn resize(&self) {
        if let (Some(ours), Some((rows, columns))) = (&self.terminal, terminal::size()) {
            terminal::resize(ours, rows, columns);
        }
    }

    /// What to wait for: of each direction one descriptor, or none.
    pub(crate) fn awaited(&self) -> impl Iterator<Item = PollFd<'_>> {
        self.flows.iter().filter_map(Flow::awaited)
    }

    /// Goes on where something is ready, in the order of `awaited`.
    pub(crate) fn turn(&mut self, ready: &[bool]) {
        let mut ready = ready.iter();
        for flow in &mut self.flows {
            if flow.awaited().is_some() && ready.next() == Some(&true) {
                flow.step();
            }
        }
        let outputs = &self.flows[usize::from(self.has_input)..];
        if outputs.iter().any(|flow| flow.is_refused) && self.terminal.is_some() {
            // Nobody reads what the terminal shows: it hangs up, as when its window is closed.
            self.terminal = None;
            self.abandon();
        }
    }

    /// The process has ended: it reads no more, and what it has written is all that is passed on.
    pub(crate) fn finish(&mut self) {
        if self.has_input {
            self.flows.remove(0);
            self.has_input = false;
        }
        for flow in &mut self.flows {
            flow.left = Some(LEFTOVER_MAX);
            flow.fill();
        }
    }

    /// Whether something could not be written for another reason than that nobody reads it.
    pub(crate) fn has_failed(&self) -> bool {
        self.flows.iter().any(|flow| flow.has_failed)
    }

    /// Passes on nothing more.
    pub(crate) fn abandon(&mut self) {
        self.flows.clear();
        self.has_input = false;
    }

    /// Whether all that is to be passed on has been.
    pub(crate) fn is_done(&self) -> bool {
        self.flows.iter().all(|flow| flow.awaited().is_none())
    }
}

/// One direction: something is read, then waits to be taken.
struct Flow {
    source: Option<OwnedFd>,
    sink: Option<Sink>,
    buffer: Vec<u8>,
    /// How much of the buffer has been taken.
    taken: usize,
    /// How much may still be read, and only what is there; without end if not set.
    left: Option<usize>,
    /// What it was written to takes no more.
    is_refused: bool,
    /// And not because nobody reads it.
    has_failed: bool,
}

impl Flow {
    fn new(source: OwnedFd, sink: Sink) -> Self {
        Flow {
            source: Some(source),
            sink: Some(sink),
            buffer: Vec::new(),
            taken: 0,
            left: None,
            is_refused: false,
            has_failed: false,
        }
    }

    fn awaited(&self) -> Option<PollFd<'_>> {
        match (&self.source, &self.sink) {
            (_, Some(sink)) if !self.is_empty() => Some(PollFd::new(&sink.fd, PollFlags::OUT)),
            (Some(source), Some(_)) => Some(PollFd::new(source, PollFlags::IN)),
            _ => None,
        }
    }

    fn is_empty(&self) -> bool {
        self.taken == self.buffer.len()
    }

    fn step(&mut self) {
        if self.is_empty() {
            self.fill();
        }
        // Mostly it is taken at once, and needs no waiting.
        if !self.is_empty() {
            self.give();
        }
        if self.is_empty() && self.left.is_some() {
            self.fill();
        }
    }

    fn fill(&mut self) {
        let Some(source) = self.source.as_ref().filter(|_| self.is_empty()) else {
            return;
        };
        self.buffer.resize(self.left.unwrap_or(CHUNK).min(CHUNK), 0);
        let read = if self.buffer.is_empty() {
            Ok(0)
        } else {
            rustix::io::read(source, &mut self.buffer)
        };
        let length = *read.as_ref().unwrap_or(&0);
        self.buffer.truncate(length);
        self.taken = 0;
        self.left = self.left.map(|left| left - length);
        match read {
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) if self.left.is_none() => {}
            Ok(1..) => {}
            // Its end. EIO: nobody holds the other side of the terminal any more.
            _ => self.end(),
        }
    }

    fn give(&mut self) {
        let Some(sink) = &self.sink else {
            return;
        };
        match sink.write(&self.buffer[self.taken..]) {
            Ok(length) => self.taken += length,
            Err(Errno::AGAIN | Errno::INTR) => return,
            Err(errno) => {
                if errno != Errno::PIPE {
                    eprintln!("netyard: write what the command has written: {errno}");
                    self.has_failed = true;
                }
                // Whoever writes on learns it as if it had written there itself.
                self.is_refused = true;
                self.taken = self.buffer.len();
                self.source = None;
            }
        }
        if self.source.is_none() {
            self.end();
        }
    }

    /// No more is read; the other side is told once it has taken everything.
    fn end(&mut self) {
        self.source = None;
        if self.is_empty() {
            self.sink = None;
        }
    }
}

/// What is written to.
struct Sink {
    fd: OwnedFd,
    is_socket: bool,
}

impl Sink {
    /// One that does not wait already.
    fn of(fd: OwnedFd) -> Self {
        Sink {
            fd,
            is_socket: false,
        }
    }

    /// One of our own streams.
    fn open(stream: BorrowedFd<'static>) -> Result<Self> {
        let kind = FileType::from_raw_mode(rustix::fs::fstat(stream)?.st_mode);
        if kind == FileType::Fifo || rustix::termios::isatty(stream) {
            let path = format!("/proc/self/fd/{}", stream.as_raw_fd());
            let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
            if let Ok(fd) = rustix::fs::open(path, flags, Mode::empty()) {
                return Ok(Self::of(fd));
            }
        }
        Ok(Sink {
            fd: copy(stream)?,
            is_socket: kind == FileType::Socket,
        })
    }

    fn write(&self, bytes: &[u8]) -> Result<usize> {
        if self.is_socket {
            let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
            return rustix::net::send(&self.fd, bytes, flags);
        }
        rustix::io::write(&self.fd, bytes)
    }
}

fn copy(fd: impl AsFd) -> Result<OwnedFd> {
    rustix::io::fcntl_dupfd_cloexec(fd, 3)
}

fn set_nonblocking(fd: &OwnedFd) -> Result<()> {
    let flags = rustix::fs::fcntl_getfl(fd)?;
    rustix::fs::fcntl_setfl(fd, flags | OFlags::NONBLOCK)
}
