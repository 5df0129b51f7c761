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

/// A signal that was read.
pub(crate) struct Received {
    pub(crate) number: i32,
    /// The kernel's own, to the whole group: a key, or a terminal that is gone.
    pub(crate) is_of_terminal: bool,
}

/// Reads one signal of a descriptor (`struct signalfd_siginfo`).
pub(crate) fn read(descriptor: &OwnedFd) -> Option<Received> {
    /// `si_code` of what no process has sent.
    const SI_KERNEL: i32 = 0x80;
    let mut info = [0u8; 128];
    let length = rustix::io::read(descriptor, &mut info).ok()?;
    let field =
        |at: usize| i32::from_ne_bytes([info[at], info[at + 1], info[at + 2], info[at + 3]]);
    (length == info.len()).then(|| Received {
        number: field(0),
        is_of_terminal: field(8) == SI_KERNEL,
    })
}

/// Ctrl-C goes to the whole foreground group, the command included: its answer is the status.
pub(crate) fn ignore_terminal() {
    for signal in [libc::SIGINT, libc::SIGQUIT] {
        // SAFETY: ignoring a signal is a plain setting.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
}
