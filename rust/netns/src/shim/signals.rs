//! Signals that are read instead of taken, and those that are for somebody else.

use std::os::fd::{FromRawFd, OwnedFd};

/// Blocks the signals and makes them readable.
pub(crate) fn descriptor(signals: &[i32]) -> Result<OwnedFd, String> {
    // SAFETY: the set is a plain value that lives through the calls; the descriptor is new.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        for signal in signals {
            libc::sigaddset(&raw mut set, *signal);
        }
        libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
        let fd = libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC);
        if fd < 0 {
            return Err(format!("signalfd: {}", std::io::Error::last_os_error()));
        }
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

/// Ctrl-C goes to the whole foreground group, the command included: its answer is the status.
pub(crate) fn ignore_terminal() {
    for signal in [libc::SIGINT, libc::SIGQUIT] {
        // SAFETY: ignoring a signal is a plain setting.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
}
