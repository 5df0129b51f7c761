//! Processes in a sandbox: started in namespaces of their own, or inside an existing one.

use std::ffi::{CStr, CString};
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use rustix::io::Errno;
use rustix::thread::LinkNameSpaceType;

use crate::error::{Error, Result};
use crate::mounts::{bind_files, prepare_root, FileMount};

/// Capabilities a container keeps unless told otherwise: Docker's default set.
///
/// CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID, SETPCAP, NET_BIND_SERVICE, NET_RAW,
/// SYS_CHROOT, MKNOD, AUDIT_WRITE, SETFCAP (`include/uapi/linux/capability.h`).
pub const DEFAULT_CAPABILITIES: u64 = 1 << 0
    | 1 << 1
    | 1 << 3
    | 1 << 4
    | 1 << 5
    | 1 << 6
    | 1 << 7
    | 1 << 8
    | 1 << 10
    | 1 << 13
    | 1 << 18
    | 1 << 27
    | 1 << 29
    | 1 << 31;

/// Who the process runs as.
#[derive(Default)]
pub struct Credentials {
    pub uid: u32,
    pub gid: u32,
    pub groups: Vec<u32>,
    /// A bit per capability that may be held.
    pub capabilities: u64,
}

/// What is executed.
pub struct Program {
    pub argv: Vec<CString>,
    pub environment: Vec<CString>,
    pub directory: Option<PathBuf>,
    pub credentials: Credentials,
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
    /// `None` means the host's files.
    pub root: Option<PathBuf>,
    pub files: Vec<FileMount>,
    /// Mount points whose copies are dropped.
    pub unmount: Vec<PathBuf>,
    /// Directories that are covered.
    pub hidden: Vec<PathBuf>,
    pub privileged: bool,
}

/// A process that could not be started: the step, and why.
#[derive(Debug)]
pub struct SpawnError {
    pub step: String,
    pub errno: i32,
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
    let flags = libc::CLONE_NEWNS | libc::CLONE_NEWUTS | libc::CLONE_NEWIPC | libc::CLONE_NEWPID;
    start(flags, program, terminal, || enter_sandbox(sandbox))
}

/// Starts the program in the namespaces of a running process; returns its pid.
pub fn exec(
    target: BorrowedFd<'_>,
    program: &Program,
    terminal: &Terminal,
) -> std::result::Result<i32, SpawnError> {
    join(target)?;
    start(0, program, terminal, || Ok(()))
}

