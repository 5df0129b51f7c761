//! `exec`: one more process in a running container, in a session of its own.
//!
//! It has pipes or a terminal of ours and never a descriptor of the admin's: `relay` copies between
//! the two, here, where the container cannot reach. We end when the process has ended and what it
//! had written has been passed on, whatever else still holds its streams.

use std::os::fd::{AsFd, OwnedFd};

use rustix::event::{poll, PollFd, PollFlags};
use rustix::process::{pidfd_open, waitpid, Pid, PidfdFlags, Signal, WaitOptions};

use crate::options::Options;
use crate::relay::Relay;
use crate::terminal::Raw;
use crate::{signals, status};

/// Above this are the numbers by which netyard tells which signal to pass on: real-time signals,
/// because the kernel makes one of two that have the same number, the terminal's and netyard's.
const TOLD: i32 = 40;
/// Those that are read; all but the first two are for the process.
const SIGNALS: [i32; 11] = [
    libc::SIGCHLD,
    libc::SIGWINCH,
    libc::SIGTSTP,
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGTERM,
    libc::SIGHUP,
    TOLD + libc::SIGINT,
    TOLD + libc::SIGQUIT,
    TOLD + libc::SIGTERM,
    TOLD + libc::SIGHUP,
];

pub(crate) fn run(mut options: Options) -> Result<u8, String> {
    let target = options
        .target
        .and_then(Pid::from_raw)
        .ok_or("--target needs a process id")?;
    let target = pidfd_open(target, PidfdFlags::empty()).map_err(|e| format!("container: {e}"))?;
    let starter = options.status.take();
    let program = options.program()?;
    let signals = signals::descriptor(&SIGNALS)?;
    let (relay, streams) = Relay::open(&options).map_err(|e| format!("open streams: {e}"))?;
    let child = match netyard_netns::exec(target.as_fd(), &program, &streams) {
        Ok(pid) => Pid::from_raw(pid).ok_or("no process")?,
        Err(error) => {
            status::report(
                starter.as_ref(),
                &format!("error {} {}", error.errno, error.step),
            );
            return Ok(status::start_failure(&error));
        }
    };
    drop(streams);
    status::report(starter.as_ref(), &format!("pid {}", child.as_raw_pid()));
    drop(starter);
    let _raw = options.terminal.then(Raw::enter);
    let mut session = Session {
        child,
        signals,
        relay,
        is_told: options.told_signals,
        status: None,
    };
    session.serve()
}

/// The process, and what goes to and fro while it runs.
struct Session {
    child: Pid,
    signals: OwnedFd,
    relay: Relay,
    /// Netyard passes signals of the terminal on, and we leave our own copy of them alone.
    is_told: bool,
    /// Once it has ended.
    status: Option<u8>,
}

impl Session {
    fn serve(&mut self) -> Result<u8, String> {
        loop {
            if let (Some(status), true) = (self.status, self.relay.is_done()) {
                // A success of which the half is lost is none.
                let is_lost = status == 0 && self.relay.has_failed();
                return Ok(if is_lost { 125 } else { status });
            }
            let mut waiting = vec![PollFd::new(&self.signals, PollFlags::IN)];
            waiting.extend(self.relay.awaited());
            match poll(&mut waiting, None) {
                Ok(_) => {}
                Err(rustix::io::Errno::INTR) => continue,
                Err(errno) => return Err(format!("wait: {errno}")),
            }
            let ready: Vec<bool> = waiting
                .iter()
                .map(|entry| !entry.revents().is_empty())
                .collect();
            drop(waiting);
            self.relay.turn(&ready[1..]);
            if ready[0] {
                self.take_signal()?;
            }
        }
    }

    fn take_signal(&mut self) -> Result<(), String> {
        let Some(received) = signals::read(&self.signals) else {
            return Ok(());
        };
        let number = match received.number {
            told if told > TOLD => told - TOLD,
            number => number,
        };
        match number {
            libc::SIGCHLD => self.look_for_end(),
            libc::SIGWINCH => {
                self.relay.resize();
                Ok(())
            }
            libc::SIGTSTP => {
                self.pause();
                Ok(())
            }
            _ if self.is_told && received.is_of_terminal => Ok(()),
            number if self.status.is_some() => {
                // Only a slow reader of ours is waited for any more, and that is to end.
                self.status = Some(128u8.wrapping_add(number as u8));
                self.relay.abandon();
                Ok(())
            }
            number => {
                self.send(Signal::from_named_raw(number));
                Ok(())
            }
        }
    }

    fn look_for_end(&mut self) -> Result<(), String> {
        match waitpid(Some(self.child), WaitOptions::NOHANG) {
            Ok(Some((_, status))) => {
                self.status = Some(status::exit_code(status));
                self.relay.finish();
                Ok(())
            }
            Ok(None) => Ok(()),
            Err(errno) => Err(format!("wait: {errno}")),
        }
    }

    /// Stops with the process, as a shell's Ctrl-Z wants it, until both are to go on.
    fn pause(&self) {
        self.send(Some(Signal::STOP));
        let _ = rustix::process::kill_process(rustix::process::getpid(), Signal::STOP);
        self.send(Some(Signal::CONT));
    }

    /// To all of its group, as a terminal does.
    fn send(&self, signal: Option<Signal>) {
        if let (Some(signal), None) = (signal, self.status) {
            let _ = rustix::process::kill_process_group(self.child, signal);
        }
    }
}
