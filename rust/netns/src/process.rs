//! Processes in a sandbox: started in namespaces of their own, or inside an existing one.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use rustix::fs::{FileType, Gid, Uid};
use rustix::io::Errno;
use rustix::thread::{LinkNameSpaceType, UnshareFlags};

use crate::cgroup;
use crate::credentials::{drop_privileges, Credentials};
use crate::error::{last_errno, Error, Result};
use crate::join::join;
use crate::limits::Limits;
use crate::mounts::{set_up, Mounts};
use crate::sysctl;
use crate::user_namespace;

/// What is executed.
pub struct Program {
    pub argv: Vec<CString>,
    pub environment: Vec<CString>,
    pub directory: Option<PathBuf>,
    /// Begin in `/` if the directory cannot be entered.
    pub directory_is_optional: bool,
    pub credentials: Credentials,
    pub limits: Limits,
    /// The control group it is born in.
    pub cgroup: Option<OwnedFd>,
}

/// Standard streams, or a terminal that is all three of them.
pub enum Terminal {
    Streams {
        stdin: OwnedFd,
        stdout: OwnedFd,
        stderr: OwnedFd,
    },
    Pty(OwnedFd),
}

/// The namespaces and files of a container.
pub struct Sandbox {
    /// Joined; `None` keeps the caller's.
    pub network: Option<OwnedFd>,
    pub hostname: Option<String>,
    pub domainname: Option<String>,
    pub mounts: Mounts,
    /// Stay in the caller's user namespace, though the network may belong to another.
    pub host_users: bool,
    /// Names and values of kernel settings that tell ids, to be set in the user namespace.
    pub settings: Vec<(String, String)>,
}

/// A process that could not be started: the step, and why.
#[derive(Debug)]
pub struct SpawnError {
    pub step: String,
    pub errno: i32,
}

impl Terminal {
    /// Has it belong to the user of a process, by the host's ids, so that the process can open it
    /// again by its name (`/dev/stdout`).
    pub fn give_to(&self, user: u32, group: u32) -> rustix::io::Result<()> {
        let (user, group) = (Uid::from_raw(user), Gid::from_raw(group));
        match self {
            Terminal::Pty(pty) => rustix::fs::fchown(pty, Some(user), None),
            Terminal::Streams {
                stdin,
                stdout,
                stderr,
            } => {
                for stream in [stdin, stdout, stderr] {
                    // Not a device of the host, which is what nothing is read from.
                    let mode = rustix::fs::fstat(stream)?.st_mode;
                    if FileType::from_raw_mode(mode) == FileType::Fifo {
                        rustix::fs::fchown(stream, Some(user), Some(group))?;
                    }
                }
                Ok(())
            }
        }
    }
}

impl std::fmt::Display for SpawnError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let why = std::io::Error::from_raw_os_error(self.errno);
        write!(f, "{}: {why}", self.step)
    }
}

impl From<Error> for SpawnError {
    fn from(error: Error) -> Self {
        SpawnError {
            step: format!("{} {}", error.operation, error.subject),
            errno: error.source.raw_os_error().unwrap_or(libc::EIO),
        }
    }
}

/// The step name that stands for the command itself: its errno decides between 126 and 127.
const EXEC_STEP: &str = "exec";

/// Starts the program as the first process of new namespaces; returns its pid.
///
/// Must be called by a process with one thread: the child goes on with a copy of it.
pub fn spawn(
    sandbox: &Sandbox,
    program: &Program,
    terminal: &Terminal,
) -> std::result::Result<i32, SpawnError> {
    let flags = libc::CLONE_NEWNS | libc::CLONE_NEWPID;
    start(flags, program, terminal, || {
        // Limits: while this is still root of the host.
        program.limits.raise()?;
        enter_sandbox(sandbox)?;
        // Of the user namespace that it stays in, so that `exec` can enter it.
        cgroup::new_namespace()
    })
}

/// Starts the program in the namespaces of a running process; returns its pid.
pub fn exec(
    target: BorrowedFd<'_>,
    program: &Program,
    terminal: &Terminal,
) -> std::result::Result<i32, SpawnError> {
    // Limits: while this is still root of the host.
    program.limits.raise()?;
    join(target)?;
    start(0, program, terminal, || {
        user_namespace::become_root()?;
        cgroup::join_namespace(target)
    })
}

fn start(
    flags: i32,
    program: &Program,
    terminal: &Terminal,
    enter: impl Fn() -> Result<()>,
) -> std::result::Result<i32, SpawnError> {
    let failed = |step: &str, errno: Errno| SpawnError {
        step: step.to_string(),
        errno: errno.raw_os_error(),
    };
    let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
        .map_err(|errno| failed("pipe", errno))?;
    let group = program.cgroup.as_ref();
    let cloned =
        cgroup::clone_into(flags, group).map_err(|errno| failed("create namespaces", errno))?;
    let pid = cloned.pid;
    if pid == 0 {
        drop(reader);
        let enter = || {
            let settled = cloned.settle(group);
            settled.map_err(|errno| Error::new("enter control group", "", errno))?;
            enter()
        };
        let error = run_child(program, terminal, enter, writer.as_fd());
        let report = format!("{}\n{}", error.errno, error.step);
        let _ = rustix::io::write(&writer, report.as_bytes());
        // SAFETY: ends this copy of the process at once, without running the original's handlers.
        unsafe { libc::_exit(1) };
    }
    drop(writer);
    let mut report = String::new();
    let _ = std::fs::File::from(reader).read_to_string(&mut report);
    match report.split_once('\n') {
        // The pipe closed at exec: the program runs.
        None => Ok(pid),
        Some((errno, step)) => {
            reap(pid);
            Err(SpawnError {
                step: step.to_string(),
                errno: errno.parse().unwrap_or(libc::EIO),
            })
        }
    }
}

