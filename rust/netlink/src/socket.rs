//! The netlink socket: sends a batch in one write and matches the answers by sequence number.

use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::net::{netlink, sockopt, AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

use crate::batch::{Batch, Request, NLM_F_DUMP};
use crate::error::{Error, Result};
use crate::extack::{attribute_path, ExtAck};
use crate::feature::Feature;
use crate::subject::Subject;

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_DUMP_INTR: u16 = 0x10;
const NLM_F_ACK_TLVS: u16 = 0x200;
const HEADER: usize = 16;
/// How often a dump that the kernel calls inconsistent is asked for again.
const DUMP_TRIES: usize = 20;
/// Acknowledgements that are waited for at once. They queue while the kernel works, each as a buffer
/// of less than 1 KiB for a netlink socket that takes 8 MiB.
const ANSWERS_AT_ONCE: usize = 4096;

/// The netlink families netyard speaks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    Route,
    Netfilter,
    Generic,
}

impl Protocol {
    /// What it is there for.
    fn feature(self) -> Option<Feature> {
        match self {
            Protocol::Netfilter => Some(Feature::NfTables),
            Protocol::Route | Protocol::Generic => None,
        }
    }
}

/// A netlink socket of the namespace the calling thread was in when it was opened.
pub struct Socket {
    fd: OwnedFd,
    protocol: Protocol,
    sequence: u32,
    buffer: Vec<u8>,
    /// Everything that was asked has been answered.
    is_settled: bool,
}

/// Type and payload of a message of a dump.
type Owned = (u16, Vec<u8>);

/// Whether what was sent has been answered.
#[derive(PartialEq, Eq)]
enum Answered {
    All,
    /// Something was refused that takes the rest with it.
    Aborted,
}

/// One message out of a received datagram.
pub(crate) struct Received<'a> {
    kind: u16,
    flags: u16,
    sequence: u32,
    pub(crate) payload: &'a [u8],
}

impl Socket {
    pub(crate) fn is_settled(&self) -> bool {
        self.is_settled
    }