/// Enters all the namespaces of a process, given by pidfd (`setns(2)`, Linux 5.8).
///
/// The pid namespace takes effect for children only. The process stops being dumpable first, so
/// that nobody inside can reach our executable or memory through /proc (CVE-2019-5736).
pub fn join(target: BorrowedFd<'_>) -> Result<()> {
    // SAFETY: PR_SET_DUMPABLE takes one integer.
    unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) };
    let kinds = libc::CLONE_NEWNS
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWNET
        | libc::CLONE_NEWPID;
    // SAFETY: plain system call; this process has one thread, as setns to a mount namespace wants.
    let status = unsafe { libc::setns(target.as_raw_fd(), kinds) };
    if status != 0 {
        return Err(Error::new(
            "enter container",
            "",
            std::io::Error::last_os_error(),
        ));
    }
    Ok(())
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
    // SAFETY: without CLONE_VM and with no new stack this is fork(2): the child has a copy of
    // everything, and there is only one thread.
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags | libc::SIGCHLD, 0, 0, 0, 0) };
    if pid < 0 {
        let errno = std::io::Error::last_os_error().raw_os_error().unwrap_or(0);
        return Err(SpawnError {
            step: "create namespaces".into(),
            errno,
        });
    }
    if pid == 0 {
        drop(reader);
        let error = run_child(program, terminal, enter);
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
        None => Ok(pid as i32),
        Some((errno, step)) => {
            reap(pid as i32);
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
fn run_child(program: &Program, terminal: &Terminal, enter: impl Fn() -> Result<()>) -> SpawnError {
    let Err(error) = try_child(program, terminal, enter);
    error
}

fn try_child(
    program: &Program,
    terminal: &Terminal,
    enter: impl Fn() -> Result<()>,
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
    if let Some(directory) = &program.directory {
        rustix::process::chdir(directory).map_err(|errno| SpawnError {
            step: format!("change to directory {}", directory.display()),
            errno: errno.raw_os_error(),
        })?;
    }
    drop_privileges(&program.credentials).map_err(at("set credentials"))?;
    // Dies with its supervisor; set after the credentials, because changing them clears it.
    // SAFETY: PR_SET_PDEATHSIG takes one integer.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0) };
    reset_signals();
    close_on_exec();
    Err(SpawnError {
        step: EXEC_STEP.to_string(),
        errno: execute(program),
    })
}

fn enter_sandbox(sandbox: &Sandbox) -> Result<()> {
    if let Some(network) = &sandbox.network {
        let kind = Some(LinkNameSpaceType::Network);
        rustix::thread::move_into_link_name_space(network.as_fd(), kind)
            .map_err(|errno| Error::new("enter network namespace", "", errno))?;
    }
    if let Some(name) = &sandbox.hostname {
        rustix::system::sethostname(name.as_bytes())
            .map_err(|errno| Error::new("set hostname", name, errno))?;
    }
    if let Some(name) = &sandbox.domainname {
        rustix::system::setdomainname(name.as_bytes())
            .map_err(|errno| Error::new("set domain name", name, errno))?;
    }
    let own_network = sandbox.network.is_some();
    match &sandbox.root {
        Some(root) => prepare_root(root, &sandbox.files, own_network, sandbox.privileged),
        None => bind_files(
            &sandbox.files,
            &sandbox.unmount,
            &sandbox.hidden,
            own_network,
            sandbox.privileged,
        ),
    }
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

#[repr(C)]
struct CapabilityHeader {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct CapabilityData {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// Bounding set, groups, ids and the three sets, in the order that still allows each step.
fn drop_privileges(credentials: &Credentials) -> rustix::io::Result<()> {
    let check = |status: libc::c_long| match status {
        0 => Ok(()),
        _ => Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)),
    };
    for capability in 0..64u64 {
        if credentials.capabilities >> capability & 1 == 0 {
            // SAFETY: integers only. EINVAL past the last capability the kernel knows is fine.
            unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) };
        }
    }
    let is_root = credentials.uid == 0;
    // SAFETY: the pointers are to live values of the sizes the calls are told; plain integers else.
    unsafe {
        libc::prctl(libc::PR_SET_KEEPCAPS, 0, 0, 0, 0);
        let groups = &credentials.groups;
        check(libc::syscall(
            libc::SYS_setgroups,
            groups.len(),
            groups.as_ptr(),
        ))?;
        let (uid, gid) = (credentials.uid, credentials.gid);
        check(libc::syscall(libc::SYS_setresgid, gid, gid, gid))?;
        check(libc::syscall(libc::SYS_setresuid, uid, uid, uid))?;
        const VERSION_3: u32 = 0x2008_0522;
        let header = CapabilityHeader {
            version: VERSION_3,
            pid: 0,
        };
        let kept = if is_root { credentials.capabilities } else { 0 };
        let mut held = [CapabilityData {
            effective: 0,
            permitted: 0,
            inheritable: 0,
        }; 2];
        check(libc::syscall(
            libc::SYS_capget,
            &raw const header,
            held.as_mut_ptr(),
        ))?;
        for (half, data) in held.iter_mut().enumerate() {
            data.permitted &= (kept >> (32 * half)) as u32;
            data.effective = data.permitted;
            data.inheritable = 0;
        }
        check(libc::syscall(
            libc::SYS_capset,
            &raw const header,
            held.as_ptr(),
        ))
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

/// Only descriptors 0 to 2 go into the container (contract SH22).
fn close_on_exec() {
    // SAFETY: close_range takes three integers.
    unsafe {
        libc::syscall(
            libc::SYS_close_range,
            3,
            u32::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        )
    };
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