fn reap(pid: i32) {
    if let Some(pid) = rustix::process::Pid::from_raw(pid) {
        let _ = rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty());
    }
}

/// Everything between clone and exec; comes back only if something failed.
fn run_child(
    program: &Program,
    terminal: &Terminal,
    enter: impl Fn() -> Result<()>,
    report: BorrowedFd<'_>,
) -> SpawnError {
    let Err(error) = try_child(program, terminal, enter, report);
    error
}

fn try_child(
    program: &Program,
    terminal: &Terminal,
    enter: impl Fn() -> Result<()>,
    report: BorrowedFd<'_>,
) -> std::result::Result<std::convert::Infallible, SpawnError> {
    let at = |step: &'static str| {
        move |errno: Errno| SpawnError {
            step: step.to_string(),
            errno: errno.raw_os_error(),
        }
    };
    // The caller's terminal is not to be the container's, by whatever stream.
    rustix::process::setsid().map_err(at("start session"))?;
    connect(terminal).map_err(at("connect streams"))?;
    enter()?;
    // In the user namespace that it stays in, because keyrings are of one.
    crate::keyring::join_new().map_err(at("start session keyring"))?;
    // Before any path of the container's is looked up: one through /proc/self/fd would lead to
    // whatever of the host a descriptor is of (CVE-2024-21626).
    close_all_but(report).map_err(at("close descriptors"))?;
    if let Some(directory) = &program.directory {
        let first = if program.directory_is_optional {
            std::path::Path::new("/")
        } else {
            directory
        };
        change_directory(first).map_err(|errno| SpawnError {
            step: format!("change to directory {}", first.display()),
            errno: errno.raw_os_error(),
        })?;
    }
    // The filter is installed by CAP_SYS_ADMIN, or at last, after privileges have been given up.
    let limits = &program.limits;
    limits.apply_as_root().map_err(at("set limits"))?;
    give_streams(&program.credentials);
    drop_privileges(&program.credentials).map_err(at("set credentials"))?;
    if let (true, Some(directory)) = (program.directory_is_optional, &program.directory) {
        // If it is there, and the user may enter it.
        let _ = change_directory(directory);
    }
    // Dies with its supervisor; set after the credentials, because changing them clears it.
    // SAFETY: PR_SET_PDEATHSIG takes one integer.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0) };
    reset_signals();
    limits.apply_at_last().map_err(at("set limits"))?;
    Err(SpawnError {
        step: EXEC_STEP.to_string(),
        errno: execute(program),
    })
}

fn enter_sandbox(sandbox: &Sandbox) -> Result<()> {
    let mut owner = None;
    if let Some(network) = &sandbox.network {
        enter_namespace(network.as_fd(), LinkNameSpaceType::Network)?;
        if !sandbox.host_users {
            owner = user_namespace::other_owner(network.as_fd())?;
        }
    }
    let users = owner.as_ref().map(AsFd::as_fd);
    let names: Vec<_> = sandbox.settings.iter().map(|(name, _)| &**name).collect();
    let files = sysctl::open_apart(&names)?;
    set_up(&sandbox.mounts, sandbox.network.is_some(), users)?;
    let mut own = UnshareFlags::NEWUTS | UnshareFlags::NEWIPC;
    if let Some(owner) = &owner {
        enter_namespace(owner.as_fd(), LinkNameSpaceType::User)?;
        user_namespace::become_root()?;
        write_settings(files, &sandbox.settings)?;
        // A copy of the mounts that belongs to the user namespace: what root has mounted until
        // here is locked in it, and cannot be taken off what it covers.
        own |= UnshareFlags::NEWNS;
    }
    // SAFETY: no descriptors are unshared.
    unsafe { rustix::thread::unshare_unsafe(own) }
        .map_err(|errno| Error::new("create namespaces", "", errno))?;
    name_host(sandbox)
}

/// Sets kernel settings, by files that have been opened by root of the host: what is mounted now lets
/// nobody write to them.
fn write_settings(files: Vec<File>, settings: &[(String, String)]) -> Result<()> {
    for (mut file, (name, value)) in files.into_iter().zip(settings) {
        file.write_all(value.as_bytes())
            .map_err(|error| Error::new("set", name, error))?;
    }
    Ok(())
}

fn enter_namespace(namespace: BorrowedFd<'_>, kind: LinkNameSpaceType) -> Result<()> {
    rustix::thread::move_into_link_name_space(namespace, Some(kind))
        .map_err(|errno| Error::new("enter namespace", "", errno))
}