    /// A new one, not to be kept: for a thread that has entered a container's namespace.
    pub fn open_apart(protocol: Protocol) -> Result<Self> {
        let family = match protocol {
            // NETLINK_ROUTE is protocol 0, which rustix spells as none.
            Protocol::Route => None,
            Protocol::Netfilter => Some(netlink::NETFILTER),
            Protocol::Generic => Some(netlink::GENERIC),
        };
        let fd = rustix::net::socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            family,
        )
        .map_err(|errno| Error::Socket {
            operation: "open netlink socket",
            source: errno.into(),
            feature: protocol.feature(),
        })?;
        // Best effort: without these large batches are cut and errors lose their text.
        for option in [libc::NETLINK_CAP_ACK, libc::NETLINK_EXT_ACK] {
            set_netlink_option(&fd, option);
        }
        let _ = sockopt::set_socket_recv_buffer_size_force(&fd, 8 << 20);
        let _ = set_send_buffer(&fd, 32 << 20);
        Ok(Socket {
            fd,
            protocol,
            sequence: 0,
            buffer: vec![0; 1 << 16],
            is_settled: true,
        })
    }

    /// Sends everything and waits for every acknowledgement; the first error is returned.
    pub fn run(&mut self, batch: Batch) -> Result<()> {
        match self.run_each(batch)?.into_iter().flatten().next() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// Sends everything and tells, request by request, what the kernel refused.
    ///
    /// As much in one write as the receive buffer surely has room for the answers of.
    pub fn run_each(&mut self, mut batch: Batch) -> Result<Vec<Option<Error>>> {
        let mut outcome: Vec<Option<Error>> = batch.requests.iter().map(|_| None).collect();
        let first = self.number(&mut batch);
        let mut begin = 0;
        while begin < batch.requests.len() {
            let portion = batch.portion(begin, ANSWERS_AT_ONCE);
            begin = portion.end;
            self.send(batch.bytes_of(&portion))?;
            if self.collect(&batch, first, portion, &mut outcome)? == Answered::Aborted {
                return Ok(outcome);
            }
            self.is_settled = true;
        }
        Ok(outcome)
    }

    /// Waits for the acknowledgements of a portion of a batch that was sent.
    fn collect(
        &mut self,
        batch: &Batch,
        first: u32,
        portion: Range<usize>,
        outcome: &mut [Option<Error>],
    ) -> Result<Answered> {
        let mut waits: Vec<bool> = batch.requests[portion.clone()]
            .iter()
            .map(|request| request.wants_ack)
            .collect();
        let mut waiting = waits.iter().filter(|waits| **waits).count();
        while waiting > 0 {
            let got = self.receive_acknowledgement()?;
            let mut is_aborted = false;
            for message in messages(&self.buffer[..got]) {
                let index = message.sequence.wrapping_sub(first) as usize;
                if message.kind != NLMSG_ERROR || !portion.contains(&index) {
                    continue;
                }
                let waits = &mut waits[index - portion.start];
                let error = refusal(&message, batch, index);
                // nf_tables aborts at the end marker, which nobody acknowledges: when a request
                // that wants no answer was refused, no further answers need come.
                is_aborted |= error.is_some() && !batch.requests[index].wants_ack;
                if error.is_some() || *waits {
                    outcome[index] = error;
                }
                waiting -= usize::from(std::mem::take(waits));
            }
            if is_aborted {
                return Ok(Answered::Aborted);
            }
        }
        Ok(Answered::All)
    }

    /// Asks for a dump and hands each message's type and payload to `each`.
    ///
    /// A dump the kernel marks as interrupted is asked for again, so `each` is only called with
    /// a consistent one.
    pub fn dump(
        &mut self,
        operation: &'static str,
        kind: u16,
        payload: &[u8],
        mut each: impl FnMut(u16, &[u8]) -> Result<()>,
    ) -> Result<()> {
        for _ in 0..DUMP_TRIES {
            let mut collected: Vec<Owned> = Vec::new();
            let is_consistent = self.dump_once(operation, kind, payload, |kind, payload| {
                collected.push((kind, payload.to_vec()));
            })?;
            if is_consistent {
                for (kind, payload) in &collected {
                    each(*kind, payload)?;
                }
                return Ok(());
            }
        }
        Err(Error::Malformed {
            operation,
            detail: format!("interrupted {DUMP_TRIES} times by other changes"),
        })
    }

    /// Asks for a dump of what changes all the time, and hands each payload to `each` as it comes:
    /// of those that come and go meanwhile some are seen and some are not.
    pub fn scan(
        &mut self,
        operation: &'static str,
        kind: u16,
        payload: &[u8],
        mut each: impl FnMut(&[u8]),
    ) -> Result<()> {
        self.dump_once(operation, kind, payload, |_, payload| each(payload))?;
        Ok(())
    }

    /// Asks for one thing; returns the payload of the one message that answers.
    pub fn ask(
        &mut self,
        operation: &'static str,
        kind: u16,
        payload: &[u8],
    ) -> Result<Option<Vec<u8>>> {
        let (batch, sequence) = self.question(operation, kind, 0, payload)?;
        loop {
            let got = self.receive()?;
            for message in messages(&self.buffer[..got]) {
                if message.sequence != sequence {
                    continue;
                }
                self.is_settled = true;
                if message.kind == NLMSG_ERROR {
                    return refusal(&message, &batch, 0).map_or(Ok(None), Err);
                }
                return Ok(Some(message.payload.to_vec()));
            }
        }
    }

    fn question(
        &mut self,
        operation: &'static str,
        kind: u16,
        flags: u16,
        payload: &[u8],
    ) -> Result<(Batch, u32)> {
        let mut batch = Batch::new();
        let subject = Subject {
            feature: self.protocol.feature(),
            ..Subject::other(operation, "")
        };
        batch.push_raw(subject, kind, flags, payload, false);
        let sequence = self.number(&mut batch);
        self.send(&batch.bytes)?;
        Ok((batch, sequence))
    }

    /// One dump; whether the kernel calls it consistent.
    fn dump_once(
        &mut self,
        operation: &'static str,
        kind: u16,
        payload: &[u8],
        mut each: impl FnMut(u16, &[u8]),
    ) -> Result<bool> {
        let (batch, sequence) = self.question(operation, kind, NLM_F_DUMP, payload)?;
        let mut interrupted = false;
        loop {
            let got = self.receive()?;
            for message in messages(&self.buffer[..got]) {
                if message.sequence != sequence {
                    continue;
                }
                interrupted |= message.flags & NLM_F_DUMP_INTR != 0;
                match message.kind {
                    NLMSG_DONE => {
                        self.is_settled = true;
                        return Ok(!interrupted);
                    }
                    NLMSG_ERROR => {
                        self.is_settled = true;
                        return refusal(&message, &batch, 0).map_or(Ok(true), Err);
                    }
                    kind => each(kind, message.payload),
                }
            }
        }
    }

    /// Gives every request its sequence number; returns the first.
    fn number(&mut self, batch: &mut Batch) -> u32 {
        let first = self.sequence.wrapping_add(1);
        for (index, request) in batch.requests.iter().enumerate() {
            let at = request.start + 8;
            let number = first.wrapping_add(index as u32);
            batch.bytes[at..at + 4].copy_from_slice(&number.to_ne_bytes());
        }
        self.sequence = self.sequence.wrapping_add(batch.requests.len() as u32);
        first
    }

    fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.is_settled = false;
        let sent = rustix::net::send(&self.fd, bytes, SendFlags::empty())
            .map_err(|errno| Error::socket("send to the kernel", errno))?;
        if sent == bytes.len() {
            return Ok(());
        }
        Err(Error::Malformed {
            operation: "send to the kernel",
            detail: format!("{sent} of {} bytes were taken", bytes.len()),
        })
    }

    /// Receives one datagram, which may be cut: an acknowledgement begins with what matters.
    fn receive_acknowledgement(&mut self) -> Result<usize> {
        loop {
            match rustix::net::recv(&self.fd, &mut self.buffer[..], RecvFlags::empty()) {
                Ok((_, got)) => return Ok(got),
                Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(Error::socket("receive from the kernel", errno)),
            }
        }
    }

    /// Receives one datagram of the kernel's into the buffer, which grows to fit it.
    fn receive(&mut self) -> Result<usize> {
        loop {
            let peeked = rustix::net::recv(
                &self.fd,
                &mut self.buffer[..],
                RecvFlags::PEEK | RecvFlags::TRUNC,
            );
            let length = match peeked {
                Ok((_, length)) => length,
                Err(rustix::io::Errno::INTR) => continue,
                Err(errno) => return Err(Error::socket("receive from the kernel", errno)),
            };
            if length > self.buffer.len() {
                self.buffer.resize(length.next_power_of_two(), 0);
            }
            let (_, got) = rustix::net::recv(&self.fd, &mut self.buffer[..], RecvFlags::empty())
                .map_err(|errno| Error::socket("receive from the kernel", errno))?;
            return Ok(got);
        }
    }
}

