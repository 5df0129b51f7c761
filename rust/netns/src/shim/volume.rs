//! What `--volume` of the shim's options says of one mount.
//!
//! Access is `ro` or `rw`, and `,idmap` behind it if its files have the container's ids. A bind mount has the length of its source in bytes, and source and target
//! without anything between them, as either may hold any character. A tmpfs has options.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use netyard_netns::{Volume, VolumeKind};

/// `ACCESS:bind:LENGTH:SOURCETARGET` or `ACCESS:tmpfs:OPTIONS:TARGET`.
pub(crate) fn parse(value: &OsString) -> Result<Volume, String> {
    let wrong = || format!("--volume: {} is none", value.to_string_lossy());
    let mut parts = value.as_bytes().splitn(4, |byte| *byte == b':');
    let mut next = || parts.next().ok_or_else(wrong);
    let (access, kind, detail, paths) = (next()?, next()?, next()?, next()?);
    let detail = std::str::from_utf8(detail).map_err(|_| wrong())?;
    let path = |bytes: &[u8]| PathBuf::from(OsStr::from_bytes(bytes));
    let (what, target) = match kind {
        b"bind" => {
            let length: usize = detail.parse().map_err(|_| wrong())?;
            let (source, target) = paths.split_at_checked(length).ok_or_else(wrong)?;
            (VolumeKind::Bind(path(source)), target)
        }
        b"tmpfs" => (VolumeKind::Temporary(options(detail)), paths),
        _ => return Err(wrong()),
    };
    Ok(Volume {
        what,
        target: path(target),
        read_only: access.starts_with(b"ro"),
        maps_ids: access.ends_with(b",idmap"),
    })
}

fn options(text: &str) -> Vec<(String, String)> {
    text.split(',')
        .filter(|word| !word.is_empty())
        .map(|word| {
            let (key, value) = word.split_once('=').unwrap_or((word, ""));
            (key.to_string(), value.to_string())
        })
        .collect()
}
