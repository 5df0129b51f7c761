//! The files of a log: the newest has the log's name, older ones `.1`, `.2` and so on behind it.
//!
//! A reader needs no lock: a file that is put aside is renamed, so that who has it open goes on
//! reading it, and nothing is written to it any more.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

/// How much is kept.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    /// Bytes of a file; a record never makes it longer, unless it alone is.
    pub(crate) size: u64,
    /// How many files, from one on.
    pub(crate) files: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            size: u64::MAX,
            files: 1,
        }
    }
}

/// An open log.
pub(crate) struct LogFiles {
    directory: OwnedFd,
    name: String,
    limits: Limits,
    /// What is written to, unless it could not be made.
    current: Option<OwnedFd>,
    size: u64,
}

impl LogFiles {
    /// Opens a log for appending; `None` if its directory cannot be opened, or if it has no name.
    pub(crate) fn open(path: &Path, limits: Limits) -> Option<Self> {
        let name = path.file_name()?.to_str()?.to_string();
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::open(path.parent()?, flags, Mode::empty()).ok()?;
        let mut log = LogFiles {
            directory,
            name,
            limits,
            current: None,
            size: 0,
        };
        log.open_current();
        Some(log)
    }

    /// How many bytes the current file still takes, once so many more are written to it.
    pub(crate) fn room(&self, waiting: usize) -> usize {
        let left = self.limits.size.saturating_sub(self.size);
        usize::try_from(left)
            .unwrap_or(usize::MAX)
            .saturating_sub(waiting)
    }

    /// Writes whole records, in a new file if the current one would become too long.
    pub(crate) fn write(&mut self, records: &[u8]) {
        if self.size > 0 && self.room(0) < records.len() {
            self.rotate();
        }
        if self.current.is_none() {
            self.open_current();
        }
        let Some(current) = &self.current else {
            return;
        };
        let written = write_all(current, records);
        let kept = match written < records.len() {
            false => written,
            // A full disk: half a record would spoil the next.
            true => {
                let whole = records[..written].iter().rposition(|byte| *byte == b'\n');
                let kept = whole.map_or(0, |at| at + 1);
                let _ = rustix::fs::ftruncate(current, self.size + kept as u64);
                kept
            }
        };
        self.size += kept as u64;
    }

    /// Puts the current file aside, and what was put aside before further back; the last one goes.
    fn rotate(&mut self) {
        for number in (1..self.limits.files.saturating_sub(1)).rev() {
            self.rename(&self.aside(number), &self.aside(number + 1));
        }
        if self.limits.files < 2 || !self.rename(&self.name, &self.aside(1)) {
            // Whatever is in the way of a name: it is not to grow without end.
            let _ = rustix::fs::unlinkat(&self.directory, &self.name, AtFlags::empty());
        }
        self.current = None;
    }

    fn aside(&self, number: u32) -> String {
        format!("{}.{number}", self.name)
    }

    fn rename(&self, from: &str, to: &str) -> bool {
        rustix::fs::renameat(&self.directory, from, &self.directory, to).is_ok()
    }

    fn open_current(&mut self) {
        let flags = OFlags::CREATE | OFlags::APPEND | OFlags::WRONLY;
        // A FIFO without a reader would be waited for.
        let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(0o600);
        self.current = rustix::fs::openat(&self.directory, &self.name, flags, mode).ok();
        let status = self.current.as_ref().map(rustix::fs::fstat);
        self.size = match status {
            Some(Ok(status)) => status.st_size.unsigned_abs(),
            _ => 0,
        };
    }
}

/// How much of it could be written.
fn write_all(file: &OwnedFd, bytes: &[u8]) -> usize {
    let mut written = 0;
    while written < bytes.len() {
        match rustix::io::write(file, &bytes[written..]) {
            Ok(0) => break,
            Ok(length) => written += length,
            Err(Errno::INTR) => {}
            Err(_) => break,
        }
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(name: &str) -> std::path::PathBuf {
        let path = std::env::temp_dir().join(format!("log-files-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        path
    }

    fn texts(directory: &Path) -> Vec<(String, String)> {
        let mut found: Vec<_> = std::fs::read_dir(directory)
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let text = std::fs::read_to_string(entry.path()).unwrap();
                (entry.file_name().into_string().unwrap(), text)
            })
            .collect();
        found.sort();
        found
    }

    fn pair(name: &str, text: &str) -> (String, String) {
        (name.to_string(), text.to_string())
    }

    #[test]
    fn full_files_are_put_aside_and_the_last_one_goes() {
        let place = directory("several");
        let limits = Limits { size: 9, files: 3 };
        let mut log = LogFiles::open(&place.join("log"), limits).unwrap();
        for number in 1..8 {
            log.write(format!("{number}...\n").as_bytes());
        }
        let wanted = [
            pair("log", "7...\n"),
            pair("log.1", "6...\n"),
            pair("log.2", "5...\n"),
        ];
        assert_eq!(texts(&place), wanted);
        drop(log);
        let mut again = LogFiles::open(&place.join("log"), limits).unwrap();
        again.write(b"8..\n");
        assert_eq!(
            texts(&place)[0],
            pair("log", "7...\n8..\n"),
            "it is gone on with"
        );
        again.write(b"longer than a whole file\n");
        assert_eq!(texts(&place)[0].1, "longer than a whole file\n");
        std::fs::remove_dir_all(place).unwrap();
    }

    #[test]
    fn one_file_begins_anew() {
        let place = directory("one");
        let limits = Limits { size: 4, files: 1 };
        let mut log = LogFiles::open(&place.join("log"), limits).unwrap();
        log.write(b"one\n");
        log.write(b"two\n");
        assert_eq!(texts(&place), [pair("log", "two\n")]);
        std::fs::remove_dir_all(place).unwrap();
    }

    #[test]
    fn a_pipe_in_its_place_is_not_waited_for() {
        let place = directory("pipe");
        let mode = Mode::from_raw_mode(0o600);
        let kind = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, place.join("log"), kind, mode, 0).unwrap();
        let mut log = LogFiles::open(&place.join("log"), Limits::default()).unwrap();
        log.write(b"text\n");
        std::fs::remove_dir_all(place).unwrap();
    }

    #[test]
    fn a_link_in_its_place_is_not_followed() {
        let place = directory("link");
        std::os::unix::fs::symlink("elsewhere", place.join("log")).unwrap();
        let mut log = LogFiles::open(&place.join("log"), Limits::default()).unwrap();
        log.write(b"text\n");
        assert!(!place.join("elsewhere").exists());
        std::fs::remove_dir_all(place).unwrap();
    }
}
