//! The shim's options: `--name value` pairs, then `--` and the container's command.

use std::ffi::{CString, OsString};
use std::io::Read;
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use netyard_netns::{
    Base, Credentials, FileMount, Filter, Limits, Mounts, Program, RootIds, Sandbox, Ulimit,
    Volume, DEFAULT_CAPABILITIES,
};

use crate::volume;

use crate::log_files;

/// Everything any mode can be told.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) network: Option<OwnedFd>,
    pub(crate) hostname: Option<String>,
    pub(crate) domainname: Option<String>,
    pub(crate) root: Option<PathBuf>,
    /// Size of a layer over the host's files.
    pub(crate) layer: Option<String>,
    pub(crate) read_only: bool,
    pub(crate) files: Vec<FileMount>,
    pub(crate) volumes: Vec<Volume>,
    pub(crate) unmount: Vec<PathBuf>,
    pub(crate) hidden: Vec<PathBuf>,
    pub(crate) protected: Vec<PathBuf>,
    pub(crate) privileged: bool,
    pub(crate) host_users: bool,
    pub(crate) root_ids: RootIds,
    pub(crate) maps_root: bool,
    pub(crate) settings: Vec<(String, String)>,
    /// The host's ids of the user whose streams they are, if these are not ours.
    pub(crate) stream_owner: Option<(u32, u32)>,
    pub(crate) capabilities: Option<u64>,
    pub(crate) user: Option<(u32, u32, Vec<u32>)>,
    pub(crate) workdir: Option<PathBuf>,
    pub(crate) limits: Limits,
    pub(crate) cgroup: Option<OwnedFd>,
    pub(crate) shm_size: u64,
    pub(crate) workdir_is_optional: bool,
    /// Where attach socket, log and exit record are.
    pub(crate) directory: PathBuf,
    pub(crate) terminal: bool,
    pub(crate) interactive: bool,
    /// Do not start before this many clients are attached.
    pub(crate) wait_attach: usize,
    /// None is kept if it is empty.
    pub(crate) log: PathBuf,
    pub(crate) log_limits: log_files::Limits,
    pub(crate) status: Option<OwnedFd>,
    pub(crate) environment: Vec<CString>,
    /// What is run when the container has ended and nobody attached sees to it.
    pub(crate) on_exit: Vec<OsString>,
    pub(crate) target: Option<i32>,
    /// Netyard passes on what the terminal signals to the whole group.
    pub(crate) told_signals: bool,
    pub(crate) detach_keys: Option<Vec<u8>>,
    pub(crate) command: Vec<OsString>,
}

impl Options {
    pub(crate) fn parse(mut arguments: impl Iterator<Item = OsString>) -> Result<Self, String> {
        let mut options = Options::default();
        while let Some(name) = arguments.next() {
            if name == "--" {
                options.command.extend(arguments);
                break;
            }
            let name = name.to_string_lossy().into_owned();
            if options.flag(&name) {
                continue;
            }
            let value = arguments
                .next()
                .ok_or_else(|| format!("{name} needs a value"))?;
            options.value(&name, value)?;
        }
        Ok(options)
    }

    /// Sets an option without a value; false if it is none.
    fn flag(&mut self, name: &str) -> bool {
        match name {
            "--privileged" => self.privileged = true,
            "--host-users" => self.host_users = true,
            "--map-root" => self.maps_root = true,
            "--read-only" => self.read_only = true,
            "--workdir-is-optional" => self.workdir_is_optional = true,
            "--terminal" => self.terminal = true,
            "--interactive" => self.interactive = true,
            "--no-new-privileges" => self.limits.no_new_privileges = true,
            "--told-signals" => self.told_signals = true,
            _ => return false,
        }
        true
    }

