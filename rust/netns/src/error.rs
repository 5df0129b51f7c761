//! What can go wrong when making namespaces and mounts.

use std::path::Path;

/// A system call that failed, and what it was for.
#[derive(Debug, thiserror::Error)]
#[error("{operation} {subject}: {source}")]
pub struct Error {
    /// What was tried, as a verb phrase.
    pub operation: &'static str,
    /// The path or name it was tried on.
    pub subject: String,
    pub source: std::io::Error,
}

/// The result of a namespace operation.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) fn new(
        operation: &'static str,
        subject: impl AsRef<Path>,
        source: impl Into<std::io::Error>,
    ) -> Self {
        Error {
            operation,
            subject: subject.as_ref().display().to_string(),
            source: source.into(),
        }
    }
}

/// Why the last system call failed.
pub(crate) fn last_errno() -> rustix::io::Errno {
    rustix::io::Errno::from_io_error(&std::io::Error::last_os_error())
        .unwrap_or(rustix::io::Errno::IO)
}