/// The messages in a datagram; a header that does not fit ends it.
pub(crate) fn messages(mut bytes: &[u8]) -> impl Iterator<Item = Received<'_>> {
    std::iter::from_fn(move || {
        if bytes.len() < HEADER {
            return None;
        }
        let word = |at: usize| [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
        let length = u32::from_ne_bytes(word(0)) as usize;
        if length < HEADER || length > bytes.len() {
            return None;
        }
        let message = Received {
            kind: u16::from_ne_bytes([bytes[4], bytes[5]]),
            flags: u16::from_ne_bytes([bytes[6], bytes[7]]),
            sequence: u32::from_ne_bytes(word(8)),
            payload: &bytes[HEADER..length],
        };
        bytes = &bytes[((length + 3) & !3).min(bytes.len())..];
        Some(message)
    })
}

/// Reads an acknowledgement: `None` for success.
fn refusal(message: &Received<'_>, batch: &Batch, index: usize) -> Option<Error> {
    let code = message.payload.get(..4)?;
    let errno = -i32::from_ne_bytes([code[0], code[1], code[2], code[3]]);
    if errno == 0 {
        return None;
    }
    let request = &batch.requests[index];
    // With NETLINK_CAP_ACK only the header of our request comes back before the attributes.
    let ack = match message.flags & NLM_F_ACK_TLVS {
        0 => ExtAck::parse(&[]),
        _ => ExtAck::parse(message.payload.get(4 + HEADER..).unwrap_or(&[])),
    };
    let attribute = ack
        .offset
        .and_then(|offset| attribute_path(request_bytes(batch, request), offset, &request.subject));
    Some(Error::Refused {
        operation: request.subject.operation,
        subject: request.subject.name.clone(),
        errno,
        message: ack.message,
        attribute,
        request: index,
        feature: request.subject.feature,
    })
}

fn request_bytes<'a>(batch: &'a Batch, request: &Request) -> &'a [u8] {
    let bytes = &batch.bytes[request.start..];
    let length = u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize;
    &bytes[..length]
}

fn set_netlink_option(fd: &OwnedFd, option: i32) {
    let one: libc::c_int = 1;
    // SAFETY: the option value is a c_int that lives through the call, as netlink(7) wants it.
    unsafe {
        libc::setsockopt(
            fd.as_fd().as_raw_fd(),
            libc::SOL_NETLINK,
            option,
            (&raw const one).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        );
    }
}

/// SO_SNDBUFFORCE, which rustix does not have: ten thousand map elements go out in one write.
fn set_send_buffer(fd: &OwnedFd, size: libc::c_int) -> std::io::Result<()> {
    // SAFETY: as above.
    let status = unsafe {
        libc::setsockopt(
            fd.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_SNDBUFFORCE,
            (&raw const size).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if status == 0 {
        return Ok(());
    }
    Err(std::io::Error::last_os_error())
}