    fn value(&mut self, name: &str, value: OsString) -> Result<(), String> {
        let text = value.to_string_lossy().into_owned();
        let number = || {
            text.parse::<i32>()
                .map_err(|_| format!("{name}: {text} is no number"))
        };
        match name {
            "--network" => self.network = Some(inherited(number()?)),
            "--status" => self.status = Some(inherited(number()?)),
            "--environment" => self.environment = read_environment(inherited(number()?))?,
            "--wait-attach" => self.wait_attach = number()?.unsigned_abs() as usize,
            "--log" => self.log = value.into(),
            "--log-size" => {
                self.log_limits.size = text.parse().map_err(|_| format!("{name}: {text}"))?;
            }
            "--log-files" => self.log_limits.files = number()?.unsigned_abs(),
            "--target" => self.target = Some(number()?),
            "--hostname" => self.hostname = Some(text),
            "--domainname" => self.domainname = Some(text),
            "--root" => self.root = Some(value.into()),
            "--file" => {
                let (source, target) = split_pair(&value).ok_or("--file needs SOURCE:TARGET")?;
                self.files.push(FileMount { source, target });
            }
            "--layer" => self.layer = Some(text),
            "--protect" => self.protected.push(value.into()),
            "--volume" => self.volumes.push(volume::parse(&value)?),
            "--unmount" => self.unmount.push(value.into()),
            "--hide" => self.hidden.push(value.into()),
            "--capabilities" => {
                let mask = u64::from_str_radix(&text, 16);
                self.capabilities = Some(mask.map_err(|_| format!("{name}: {text} is no mask"))?);
            }
            "--user" => self.user = Some(parse_user(&text)?),
            "--root-ids" => {
                let [user, group, terminals] = parse_ids(name, &text)?;
                self.root_ids = RootIds {
                    user,
                    group,
                    terminals,
                };
            }
            "--stream-owner" => {
                let [user, group] = parse_ids(name, &text)?;
                self.stream_owner = Some((user, group));
            }
            "--setting" => {
                let (name, value) = text.split_once('=').ok_or("--setting needs NAME=VALUE")?;
                self.settings.push((name.to_string(), value.to_string()));
            }
            "--seccomp" => self.limits.filter = Some(read_filter(inherited(number()?))?),
            "--ulimit" => self.limits.ulimits.push(parse_ulimit(&text)?),
            "--cgroup" => self.cgroup = Some(inherited(number()?)),
            "--shm-size" => {
                let size = text.parse();
                self.shm_size = size.map_err(|_| format!("{name}: {text} is no number"))?;
            }
            "--workdir" => self.workdir = Some(value.into()),
            "--directory" => self.directory = value.into(),
            "--detach-keys" => self.detach_keys = Some(value.into_vec()),
            "--on-exit" => self.on_exit.push(value),
            _ => return Err(format!("unknown option {name}")),
        }
        Ok(())
    }

    /// The program out of the options; takes what it needs.
    pub(crate) fn program(&mut self) -> Result<Program, String> {
        let strings = |list: &[OsString]| -> Result<Vec<CString>, String> {
            list.iter()
                .map(|text| CString::new(text.as_bytes()).map_err(|_| "NUL in argument".into()))
                .collect()
        };
        let (uid, gid, groups) = self.user.take().unwrap_or_default();
        let capabilities = match (self.privileged, self.capabilities) {
            (true, _) => u64::MAX,
            (false, given) => given.unwrap_or(DEFAULT_CAPABILITIES),
        };
        Ok(Program {
            argv: strings(&self.command)?,
            environment: std::mem::take(&mut self.environment),
            directory: self.workdir.take(),
            directory_is_optional: self.workdir_is_optional,
            credentials: Credentials {
                uid,
                gid,
                groups,
                capabilities,
            },
            limits: std::mem::take(&mut self.limits),
            cgroup: self.cgroup.take(),
        })
    }

    pub(crate) fn sandbox(&mut self) -> Sandbox {
        Sandbox {
            network: self.network.take(),
            hostname: self.hostname.take(),
            domainname: self.domainname.take(),
            mounts: self.mounts(),
            host_users: self.host_users,
            settings: std::mem::take(&mut self.settings),
        }
    }

