//! `netyard-shim`: the one program that stands beside containers, small and without Python.
//!
//! - `supervise` starts a container's process, keeps its output, hands it to whoever attaches,
//!   and records how it ended.
//! - `attach` connects a terminal to a supervisor.
//! - `exec` starts one more process in a running container.
//! - `isolate` runs a command on a throw-away machine: fresh namespaces and its own /run;
//!   `enter` runs one in a network namespace.
//!
//! Started by `netyard.runtime.shim` only: the options are an internal interface.

mod attach;
mod client;
mod exec;
mod frame;
mod isolate;
mod log;
mod log_files;
mod options;
mod relay;
mod signals;
mod status;
mod streams;
mod supervise;
mod terminal;
mod volume;

use std::process::ExitCode;

fn main() -> ExitCode {
    // Executed by descriptor, it would be called by the descriptor's number.
    let _ = rustix::thread::set_name(c"netyard-shim");
    let mut arguments = std::env::args_os().skip(1);
    let mode = arguments.next().unwrap_or_default();
    let outcome = options::Options::parse(arguments).and_then(|options| match mode.to_str() {
        Some("supervise") => supervise::run(options),
        Some("attach") => attach::run(options),
        Some("exec") => exec::run(options),
        Some("isolate") => isolate::run(&options),
        Some("enter") => isolate::enter(&options),
        _ => Err("netyard-shim is started by netyard, not by hand".to_string()),
    });
    match outcome {
        Ok(status) => ExitCode::from(status),
        Err(message) => {
            eprintln!("netyard-shim: {message}");
            ExitCode::from(125)
        }
    }
}
