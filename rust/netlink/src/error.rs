//! What can go wrong between us and the kernel.

use crate::feature::Feature;

/// A failed exchange with the kernel.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel answered one request of a batch with an error.
    #[error("{operation} {subject}: {}", describe(*errno, message, attribute))]
    Refused {
        /// What was asked, as a verb phrase ("create link").
        operation: &'static str,
        /// What it was asked about ("br-0a1b").
        subject: String,
        /// The positive error number.
        errno: i32,
        /// The text of the extended acknowledgement, if the kernel gave one.
        message: Option<String>,
        /// The attribute the extended acknowledgement points at, as a path of kernel names.
        attribute: Option<String>,
        /// Which request of the batch it was, from 0.
        request: usize,
        /// The part of the kernel that was asked.
        feature: Option<Feature>,
    },
    /// The socket itself failed.
    #[error("{operation}: {source}")]
    Socket {
        operation: &'static str,
        source: std::io::Error,
        /// What the socket is for.
        feature: Option<Feature>,
    },
    /// The kernel's answer could not be understood.
    #[error("{operation}: the kernel's answer is malformed: {detail}")]
    Malformed {
        operation: &'static str,
        detail: String,
    },
}

/// The result of an exchange with the kernel.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// The positive error number, if one is known.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Error::Refused { errno, .. } => Some(*errno),
            Error::Socket { source, .. } => source.raw_os_error(),
            Error::Malformed { .. } => None,
        }
    }

    /// The part of the kernel that failed, where it may be missing.
    pub fn feature(&self) -> Option<Feature> {
        match self {
            Error::Refused { feature, .. } | Error::Socket { feature, .. } => *feature,
            Error::Malformed { .. } => None,
        }
    }

    pub(crate) fn socket(operation: &'static str, errno: rustix::io::Errno) -> Self {
        Error::Socket {
            operation,
            source: errno.into(),
            feature: None,
        }
    }
}

/// Joins errno, kernel text and attribute into the tail of one sentence.
fn describe(errno: i32, message: &Option<String>, attribute: &Option<String>) -> String {
    let mut text = std::io::Error::from_raw_os_error(errno).to_string();
    if let Some(cut) = text.find(" (os error") {
        text.truncate(cut);
    }
    if let Some(message) = message {
        text = format!("{text} ({message})");
    }
    if let Some(attribute) = attribute {
        text = format!("{text} at {attribute}");
    }
    text
}