fn name_host(sandbox: &Sandbox) -> Result<()> {
    if let Some(name) = &sandbox.hostname {
        rustix::system::sethostname(name.as_bytes())
            .map_err(|errno| Error::new("set hostname", name, errno))?;
    }
    if let Some(name) = &sandbox.domainname {
        rustix::system::setdomainname(name.as_bytes())
            .map_err(|errno| Error::new("set domain name", name, errno))?;
    }
    Ok(())
}

fn connect(terminal: &Terminal) -> rustix::io::Result<()> {
    match terminal {
        Terminal::Streams {
            stdin,
            stdout,
            stderr,
        } => {
            rustix::stdio::dup2_stdin(stdin)?;
            rustix::stdio::dup2_stdout(stdout)?;
            rustix::stdio::dup2_stderr(stderr)
        }
        Terminal::Pty(pty) => {
            rustix::process::ioctl_tiocsctty(pty)?;
            rustix::stdio::dup2_stdin(pty)?;
            rustix::stdio::dup2_stdout(pty)?;
            rustix::stdio::dup2_stderr(pty)
        }
    }
}

/// Has pipes and terminals belong to the user that they are for, who can then open them again by
/// name (`/dev/stderr`). The group stays, as with Docker; nothing else here was made for it.
fn give_streams(credentials: &Credentials) {
    let streams = [
        rustix::stdio::stdin(),
        rustix::stdio::stdout(),
        rustix::stdio::stderr(),
    ];
    for stream in streams {
        let is_pipe = rustix::fs::fstat(stream).is_ok_and(|found| {
            rustix::fs::FileType::from_raw_mode(found.st_mode) == rustix::fs::FileType::Fifo
        });
        if is_pipe || rustix::termios::isatty(stream) {
            // A kernel that refuses takes the name away, and nothing else.
            let user = rustix::fs::Uid::from_raw(credentials.uid);
            let _ = rustix::fs::fchown(stream, Some(user), None);
        }
    }
}

/// Default actions and an empty mask: what the supervisor changed for itself is not inherited.
pub fn reset_signals() {
    // SAFETY: sigset and handlers are plain values; async-signal-safety is no matter here.
    unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
        for signal in 1..32 {
            if signal != libc::SIGKILL && signal != libc::SIGSTOP {
                libc::signal(signal, libc::SIG_DFL);
            }
        }
    }
}

/// Only descriptors 0 to 2 go into the container (contract SH22); one more is closed by exec.
fn close_all_but(kept: BorrowedFd<'_>) -> rustix::io::Result<()> {
    let kept = kept.as_raw_fd().unsigned_abs();
    for (first, last) in [(3, kept.saturating_sub(1)), (kept.max(2) + 1, u32::MAX)] {
        // SAFETY: close_range takes three integers. Whoever owned what it closes uses it no more:
        // this process ends by exec or _exit.
        if first <= last && unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) } < 0 {
            return Err(last_errno());
        }
    }
    Ok(())
}

/// Never to a place that is not below the root, whatever led there.
fn change_directory(directory: &std::path::Path) -> rustix::io::Result<()> {
    rustix::process::chdir(directory)?;
    // The kernel shows one that cannot be reached as `(unreachable)/…`.
    let reached = rustix::process::getcwd(Vec::new());
    if reached.is_ok_and(|path| path.as_bytes().starts_with(b"/")) {
        return Ok(());
    }
    rustix::process::chdir("/")?;
    Err(Errno::ACCESS)
}

/// Replaces the process with the program, looked for in the container's PATH; returns errno.
fn execute(program: &Program) -> i32 {
    let Some(name) = program.argv.first() else {
        return libc::ENOENT;
    };
    if name.as_bytes().contains(&b'/') {
        return execve(name, program);
    }
    let path = program
        .environment
        .iter()
        .find_map(|entry| entry.as_bytes().strip_prefix(b"PATH="))
        .unwrap_or(b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    let mut worst = libc::ENOENT;
    for directory in path
        .split(|byte| *byte == b':')
        .filter(|part| !part.is_empty())
    {
        let mut candidate = directory.to_vec();
        candidate.push(b'/');
        candidate.extend(name.as_bytes());
        let Ok(candidate) = CString::new(candidate) else {
            continue;
        };
        match execve(&candidate, program) {
            libc::ENOENT | libc::ENOTDIR => {}
            errno => worst = errno,
        }
    }
    worst
}

fn execve(path: &CStr, program: &Program) -> i32 {
    let pointers = |list: &[CString]| {
        let mut all: Vec<_> = list.iter().map(|text| text.as_ptr()).collect();
        all.push(std::ptr::null());
        all
    };
    let (argv, environment) = (pointers(&program.argv), pointers(&program.environment));
    // SAFETY: both arrays end in null and point to strings that outlive the call.
    unsafe { libc::execve(path.as_ptr(), argv.as_ptr(), environment.as_ptr()) };
    std::io::Error::last_os_error()
        .raw_os_error()
        .unwrap_or(libc::EIO)
}
