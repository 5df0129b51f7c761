//! `exec`: one more process in a running container, with our own streams or a terminal.

use std::os::fd::{AsFd, OwnedFd};

use netyard_netns::Terminal;
use rustix::process::{pidfd_open, Pid, PidfdFlags};

use crate::options::Options;
use crate::{signals, status, terminal};

pub(crate) fn run(mut options: Options) -> Result<u8, String> {
    let target = options
        .target
        .and_then(Pid::from_raw)
        .ok_or("--target needs a process id")?;
    let target = pidfd_open(target, PidfdFlags::empty()).map_err(|e| format!("container: {e}"))?;
    let starter = options.status.take();
    let program = options.program()?;
    let wants_terminal = options.terminal;
    // Opened before entering: afterwards the container's files are all there is.
    let (ours, streams) = streams(&options)?;
    let child = match netyard_netns::exec(target.as_fd(), &program, &streams) {
        Ok(pid) => pid,
        Err(error) => {
            status::report(
                starter.as_ref(),
                &format!("error {} {}", error.errno, error.step),
            );
            return Ok(status::start_failure(&error));
        }
    };
    drop(streams);
    status::report(starter.as_ref(), &format!("pid {child}"));
    drop(starter);
    if wants_terminal {
        if let Some(ours) = &ours {
            terminal::relay(ours);
        }
    } else {
        signals::ignore_terminal();
    }
    status::wait(child)
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
