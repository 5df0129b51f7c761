//! A root of the container's own: a directory of the host, which others may be changing.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::mount::{MountAttrFlags as Attributes, UnmountFlags};

use super::calls::{self, Reach, NO_DEVICES, READ_ONLY};
use super::place::{Makes, Place};
use super::volumes::Waiting;
use super::{RootIds, MAP_IDS};
use crate::error::{Error, Result};

/// Mounts a directory over itself, to be the root; nothing of it can be opened as a device.
///
/// `users`: a user namespace whose ids its files are to have.
pub(super) fn open(
    directory: &Path,
    privileged: bool,
    users: Option<BorrowedFd<'_>>,
) -> Result<Place> {
    let fail = |errno| Error::new("enter root", directory, errno);
    let base = calls::look_up(directory).map_err(fail)?;
    let top = calls::copy_all(base.as_fd(), "").map_err(fail)?;
    let mut set = Attributes::empty();
    set.set(NO_DEVICES, !privileged);
    calls::change(top.as_fd(), set, Attributes::empty(), Reach::All).map_err(fail)?;
    if let Some(users) = users {
        calls::map_ids_below(top.as_fd(), users)
            .map_err(|errno| Error::new(MAP_IDS, directory, errno))?;
    }
    calls::attach(top.as_fd(), base.as_fd()).map_err(fail)?;
    Ok(Place {
        top,
        makes: Makes::Anywhere,
        owner: RootIds::default(),
    })
}

/// Makes what is mounted in it so far read-only, after what else needs a mount point has got one.
pub(super) fn make_read_only(place: &Place, waiting: &[Waiting<'_>]) -> Result<()> {
    for name in ["proc", "sys", "dev"] {
        place.standard(name)?;
    }
    for each in waiting {
        if !each.is_below(waiting) && !is_standard(each.target) {
            place.target(each.target, each.kind)?;
        }
    }
    calls::change(
        place.top.as_fd(),
        READ_ONLY,
        Attributes::empty(),
        Reach::All,
    )
    .map_err(|errno| Error::new("make read-only", "/", errno))
}

fn is_standard(target: &Path) -> bool {
    ["/proc", "/sys", "/dev"]
        .iter()
        .any(|standard| target.starts_with(standard))
}

/// Makes it `/`, and drops what was.
pub(super) fn enter(top: &OwnedFd) -> Result<()> {
    let fail = |errno| Error::new("enter root", "/", errno);
    rustix::process::fchdir(top).map_err(fail)?;
    rustix::process::pivot_root(".", ".").map_err(fail)?;
    rustix::mount::unmount(".", UnmountFlags::DETACH).map_err(fail)?;
    rustix::process::chdir("/").map_err(fail)
}
