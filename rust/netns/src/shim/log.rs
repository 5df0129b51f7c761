//! The container's log: one line a record, in the format of Kubernetes' CRI:
//! `2026-11-24T22:30:12.123456789Z stdout F text`, with `P` for a record that goes on.
//!
//! Where records are kept, and how much of them, is in `log_files`.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::log_files::{Limits, LogFiles};

/// How much is written at once.
const BATCH_MAX: usize = 64 << 10;

/// A line longer than this is cut into partial records, as Docker does.
const LINE_MAX: usize = 16 << 10;

/// The unfinished line of each stream, and where records go.
pub(crate) struct Log {
    files: Option<LogFiles>,
    pending: [Vec<u8>; 2],
    /// Records that are still to be written, each whole.
    batch: Vec<u8>,
}

/// Which stream a record is of.
#[derive(Clone, Copy)]
pub(crate) enum Stream {
    Output,
    Error,
}

impl Log {
    /// Opens the log for appending. Without one (full or broken disk) the container still runs.
    pub(crate) fn open(path: &Path, limits: Limits) -> Self {
        Log {
            files: LogFiles::open(path, limits),
            pending: [Vec::new(), Vec::new()],
            batch: Vec::new(),
        }
    }

    pub(crate) fn write(&mut self, stream: Stream, bytes: &[u8]) {
        if self.files.is_none() {
            return;
        }
        let time = timestamp();
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            let text = line.strip_suffix(b"\n");
            self.take(stream, text.unwrap_or(line), &time);
            if text.is_some() {
                self.record(stream, b'F', &time);
            }
        }
        self.flush();
    }

    /// Writes what is left of unfinished lines.
    pub(crate) fn finish(&mut self) {
        for stream in [Stream::Output, Stream::Error] {
            if !self.pending[stream as usize].is_empty() {
                self.record(stream, b'P', &timestamp());
            }
        }
        self.flush();
    }

    /// Adds to the unfinished line, of which no more than one record is ever kept.
    fn take(&mut self, stream: Stream, mut text: &[u8], time: &str) {
        loop {
            let pending = &mut self.pending[stream as usize];
            let (now, later) = text.split_at(text.len().min(LINE_MAX - pending.len()));
            pending.extend(now);
            if pending.len() < LINE_MAX {
                return;
            }
            self.record(stream, b'P', time);
            text = later;
        }
    }

    fn record(&mut self, stream: Stream, tag: u8, time: &str) {
        let name = match stream {
            Stream::Output => "stdout",
            Stream::Error => "stderr",
        };
        let pending = &mut self.pending[stream as usize];
        let head = format!("{time} {name} {} ", tag as char);
        let length = head.len() + pending.len() + 1;
        let room = self
            .files
            .as_ref()
            .map_or(usize::MAX, |files| files.room(self.batch.len()));
        if length > room || self.batch.len() + length > BATCH_MAX {
            self.flush();
        }
        let pending = &mut self.pending[stream as usize];
        self.batch.extend(head.as_bytes());
        self.batch.append(pending);
        self.batch.push(b'\n');
    }

    fn flush(&mut self) {
        if let (Some(files), false) = (&mut self.files, self.batch.is_empty()) {
            files.write(&self.batch);
        }
        self.batch.clear();
    }
}

/// Nanoseconds since 1970.
pub(crate) fn now() -> u128 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos())
}

/// The time in RFC 3339, UTC, with nanoseconds.
fn timestamp() -> String {
    let now = now();
    let (seconds, nanos) = ((now / 1_000_000_000) as i64, now % 1_000_000_000);
    let (year, month, day) = civil(seconds.div_euclid(86_400));
    let second = seconds.rem_euclid(86_400);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{nanos:09}Z")
}

/// Days since 1970 as a date of the Gregorian calendar, counted in eras of 400 years from a first
/// of March, so that the leap day is the last day of a year.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_right_around_leap_days() {
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(civil(11_016), (2000, 2, 29));
        assert_eq!(civil(11_017), (2000, 3, 1));
        assert_eq!(civil(20_781), (2026, 11, 24));
    }

    #[test]
    fn long_lines_are_cut_where_docker_cuts_them() {
        let path = std::env::temp_dir().join(format!("log-{}", std::process::id()));
        let mut log = Log::open(&path, Limits::default());
        for _ in 0..4 {
            log.write(Stream::Output, &[b'x'; 10_000]);
        }
        log.write(Stream::Output, b"\nshort\n\nunfinished");
        log.write(Stream::Error, &[b'y'; LINE_MAX]);
        log.finish();
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let records: Vec<_> = text
            .lines()
            .map(|line| {
                let parts: Vec<_> = line.splitn(4, ' ').collect();
                (parts[1], parts[2], parts[3].len())
            })
            .collect();
        let wanted = [
            ("stdout", "P", 16_384),
            ("stdout", "P", 16_384),
            ("stdout", "F", 7_232),
            ("stdout", "F", 5),
            ("stdout", "F", 0),
            ("stderr", "P", 16_384),
            ("stdout", "P", 10),
        ];
        assert_eq!(records, wanted);
    }
}
