//! Kernel settings under /proc/sys, of the calling thread's network namespace.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags, CWD};
use rustix::mount::OpenTreeFlags;

use crate::error::{Error, Result};

/// Settings of the namespace that the calling thread is in when it reads or writes the first.
///
/// Directories such as `net/ipv4` are kept open from one setting to the next: the kernel has those
/// of all namespaces in one chain, which is gone through for each path from the root.
#[derive(Default)]
pub struct Sysctls {
    opened: Option<(String, OwnedFd)>,
}

/// Components of a path that are the same directory's: `net/ipv4`.
const SHARED: usize = 2;

/// `net.ipv4.conf.eth0.arp_notify` as a path; a `/` in the name stands for a dot in an interface's.
fn path_of(name: &str) -> String {
    name.chars()
        .map(|letter| match letter {
            '.' => '/',
            '/' => '.',
            other => other,
        })
        .collect()
}

/// Opens settings to be written to, of the network namespace that the calling thread is in.
///
/// By a mount of their own: one that is written to cannot be made read-only (EBUSY).
pub(crate) fn open_apart(names: &[&str]) -> Result<Vec<File>> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let top = rustix::mount::open_tree(CWD, "/proc/sys", flags)
        .map_err(|errno| Error::new("open", "/proc/sys", errno))?;
    let open = |name: &&str| {
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        rustix::fs::openat(&top, path_of(name), flags, Mode::empty())
            .map(File::from)
            .map_err(|errno| Error::new("set", name, errno))
    };
    names.iter().map(open).collect()
}

impl Sysctls {
    /// Sets one value. Same as `sysctl -w NAME=VALUE`.
    pub fn write(&mut self, name: &str, value: &str) -> Result<()> {
        let outcome = self
            .open(name, OFlags::WRONLY)
            .and_then(|mut file| file.write_all(value.as_bytes()));
        outcome.map_err(|error| Error::new("set", name, error))
    }

    /// Reads one value, without the newline.
    pub fn read(&mut self, name: &str) -> Result<String> {
        let mut text = String::new();
        let outcome = self
            .open(name, OFlags::RDONLY)
            .and_then(|mut file| file.read_to_string(&mut text));
        outcome.map_err(|error| Error::new("read", name, error))?;
        Ok(text.trim_end().to_string())
    }

    fn open(&mut self, name: &str, access: OFlags) -> std::io::Result<File> {
        let path = path_of(name);
        let cut = path.match_indices('/').nth(SHARED - 1);
        let (directory, rest) = cut.map_or(("", path.as_str()), |(at, _)| {
            (&path[..at], &path[at + 1..])
        });
        if self.opened.as_ref().map(|(known, _)| known.as_str()) != Some(directory) {
            // /proc/sys/net shows the namespace of the task that looks: right on any thread.
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let from = format!("/proc/sys/{directory}");
            let opened = rustix::fs::openat(CWD, from, flags, Mode::empty())?;
            self.opened = Some((directory.to_string(), opened));
        }
        let Some((_, opened)) = &self.opened else {
            return Err(std::io::ErrorKind::NotFound.into());
        };
        let file = rustix::fs::openat(opened, rest, access | OFlags::CLOEXEC, Mode::empty())?;
        Ok(File::from(file))
    }
}