    fn mounts(&mut self) -> Mounts {
        let base = match (self.root.take(), self.layer.take()) {
            (Some(root), _) => Base::Root(root),
            (None, Some(size)) => Base::Layered(size),
            (None, None) => Base::Host,
        };
        Mounts {
            base,
            read_only: self.read_only,
            files: std::mem::take(&mut self.files),
            volumes: std::mem::take(&mut self.volumes),
            unmount: std::mem::take(&mut self.unmount),
            hidden: std::mem::take(&mut self.hidden),
            protected: std::mem::take(&mut self.protected),
            privileged: self.privileged,
            shm_size: self.shm_size,
            owner: self.root_ids,
            maps_base: self.maps_root,
        }
    }
}

/// Takes over a descriptor whose number netyard put on our command line.
fn inherited(fd: i32) -> OwnedFd {
    // SAFETY: each number is passed once, is open, and nothing else in this process owns it.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    let _ = rustix::io::fcntl_setfd(&fd, rustix::io::FdFlags::CLOEXEC);
    fd
}

/// The container's environment: NUL-separated, through a pipe, so that `ps` does not show it.
fn read_environment(fd: OwnedFd) -> Result<Vec<CString>, String> {
    let mut bytes = Vec::new();
    std::fs::File::from(fd)
        .read_to_end(&mut bytes)
        .map_err(|error| format!("read environment: {error}"))?;
    let entries = bytes
        .split(|byte| *byte == 0)
        .filter(|entry| !entry.is_empty());
    entries
        .map(|entry| CString::new(entry).map_err(|error| error.to_string()))
        .collect()
}

/// The rules of a filter, through a pipe: they are long.
fn read_filter(fd: OwnedFd) -> Result<Filter, String> {
    let mut text = String::new();
    std::fs::File::from(fd)
        .read_to_string(&mut text)
        .map_err(|error| format!("read system call filter: {error}"))?;
    Filter::compile(&text).map_err(|error| format!("system call filter: {error}"))
}

/// `RESOURCE:SOFT:HARD`, all numbers.
fn parse_ulimit(text: &str) -> Result<Ulimit, String> {
    let numbers: Vec<u64> = text
        .split(':')
        .filter_map(|part| part.parse().ok())
        .collect();
    let [resource, soft, hard] = numbers[..] else {
        return Err(format!("--ulimit: {text} is not RESOURCE:SOFT:HARD"));
    };
    Ok(Ulimit {
        resource: resource as u32,
        soft,
        hard,
    })
}

/// So many ids with colons between them.
fn parse_ids<const COUNT: usize>(name: &str, text: &str) -> Result<[u32; COUNT], String> {
    let found: Vec<u32> = text
        .split(':')
        .filter_map(|part| part.parse().ok())
        .collect();
    found
        .try_into()
        .map_err(|_| format!("{name}: {text} is not {COUNT} ids"))
}

fn split_pair(value: &OsString) -> Option<(PathBuf, PathBuf)> {
    let bytes = value.as_bytes();
    // The target is one of ours and has no colon; the source may.
    let at = bytes.iter().rposition(|byte| *byte == b':')?;
    let part = |bytes: &[u8]| PathBuf::from(OsString::from_vec(bytes.to_vec()));
    Some((part(&bytes[..at]), part(&bytes[at + 1..])))
}

/// `UID:GID[,GROUP…]`.
fn parse_user(text: &str) -> Result<(u32, u32, Vec<u32>), String> {
    let number = |part: &str| {
        // The highest is "as before" to setresuid(2), which is root.
        let known = part.parse().ok().filter(|id| *id != u32::MAX);
        known.ok_or_else(|| format!("--user: bad id {part}"))
    };
    let (uid, rest) = text.split_once(':').ok_or("--user needs UID:GID")?;
    let mut groups = rest.split(',').map(number);
    let gid = groups.next().ok_or("--user needs a group")??;
    Ok((number(uid)?, gid, groups.collect::<Result<_, _>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_id_is_the_one_that_changes_nothing() {
        assert_eq!(parse_user("5:6,7"), Ok((5, 6, vec![7])));
        assert!(parse_user("4294967294:4294967294").is_ok());
        for bad in [
            "4294967295:0",
            "0:4294967295",
            "0:0,4294967295",
            "4294967296:0",
            "-1:0",
        ] {
            assert!(parse_user(bad).is_err(), "{bad}");
        }
    }
}
