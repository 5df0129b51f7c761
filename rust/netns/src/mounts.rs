//! The file system a container sees: the host's with a few files of its own, or a root of its own.
//!
//! Everything here runs in a mount namespace that belongs to the container alone.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags};

use crate::error::{Error, Result};

/// A file of the container's own that appears over one of the root's.
pub struct FileMount {
    pub source: PathBuf,
    /// Absolute path inside the container.
    pub target: PathBuf,
}

/// Device nodes of a root of its own, as in the OCI runtime specification.
const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];
const NO_EXEC: MountFlags = MountFlags::NOSUID
    .union(MountFlags::NODEV)
    .union(MountFlags::NOEXEC);

/// Makes a directory a mount point of its own that shares nothing with other mount namespaces.
///
/// Containers copy the host's mounts when they start. Because all kept namespaces hang below this
/// one point, a container can drop its copies in one step and never keeps another's alive.
pub fn make_mount_point(directory: &Path) -> Result<()> {
    let fail = |errno| Error::new("make mount point", directory, errno);
    if is_mount_point(directory) {
        return Ok(());
    }
    rustix::mount::mount_bind(directory, directory).map_err(fail)?;
    rustix::mount::mount_change(directory, MountPropagationFlags::PRIVATE).map_err(fail)
}

fn is_mount_point(directory: &Path) -> bool {
    let (Ok(own), Some(parent)) = (mount_id(directory), directory.parent()) else {
        return false;
    };
    mount_id(parent).is_ok_and(|parent| parent != own)
}

fn mount_id(path: &Path) -> rustix::io::Result<u64> {
    let wanted = rustix::fs::StatxFlags::MNT_ID;
    rustix::fs::statx(rustix::fs::CWD, path, AtFlags::empty(), wanted).map(|found| found.stx_mnt_id)
}

/// Cuts the new mount namespace off, so that nothing mounted here appears on the host.
fn cut_off() -> Result<()> {
    let flags = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
    rustix::mount::mount_change("/", flags).map_err(|errno| Error::new("cut off", "/", errno))
}

/// Drops what is mounted at `directory` and covers it with an empty file system.
pub fn hide(directory: &Path) -> Result<()> {
    let fail = |errno| Error::new("hide", directory, errno);
    match rustix::mount::mount(
        "tmpfs",
        directory,
        "tmpfs",
        NO_EXEC,
        Some(c"size=1m,mode=0755"),
    ) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(fail(errno)),
    }
}

/// Makes the file system of a container that uses the host's files.
///
/// `unmount` are mount points whose copies must go (kept namespaces); `hidden` are directories of
/// netyard's that a container has no business in.
pub fn bind_files(
    files: &[FileMount],
    unmount: &[PathBuf],
    hidden: &[PathBuf],
    own_network: bool,
    privileged: bool,
    shm_size: u64,
) -> Result<()> {
    cut_off()?;
    let sources = open_sources(files)?;
    for point in unmount {
        // EINVAL: not mounted in this namespace, which is what is wanted.
        let _ = rustix::mount::unmount(point, UnmountFlags::DETACH);
    }
    for directory in hidden {
        hide(directory)?;
    }
    if files.iter().any(|file| !file.target.exists()) {
        overlay_etc()?;
    }
    for (file, source) in files.iter().zip(&sources) {
        if !file.target.exists() {
            let _ = std::fs::remove_file(&file.target);
            std::fs::write(&file.target, "")
                .map_err(|error| Error::new("create", &file.target, error))?;
        }
        mount_fd(source.as_fd(), &file.target)?;
    }
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    let options = shm_options(shm_size);
    rustix::mount::mount("shm", "/dev/shm", "tmpfs", flags, Some(options.as_c_str()))
        .or_else(|errno| {
            if errno == Errno::NOENT {
                Ok(())
            } else {
                Err(errno)
            }
        })
        .map_err(|errno| Error::new("mount", "/dev/shm", errno))?;
    mount_kernel(
        Path::new("/proc"),
        Path::new("/sys"),
        own_network,
        privileged,
    )
}

/// How shared memory is mounted, of so many bytes at most; half of the machine's memory if 0.
fn shm_options(size: u64) -> std::ffi::CString {
    let text = match size {
        0 => "mode=1777".to_string(),
        _ => format!("mode=1777,size={size}"),
    };
    std::ffi::CString::new(text).unwrap_or_default()
}

