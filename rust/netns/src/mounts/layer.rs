//! Files that can be written to without a trace: overlays over every file system of the host.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Gid, Mode, OFlags, ResolveFlags, Uid, CWD};
use rustix::io::Errno;
use rustix::mount::MountAttrFlags as Attributes;

use super::calls::{self, Reach, NO_DEVICES, PLAIN, READ_ONLY};
use super::place::{Makes, Place};
use super::{RootIds, MAP_IDS};
use crate::error::{Error, Result};

/// They are the container's own in any case, and no file system that is written to.
const OWN: [&str; 3] = ["/proc", "/sys", "/dev"];

/// The host's files, each file system below a layer; what takes none is read-only.
///
/// `size` is that of all layers together, as tmpfs takes it. `users`: a user namespace whose ids the
/// files are to have, where their file system can.
pub(super) fn open(size: &str, privileged: bool, users: Option<BorrowedFd<'_>>) -> Result<Place> {
    let fail = |errno| Error::new("overlay", "/", errno);
    let mut attributes = Attributes::empty();
    attributes.set(NO_DEVICES, !privileged);
    let options = [("size", size), ("mode", "0755")];
    let layer = calls::filesystem("tmpfs", &options, PLAIN).map_err(fail)?;
    // Opened before the first is mounted: that covers a part of what is still to be found.
    let mut sources = Vec::new();
    for path in mount_points()? {
        if let Ok(found) = look_up(CWD, &path) {
            sources.push((path, found));
        }
    }
    let old = calls::look_up("/").map_err(fail)?;
    let old = match users {
        Some(users) => mapped(&old, users).map_err(|errno| Error::new(MAP_IDS, "/", errno))?,
        None => old,
    };
    // Before Linux 5.19 the other ids are no obstacle until here.
    let operation = if users.is_some() { MAP_IDS } else { "overlay" };
    let top = overlay(old.as_fd(), layer.as_fd(), "root", attributes)
        .map_err(|errno| Error::new(operation, "/", errno))?;
    let anywhere = calls::look_up("/sys").map_err(fail)?;
    calls::attach(top.as_fd(), anywhere.as_fd()).map_err(fail)?;
    for (number, (path, source)) in sources.iter().enumerate() {
        let below = path.strip_prefix("/").unwrap_or(path);
        let Ok(target) = look_up(top.as_fd(), below) else {
            continue;
        };
        let name = number.to_string();
        let mapped = users.and_then(|users| mapped(source, users).ok());
        let source = mapped.as_ref().unwrap_or(source);
        let tree = overlay(source.as_fd(), layer.as_fd(), &name, attributes)
            .or_else(|_| read_only(source.as_fd(), attributes))
            .map_err(|errno| Error::new("overlay", path, errno))?;
        calls::attach(tree.as_fd(), target.as_fd())
            .map_err(|errno| Error::new("overlay", path, errno))?;
    }
    Ok(Place {
        top,
        makes: Makes::Anywhere,
        owner: RootIds::default(),
    })
}

/// A mount of the same whose files have the ids of a user namespace.
fn mapped(source: &OwnedFd, users: BorrowedFd<'_>) -> rustix::io::Result<OwnedFd> {
    let tree = calls::copy(source.as_fd(), "")?;
    calls::map_ids(tree.as_fd(), users)?;
    Ok(tree)
}

/// A mount of a directory that takes writes to a directory of the layer.
pub(super) fn overlay(
    lower: BorrowedFd<'_>,
    layer: BorrowedFd<'_>,
    name: &str,
    attributes: Attributes,
) -> rustix::io::Result<OwnedFd> {
    let (upper, work) = (format!("{name}-upper"), format!("{name}-work"));
    for part in [&upper, &work] {
        rustix::fs::mkdirat(layer, part.as_str(), Mode::from_raw_mode(0o755))?;
    }
    // What is seen of the directory itself is seen of the upper one.
    let seen = rustix::fs::fstat(lower)?;
    let (owner, group) = (Uid::from_raw(seen.st_uid), Gid::from_raw(seen.st_gid));
    let none = AtFlags::empty();
    rustix::fs::chownat(layer, upper.as_str(), Some(owner), Some(group), none)?;
    let mode = Mode::from_raw_mode(seen.st_mode & 0o7777);
    rustix::fs::chmodat(layer, upper.as_str(), mode, none)?;
    let path =
        |fd: BorrowedFd<'_>, below: &str| format!("/proc/self/fd/{}/{below}", fd.as_raw_fd());
    let options = [
        ("lowerdir", path(lower, "")),
        ("upperdir", path(layer, &upper)),
        ("workdir", path(layer, &work)),
    ];
    let options: Vec<_> = options
        .iter()
        .map(|(key, value)| (*key, value.as_str()))
        .collect();
    calls::filesystem("overlay", &options, attributes)
}

fn read_only(source: BorrowedFd<'_>, attributes: Attributes) -> rustix::io::Result<OwnedFd> {
    let tree = calls::copy(source, "")?;
    let set = attributes | READ_ONLY;
    calls::change(tree.as_fd(), set, Attributes::empty(), Reach::One)?;
    Ok(tree)
}

/// Where something is mounted below the root, what is nearer to it first, each place once.
fn mount_points() -> Result<Vec<PathBuf>> {
    let path = Path::new("/proc/self/mountinfo");
    let text = std::fs::read(path).map_err(|error| Error::new("read", path, error))?;
    let mut found: Vec<_> = text
        .split(|byte| *byte == b'\n')
        .filter_map(|line| line.split(|byte| *byte == b' ').nth(4))
        .map(unescaped)
        .filter(|path| path != Path::new("/") && OWN.iter().all(|own| !path.starts_with(own)))
        .collect();
    found.sort_by_key(|path| path.components().count());
    found.dedup();
    Ok(found)
}

/// A path of mountinfo: white space and backslashes are there as three octal digits.
fn unescaped(text: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        let digits = match first {
            b'\\' => after
                .get(..3)
                .and_then(|digits| std::str::from_utf8(digits).ok()),
            _ => None,
        };
        match digits.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[3..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    PathBuf::from(std::ffi::OsString::from_vec(bytes))
}

fn look_up(top: BorrowedFd<'_>, path: &Path) -> std::result::Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    rustix::fs::openat2(top, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_mountinfo_are_read_back() {
        assert_eq!(unescaped(b"/a\\040b"), Path::new("/a b"));
        assert_eq!(unescaped(b"/a\\134040"), Path::new("/a\\040"));
        assert_eq!(unescaped(b"/a\\9"), Path::new("/a\\9"));
    }
}
