//! Questions over UDP: received and answered in batches.

use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::Ordering;
use std::sync::Arc;

use crate::answer::{answer, Outcome};
use crate::forward::Asker;
use crate::reactor::Reactor;
use crate::sources::Token;
use crate::wire::{UDP_MAX, UDP_PLAIN};

/// Messages received by one system call.
const BATCH: usize = 32;
/// Batches from one container before others get their turn.
const ROUNDS: usize = 4;

/// From one buffer to the next: not a power of two, so that their beginnings, which are what most
/// messages fill, do not compete for the same places in the processor's caches.
const STRIDE: usize = UDP_MAX + 5 * 64;

/// Where a client is asked from. Containers ask 127.0.0.11, so it is always IPv4.
pub(crate) type Address = libc::sockaddr_in;

/// Buffers that `recvmmsg` and `sendmmsg` work on; each points into the ones beside it, so they
/// stay where they are on the heap.
pub(crate) struct UdpBuffers {
    questions: Vec<[u8; STRIDE]>,
    answers: Vec<[u8; STRIDE]>,
    addresses: Vec<Address>,
    vectors: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
}

// SAFETY: the raw pointers inside are set anew before each use, to buffers the same value owns.
unsafe impl Send for UdpBuffers {}

impl UdpBuffers {
    pub(crate) fn new() -> Self {
        // SAFETY: all three are plain C structures for which zero bytes are a valid value.
        let (address, vector, header) = unsafe { std::mem::zeroed() };
        UdpBuffers {
            questions: vec![[0; STRIDE]; BATCH],
            answers: vec![[0; STRIDE]; BATCH],
            addresses: vec![address; BATCH],
            vectors: vec![vector; BATCH],
            headers: vec![header; BATCH],
        }
    }

    /// Nothing: what stands in while the buffers are lent out.
    pub(crate) fn none() -> Self {
        UdpBuffers {
            questions: Vec::new(),
            answers: Vec::new(),
            addresses: Vec::new(),
            vectors: Vec::new(),
            headers: Vec::new(),
        }
    }

    fn aim(&mut self, slot: usize, buffer: *mut u8, length: usize, address: usize) {
        self.vectors[slot] = libc::iovec {
            iov_base: buffer.cast(),
            iov_len: length,
        };
        let header = &mut self.headers[slot].msg_hdr;
        header.msg_name = (&raw mut self.addresses[address]).cast();
        header.msg_namelen = size_of::<Address>() as libc::socklen_t;
        header.msg_iov = &raw mut self.vectors[slot];
        header.msg_iovlen = 1;
    }

    /// Receives what is there; the number of messages.
    fn receive(&mut self, socket: &OwnedFd) -> usize {
        for slot in 0..BATCH {
            let buffer = self.questions[slot].as_mut_ptr();
            self.aim(slot, buffer, UDP_MAX, slot);
        }
        // SAFETY: every header was aimed at live buffers of the stated sizes just above.
        let got = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                BATCH as u32,
                libc::MSG_DONTWAIT as _,
                std::ptr::null_mut(),
            )
        };
        usize::try_from(got).unwrap_or(0)
    }

    /// Sends the first `count` prepared answers. One the socket does not take now is lost, as a
    /// datagram may be; its client asks again.
    fn send(&mut self, socket: &OwnedFd, count: usize) {
        let mut sent = 0;
        while sent < count {
            // SAFETY: the headers were aimed at live buffers by `serve_udp`.
            let took = unsafe {
                libc::sendmmsg(
                    socket.as_raw_fd(),
                    self.headers.as_mut_ptr().add(sent),
                    (count - sent) as u32,
                    libc::MSG_DONTWAIT as _,
                )
            };
            // An error concerns the first unsent message: go on with the next.
            sent += usize::try_from(took).unwrap_or(0).max(1);
        }
    }
}

impl Reactor {
    /// Answers what waits on a container's UDP socket.
    pub(crate) fn serve_udp(&mut self, socket: &Arc<OwnedFd>, service: Token) {
        let mut buffers = std::mem::replace(&mut self.udp, UdpBuffers::none());
        for _ in 0..ROUNDS {
            let got = buffers.receive(socket);
            if got == 0 {
                break;
            }
            self.answer_batch(&mut buffers, socket, service, got);
            if got < BATCH {
                break;
            }
        }
        self.udp = buffers;
    }

    fn answer_batch(
        &mut self,
        buffers: &mut UdpBuffers,
        socket: &Arc<OwnedFd>,
        service: Token,
        got: usize,
    ) {
        let Some(view) = self
            .services
            .get_mut(service)
            .map(|entry| entry.view.clone())
        else {
            return;
        };
        let view = view.load();
        let mut replies = 0;
        let mut recalled = 0;
        let mut dropped = 0;
        let lengths: [usize; BATCH] =
            std::array::from_fn(|slot| buffers.headers[slot].msg_len as usize);
        for (slot, length) in lengths.into_iter().enumerate().take(got) {
            self.turn = self.turn.wrapping_add(1);
            let out = &mut buffers.answers[slot][..UDP_MAX];
            let message = &buffers.questions[slot][..length];
            match answer(&view, message, out, false, self.turn) {
                Outcome::Reply(length) => {
                    let from = buffers.answers[slot].as_mut_ptr();
                    buffers.aim(replies, from, length, slot);
                    replies += 1;
                }
                Outcome::Forward => {
                    if let Some(length) = self.recall(service, message, false, out) {
                        let from = out.as_mut_ptr();
                        buffers.aim(replies, from, length, slot);
                        replies += 1;
                        recalled += 1;
                        continue;
                    }
                    let asker = Asker::Udp {
                        socket: socket.clone(),
                        address: buffers.addresses[slot],
                    };
                    self.forward(service, asker, message, UDP_PLAIN);
                }
                Outcome::Drop => dropped += 1,
            }
        }
        buffers.send(socket, replies);
        self.shared
            .local
            .fetch_add((replies - recalled) as u64, Ordering::Relaxed);
        if dropped > 0 {
            self.shared.dropped.fetch_add(dropped, Ordering::Relaxed);
        }
    }
}
