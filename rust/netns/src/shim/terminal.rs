//! Pseudo-terminals, and the user's own terminal in raw mode.

use std::os::fd::{AsFd, OwnedFd};

use rustix::io::Errno;
use rustix::pty::OpenptFlags;
use rustix::termios::{OptionalActions, Termios, Winsize};

use crate::signals;

/// A new pseudo-terminal: our side and the container's.
pub(crate) fn open() -> rustix::io::Result<(OwnedFd, OwnedFd)> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let ours = rustix::pty::openpt(flags)?;
    rustix::pty::grantpt(&ours)?;
    rustix::pty::unlockpt(&ours)?;
    let theirs = rustix::pty::ioctl_tiocgptpeer(&ours, flags)?;
    Ok((ours, theirs))
}

/// Sets the size, in rows and columns.
pub(crate) fn resize(terminal: &OwnedFd, rows: u16, columns: u16) {
    let size = Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    let _ = rustix::termios::tcsetwinsize(terminal, size);
}

/// The user's terminal while it is raw; restored when dropped.
pub(crate) struct Raw {
    before: Option<Termios>,
}

impl Raw {
    /// Makes standard input raw if it is a terminal.
    pub(crate) fn enter() -> Self {
        let stdin = rustix::stdio::stdin();
        let before = rustix::termios::tcgetattr(stdin).ok();
        if let Some(mut changed) = before.clone() {
            changed.make_raw();
            let _ = rustix::termios::tcsetattr(stdin, OptionalActions::Drain, &changed);
        }
        Raw { before }
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            let stdin = rustix::stdio::stdin();
            let _ = rustix::termios::tcsetattr(stdin, OptionalActions::Drain, before);
        }
    }
}

/// Rows and columns of the user's terminal, whichever standard stream it is.
pub(crate) fn size() -> Option<(u16, u16)> {
    let streams = [
        rustix::stdio::stdin(),
        rustix::stdio::stdout(),
        rustix::stdio::stderr(),
    ];
    streams
        .iter()
        .find_map(|stream| rustix::termios::tcgetwinsize(stream.as_fd()).ok())
        .map(|size| (size.ws_row, size.ws_col))
        .filter(|(rows, columns)| *rows > 0 && *columns > 0)
}

/// A descriptor that becomes readable when the user's terminal changes its size.
pub(crate) fn watch_size(wanted: bool) -> Result<OwnedFd, String> {
    signals::descriptor(if wanted { &[libc::SIGWINCH] } else { &[] })
}

/// Writes all of it, unless the other side is gone.
pub(crate) fn write_all(to: impl AsFd, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        match rustix::io::write(to.as_fd(), bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(Errno::INTR) => {}
            Err(_) => return,
        }
    }
}
