//! The container's log: one line a record, in the format of Kubernetes' CRI:
//! `2026-11-24T22:30:12.123456789Z stdout F text`, with `P` for a record that goes on.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// A line longer than this is cut into partial records.
const LINE_MAX: usize = 16 << 10;

/// An open log file, and the unfinished line of each stream.
pub(crate) struct Log {
    file: Option<File>,
    pending: [Vec<u8>; 2],
}

/// Which stream a record is of.
#[derive(Clone, Copy)]
pub(crate) enum Stream {
    Output,
    Error,
}

impl Log {
    /// Opens the log for appending. Without one (full or broken disk) the container still runs.
    pub(crate) fn open(path: &Path) -> Self {
        Log {
            file: File::options().create(true).append(true).open(path).ok(),
            pending: [Vec::new(), Vec::new()],
        }
    }

    pub(crate) fn write(&mut self, stream: Stream, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            self.pending[stream as usize].extend(&rest[..end]);
            self.record(stream, b'F');
            rest = &rest[end + 1..];
        }
        self.pending[stream as usize].extend(rest);
        if self.pending[stream as usize].len() >= LINE_MAX {
            self.record(stream, b'P');
        }
    }

    /// Writes what is left of unfinished lines.
    pub(crate) fn finish(&mut self) {
        for stream in [Stream::Output, Stream::Error] {
            if !self.pending[stream as usize].is_empty() {
                self.record(stream, b'P');
            }
        }
    }

    /// One write a record, so that a reader never sees half of one.
    fn record(&mut self, stream: Stream, tag: u8) {
        let name = match stream {
            Stream::Output => "stdout",
            Stream::Error => "stderr",
        };
        let mut line = format!("{} {name} {} ", timestamp(), tag as char).into_bytes();
        line.append(&mut self.pending[stream as usize]);
        line.push(b'\n');
        if let Some(file) = &mut self.file {
            let _ = file.write_all(&line);
        }
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
}
