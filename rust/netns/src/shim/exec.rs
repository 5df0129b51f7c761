//! `exec`: one more process in a running container, with our own streams or a terminal.

use std::os::fd::{AsFd, OwnedFd};

use netyard_netns::Terminal;
use rustix::process::{pidfd_open, Pid, PidfdFlags, WaitOptions};

use crate::options::Options;
use crate::terminal;

pub(crate) fn run(mut options: Options) -> Result<u8, String> {
    let target = options
        .target
        .and_then(Pid::from_raw)
        .ok_or("--target needs a process id")?;
    let target = pidfd_open(target, PidfdFlags::empty()).map_err(|e| format!("container: {e}"))?;
    let status = options.status.take();
    let program = options.program()?;
    let wants_terminal = options.terminal;
    // Opened before entering: afterwards the container's files are all there is.
    let (ours, streams) = streams(&options)?;
    let child = match netyard_netns::exec(target.as_fd(), &program, &streams) {
        Ok(pid) => pid,
        Err(error) => {
            crate::supervise::report(
                status.as_ref(),
                &format!("error {} {}", error.errno, error.step),
            );
            return Ok(crate::supervise::start_failure(&error));
        }
    };
    drop(streams);
    crate::supervise::report(status.as_ref(), &format!("pid {child}"));
    drop(status);
    if wants_terminal {
        if let Some(ours) = &ours {
            crate::attach::relay_terminal(ours);
        }
    } else {
        ignore_terminal_signals();
    }
    wait(child)
}

fn streams(options: &Options) -> Result<(Option<OwnedFd>, Terminal), String> {
    if options.terminal {
        let (ours, theirs) = terminal::open().map_err(|e| format!("open terminal: {e}"))?;
        if let Some((rows, columns)) = terminal::size() {
            terminal::resize(&ours, rows, columns);
        }
        return Ok((Some(ours), Terminal::Pty(theirs)));
    }
    if options.no_stdin {
        let null = std::fs::File::open("/dev/null").map_err(|e| format!("/dev/null: {e}"))?;
        let _ = rustix::stdio::dup2_stdin(&null);
    }
    Ok((None, Terminal::Inherited))
}

/// Ctrl-C goes to the whole foreground group, the command included: its answer is the status.
pub(crate) fn ignore_terminal_signals() {
    for signal in [libc::SIGINT, libc::SIGQUIT] {
        // SAFETY: ignoring a signal is a plain setting.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
}

/// Waits for a child; its status as a shell would say it.
pub(crate) fn wait(child: i32) -> Result<u8, String> {
    let child = Pid::from_raw(child).ok_or("no process")?;
    loop {
        match rustix::process::waitpid(Some(child), WaitOptions::empty()) {
            Ok(Some((_, status))) => return Ok(crate::supervise::exit_code(status)),
            Ok(None) | Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(format!("wait: {errno}")),
        }
    }
}