/// A host without /etc/hostname must not get one: such files are made in a layer over /etc.
fn overlay_etc() -> Result<()> {
    let fail = |errno| Error::new("overlay", "/etc", errno);
    let layer = Path::new("/dev/shm");
    rustix::mount::mount("layer", layer, "tmpfs", NO_EXEC, Some(c"mode=0755")).map_err(fail)?;
    for part in ["upper", "work"] {
        std::fs::create_dir(layer.join(part)).map_err(|e| Error::new("create", layer, e))?;
    }
    let options = c"lowerdir=/etc,upperdir=/dev/shm/upper,workdir=/dev/shm/work";
    rustix::mount::mount("etc", "/etc", "overlay", NO_EXEC, Some(options)).map_err(fail)
}

/// Makes and enters a root of its own under `root`.
///
/// Every path inside is resolved with `root` as `/`, so that a symlink in it leads nowhere else.
pub fn prepare_root(
    root: &Path,
    files: &[FileMount],
    own_network: bool,
    privileged: bool,
    shm_size: u64,
) -> Result<()> {
    cut_off()?;
    let sources = open_sources(files)?;
    let fail = |errno| Error::new("enter root", root, errno);
    rustix::mount::mount_bind_recursive(root, root).map_err(fail)?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let top = rustix::fs::open(root, flags, Mode::empty()).map_err(fail)?;
    for (file, source) in files.iter().zip(&sources) {
        let target = open_inside(top.as_fd(), &file.target, false)?;
        mount_fd(source.as_fd(), &fd_path(target.as_fd()))?;
    }
    mount_devices(top.as_fd(), shm_size)?;
    let proc = open_inside(top.as_fd(), Path::new("/proc"), true)?;
    let sys = open_inside(top.as_fd(), Path::new("/sys"), true)?;
    // The old /proc is still needed to name these two by descriptor, so nothing is opened after.
    let (proc, sys) = (real_path(proc.as_fd())?, real_path(sys.as_fd())?);
    mount_kernel(&proc, &sys, own_network, privileged)?;
    rustix::process::fchdir(&top).map_err(fail)?;
    rustix::process::pivot_root(".", ".").map_err(fail)?;
    rustix::mount::unmount(".", UnmountFlags::DETACH).map_err(fail)?;
    rustix::process::chdir("/").map_err(fail)
}

/// /proc and /sys of the container's own namespaces; kernel settings stay read-only to it.
fn mount_kernel(proc: &Path, sys: &Path, own_network: bool, privileged: bool) -> Result<()> {
    let fail = |path: &Path| {
        let path = path.to_path_buf();
        move |errno| Error::new("mount", path, errno)
    };
    rustix::mount::mount("proc", proc, "proc", NO_EXEC, None).map_err(fail(proc))?;
    if own_network {
        let mode = if privileged {
            NO_EXEC
        } else {
            NO_EXEC | MountFlags::RDONLY
        };
        rustix::mount::mount("sysfs", sys, "sysfs", mode, None).map_err(fail(sys))?;
    }
    if privileged {
        return Ok(());
    }
    for name in ["sys", "sysrq-trigger", "irq", "bus"] {
        let path = proc.join(name);
        if !path.exists() {
            continue;
        }
        rustix::mount::mount_bind(&path, &path).map_err(fail(&path))?;
        let flags = NO_EXEC | MountFlags::RDONLY | MountFlags::BIND;
        rustix::mount::mount_remount(&path, flags, c"").map_err(fail(&path))?;
    }
    Ok(())
}

