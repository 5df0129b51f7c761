//! Throw-away machines for `netyard demo`.
//!
//! `isolate` makes one: fresh network, mounts, names, processes. Its first process is the command;
//! when that ends the kernel ends everything it left behind. `enter` runs a command in a network
//! namespace, and nothing else about it changes.

use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;

use crate::options::Options;
use crate::{signals, status};

pub(crate) fn run(options: &Options) -> Result<u8, String> {
    let flags = libc::CLONE_NEWNET
        | libc::CLONE_NEWNS
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWPID;
    // SAFETY: fork(2) with new namespaces, in a process with one thread.
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags | libc::SIGCHLD, 0, 0, 0, 0) };
    if pid < 0 {
        let error = std::io::Error::last_os_error();
        return Err(format!("create namespaces: {error}"));
    }
    if pid == 0 {
        let message = start(options);
        eprintln!("netyard-shim: {message}");
        return Ok(125);
    }
    signals::ignore_terminal();
    status::wait(pid as i32)
}

pub(crate) fn enter(options: &Options) -> Result<u8, String> {
    let network = options
        .network
        .as_ref()
        .ok_or("--network needs a namespace")?;
    let kind = Some(rustix::thread::LinkNameSpaceType::Network);
    rustix::thread::move_into_link_name_space(network.as_fd(), kind)
        .map_err(|errno| format!("enter network namespace: {errno}"))?;
    Err(become_command(options))
}

/// Sets the machine up and becomes the command; comes back with what failed.
fn start(options: &Options) -> String {
    // SAFETY: PR_SET_PDEATHSIG takes one integer.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0) };
    if let Some(name) = &options.hostname {
        let _ = rustix::system::sethostname(name.as_bytes());
    }
    if let Err(error) = netyard_netns::own_runtime() {
        return error.to_string();
    }
    become_command(options)
}

fn become_command(options: &Options) -> String {
    let Some((program, arguments)) = options.command.split_first() else {
        return "nothing to run".to_string();
    };
    let mut command = std::process::Command::new(program);
    command.args(arguments);
    let error = std::os::unix::process::CommandExt::exec(&mut command);
    format!("{}: {error}", String::from_utf8_lossy(program.as_bytes()))
}
