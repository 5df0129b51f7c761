//! What the shim says of a process: one line to whoever started it, and a status as a shell would.

use std::os::fd::{AsFd, OwnedFd};

use netyard_netns::SpawnError;
use rustix::process::{waitpid, Pid, WaitOptions, WaitStatus};

/// Writes one line to whoever started us; false if nobody is there to read it.
pub(crate) fn report(status: Option<&OwnedFd>, line: &str) -> bool {
    status.is_none_or(|fd| rustix::io::write(fd.as_fd(), format!("{line}\n").as_bytes()).is_ok())
}

/// Docker's exit status for a wait status: the command's own, or 128 and the signal.
pub(crate) fn exit_code(status: WaitStatus) -> u8 {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => code as u8,
        (None, Some(signal)) => 128u8.wrapping_add(signal as u8),
        (None, None) => 125,
    }
}

/// Docker's exit status for a command that did not start.
pub(crate) fn start_failure(error: &SpawnError) -> u8 {
    match (error.step.as_str(), error.errno) {
        ("exec", libc::ENOENT | libc::ENOTDIR) => 127,
        ("exec", _) => 126,
        _ => 125,
    }
}

/// Waits for a child; its status as a shell would say it.
pub(crate) fn wait(child: i32) -> Result<u8, String> {
    let child = Pid::from_raw(child).ok_or("no process")?;
    loop {
        match waitpid(Some(child), WaitOptions::empty()) {
            Ok(Some((_, status))) => return Ok(exit_code(status)),
            Ok(None) | Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(format!("wait: {errno}")),
        }
    }
}
