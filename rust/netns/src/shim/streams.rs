//! A container's streams, as its supervisor holds them.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;

use netyard_netns::Terminal;
use rustix::io::Errno;

use crate::log::Stream;
use crate::options::Options;
use crate::terminal;

/// Input beyond which no more is read from clients until the container has taken some.
const BACKLOG_MAX: usize = 256 << 10;

pub(crate) struct Streams {
    /// Where input goes; closed at the end of input.
    input: Option<OwnedFd>,
    output: Option<OwnedFd>,
    error: Option<OwnedFd>,
    is_terminal: bool,
    /// Input for a container that does not take it as fast as clients send.
    backlog: VecDeque<u8>,
    input_ended: bool,
}

impl Streams {
    /// Opens pipes or a terminal: our side, and the container's.
    pub(crate) fn open(options: &Options) -> rustix::io::Result<(Self, Terminal)> {
        let (ours, theirs) = Self::open_both(options)?;
        if let Some((user, group)) = options.stream_owner {
            theirs.give_to(user, group)?;
        }
        Ok((ours, theirs))
    }

    fn open_both(options: &Options) -> rustix::io::Result<(Self, Terminal)> {
        if options.terminal {
            let (ours, theirs) = terminal::open()?;
            set_nonblocking(&ours)?;
            let input = ours.try_clone().map_err(|_| Errno::MFILE)?;
            let streams = Streams {
                is_terminal: true,
                ..Streams::new(Some(input), ours, None)
            };
            return Ok((streams, Terminal::Pty(theirs)));
        }
        let pipe = || rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC);
        let (output, stdout) = pipe()?;
        let (error, stderr) = pipe()?;
        let (stdin, input) = if options.interactive {
            let (stdin, input) = pipe()?;
            set_nonblocking(&input)?;
            (stdin, Some(input))
        } else {
            let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::CLOEXEC;
            (
                rustix::fs::open("/dev/null", flags, rustix::fs::Mode::empty())?,
                None,
            )
        };
        set_nonblocking(&output)?;
        set_nonblocking(&error)?;
        let theirs = Terminal::Streams {
            stdin,
            stdout,
            stderr,
        };
        Ok((Streams::new(input, output, Some(error)), theirs))
    }

    fn new(input: Option<OwnedFd>, output: OwnedFd, error: Option<OwnedFd>) -> Self {
        Streams {
            input,
            output: Some(output),
            error,
            is_terminal: false,
            backlog: VecDeque::new(),
            input_ended: false,
        }
    }

    /// What output is read from, until its end.
    pub(crate) fn source(&self, stream: Stream) -> Option<&OwnedFd> {
        match stream {
            Stream::Output => self.output.as_ref(),
            Stream::Error => self.error.as_ref(),
        }
    }

    /// What input is written to, if some waits for it.
    pub(crate) fn blocked_input(&self) -> Option<&OwnedFd> {
        match self.backlog.is_empty() {
            true => None,
            false => self.input.as_ref(),
        }
    }

    /// Whether clients may send more.
    pub(crate) fn takes_more(&self) -> bool {
        self.backlog.len() < BACKLOG_MAX
    }

    pub(crate) fn queue_input(&mut self, bytes: &[u8]) {
        if self.input.is_some() && !self.input_ended {
            self.backlog.extend(bytes);
            self.give_input();
        }
    }

    pub(crate) fn end_input(&mut self) {
        self.input_ended = true;
        self.give_input();
    }

    /// Writes as much of the input as the container takes.
    pub(crate) fn give_input(&mut self) {
        let Some(input) = &self.input else {
            return;
        };
        while !self.backlog.is_empty() {
            let (first, _) = self.backlog.as_slices();
            match rustix::io::write(input, first) {
                Ok(written) => drop(self.backlog.drain(..written)),
                Err(Errno::AGAIN) => return,
                Err(Errno::INTR) => {}
                Err(_) => {
                    self.backlog.clear();
                    self.input_ended = true;
                }
            }
        }
        if self.input_ended && !self.is_terminal {
            self.input = None;
        }
    }

    /// Sets the size of the container's terminal, if it has one.
    pub(crate) fn resize(&self, rows: u16, columns: u16) {
        if let (Some(terminal), true) = (&self.input, self.is_terminal) {
            terminal::resize(terminal, rows, columns);
        }
    }

    /// Reads one piece of output; `None` when there is no more for now.
    pub(crate) fn read(&mut self, stream: Stream, buffer: &mut [u8]) -> Option<usize> {
        let slot = match stream {
            Stream::Output => &mut self.output,
            Stream::Error => &mut self.error,
        };
        match rustix::io::read(slot.as_ref()?, buffer) {
            // EIO: nobody holds the other side of the terminal any more.
            Ok(0) | Err(Errno::IO) => {
                *slot = None;
                None
            }
            Ok(length) => Some(length),
            Err(_) => None,
        }
    }
}

fn set_nonblocking(fd: &OwnedFd) -> rustix::io::Result<()> {
    let flags = rustix::fs::fcntl_getfl(fd)?;
    rustix::fs::fcntl_setfl(fd, flags | rustix::fs::OFlags::NONBLOCK)
}
