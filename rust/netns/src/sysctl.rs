//! Kernel settings under /proc/sys, of the calling thread's network namespace.

use std::path::PathBuf;

use crate::error::{Error, Result};

/// `net.ipv4.conf.eth0.arp_notify` as a path; a `/` in the name stands for a dot in an interface's.
fn path_of(name: &str) -> PathBuf {
    let relative: String = name
        .chars()
        .map(|letter| match letter {
            '.' => '/',
            '/' => '.',
            other => other,
        })
        .collect();
    // /proc/sys/net shows the namespace of the task that looks, so this is right on any thread.
    PathBuf::from("/proc/sys").join(relative)
}

/// Sets one value. Same as `sysctl -w NAME=VALUE`.
pub fn write_sysctl(name: &str, value: &str) -> Result<()> {
    let path = path_of(name);
    std::fs::write(&path, value).map_err(|error| Error::new("set", name, error))
}

/// Reads one value, without the newline.
pub fn read_sysctl(name: &str) -> Result<String> {
    let text =
        std::fs::read_to_string(path_of(name)).map_err(|error| Error::new("read", name, error))?;
    Ok(text.trim_end().to_string())
}