/// A minimal /dev: the standard nodes of the host, terminals and shared memory of its own.
fn mount_devices(top: BorrowedFd<'_>, shm_size: u64) -> Result<()> {
    let fail = |errno| Error::new("mount", "/dev", errno);
    let dev = real_path(open_inside(top, Path::new("/dev"), true)?.as_fd())?;
    let flags = MountFlags::NOSUID | MountFlags::NOEXEC;
    rustix::mount::mount("dev", &dev, "tmpfs", flags, Some(c"mode=0755,size=64k")).map_err(fail)?;
    for name in DEVICES {
        let target = dev.join(name);
        std::fs::write(&target, "").map_err(|error| Error::new("create", &target, error))?;
        rustix::mount::mount_bind(Path::new("/dev").join(name), &target).map_err(fail)?;
    }
    let shm = shm_options(shm_size);
    for (name, kind, options) in [
        (
            "pts",
            "devpts",
            c"newinstance,ptmxmode=0666,mode=0620,gid=5",
        ),
        ("shm", "tmpfs", shm.as_c_str()),
    ] {
        let target = dev.join(name);
        std::fs::create_dir(&target).map_err(|error| Error::new("create", &target, error))?;
        rustix::mount::mount(kind, &target, kind, flags, Some(options)).map_err(fail)?;
    }
    for (name, leads_to) in [
        ("ptmx", "pts/ptmx"),
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
    ] {
        std::os::unix::fs::symlink(leads_to, dev.join(name))
            .map_err(|error| Error::new("create", dev.join(name), error))?;
    }
    Ok(())
}

/// A private /run over the host's, for a lab host that keeps its own state.
pub fn own_runtime() -> Result<()> {
    cut_off()?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    rustix::mount::mount("tmpfs", "/run", "tmpfs", flags, Some(c"mode=0755"))
        .map_err(|errno| Error::new("mount", "/run", errno))?;
    rustix::mount::mount("proc", "/proc", "proc", NO_EXEC, None)
        .map_err(|errno| Error::new("mount", "/proc", errno))?;
    rustix::mount::mount("sysfs", "/sys", "sysfs", NO_EXEC, None)
        .map_err(|errno| Error::new("mount", "/sys", errno))
}

/// Opened before anything is covered, so that the sources may lie below a hidden directory.
fn open_sources(files: &[FileMount]) -> Result<Vec<OwnedFd>> {
    files
        .iter()
        .map(|file| {
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            rustix::fs::open(&file.source, flags, Mode::empty())
                .map_err(|errno| Error::new("open", &file.source, errno))
        })
        .collect()
}

fn mount_fd(source: BorrowedFd<'_>, target: &Path) -> Result<()> {
    rustix::mount::mount_bind(fd_path(source), target)
        .map_err(|errno| Error::new("mount over", target, errno))
}

fn fd_path(fd: BorrowedFd<'_>) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", fd.as_raw_fd()))
}

fn real_path(fd: BorrowedFd<'_>) -> Result<PathBuf> {
    let link = fd_path(fd);
    std::fs::read_link(&link).map_err(|error| Error::new("read", link, error))
}

/// Opens a path as the container would see it, making what is missing.
fn open_inside(top: BorrowedFd<'_>, path: &Path, directory: bool) -> Result<OwnedFd> {
    let relative = path.strip_prefix("/").unwrap_or(path);
    let fail = |errno| Error::new("open in root", path, errno);
    let mut parent = resolve(top, Path::new("."), OFlags::DIRECTORY).map_err(fail)?;
    let mut components = relative.components().peekable();
    let mut walked = PathBuf::new();
    while let Some(component) = components.next() {
        walked.push(component);
        let is_last = components.peek().is_none();
        let wants_directory = directory || !is_last;
        let kind = if wants_directory {
            OFlags::DIRECTORY
        } else {
            OFlags::empty()
        };
        let found = match resolve(top, &walked, kind) {
            Err(Errno::NOENT) => {
                let name = component.as_os_str();
                // A dangling symlink in the way is replaced: its target is not ours to make.
                let _ = rustix::fs::unlinkat(&parent, name, AtFlags::empty());
                if wants_directory {
                    rustix::fs::mkdirat(&parent, name, Mode::from_raw_mode(0o755)).map_err(fail)?;
                } else {
                    let mode = Mode::from_raw_mode(0o644);
                    rustix::fs::mknodat(&parent, name, FileType::RegularFile, mode, 0)
                        .map_err(fail)?;
                }
                resolve(top, &walked, kind)
            }
            other => other,
        };
        parent = found.map_err(fail)?;
    }
    Ok(parent)
}

fn resolve(top: BorrowedFd<'_>, path: &Path, kind: OFlags) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::CLOEXEC | kind;
    let how = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    rustix::fs::openat2(top, path, flags, Mode::empty(), how)
}
