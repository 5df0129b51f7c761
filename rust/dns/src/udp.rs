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
///
/// All those pointers are the vectors' own, moved on: one taken from a reference to an element ends
/// with the next reference to any (Miri tells).
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

    fn aim(&mut self, slot: usize, buffer: *mut [u8; STRIDE], length: usize, address: usize) {
        self.vectors[slot] = libc::iovec {
            iov_base: buffer.cast(),
            iov_len: length,
        };
        let header = &mut self.headers[slot].msg_hdr;
        header.msg_name = self.addresses.as_mut_ptr().wrapping_add(address).cast();
        header.msg_namelen = size_of::<Address>() as libc::socklen_t;
        header.msg_iov = self.vectors.as_mut_ptr().wrapping_add(slot);
        header.msg_iovlen = 1;
    }

    /// Has every message that is received put into its buffers.
    fn aim_at_questions(&mut self) {
        for slot in 0..BATCH {
            let buffer = self.questions.as_mut_ptr().wrapping_add(slot);
            self.aim(slot, buffer, UDP_MAX, slot);
        }
    }

    /// Has a message sent: the answer to a question, so many bytes of it.
    fn aim_at_answer(&mut self, message: usize, question: usize, length: usize) {
        let buffer = self.answers.as_mut_ptr().wrapping_add(question);
        self.aim(message, buffer, length, question);
    }

    /// Receives what is there; the number of messages.
    fn receive(&mut self, socket: &OwnedFd) -> usize {
        self.aim_at_questions();
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
                    buffers.aim_at_answer(replies, slot, length);
                    replies += 1;
                }
                Outcome::Forward => {
                    if let Some(length) = self.recall(service, message, false, out) {
                        buffers.aim_at_answer(replies, slot, length);
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What `recvmmsg` and `sendmmsg` do with the headers, so that Miri can watch.
    #[test]
    fn headers_lead_to_their_buffers() {
        let mut buffers = UdpBuffers::new();
        buffers.aim_at_questions();
        for slot in 0..BATCH {
            let header = buffers.headers[slot].msg_hdr;
            // SAFETY: as the kernel: what was aimed at is live, and of the lengths in the header.
            unsafe {
                (*header.msg_iov).iov_base.cast::<u8>().write(slot as u8);
                (*header.msg_name.cast::<Address>()).sin_port = slot as u16;
            }
            buffers.headers[slot].msg_len = 1;
        }
        let asked: Vec<_> = (0..BATCH)
            .filter(|slot| {
                let (question, from) = (&buffers.questions[*slot], &buffers.addresses[*slot]);
                question[0] == *slot as u8 && from.sin_port == *slot as u16
            })
            .collect();
        assert_eq!(asked.len(), BATCH);
        // Every other question is answered.
        for message in 0..BATCH / 2 {
            let slot = 2 * message;
            buffers.answers[slot][..2].copy_from_slice(&[slot as u8; 2]);
            buffers.aim_at_answer(message, slot, 2);
        }
        let sent = buffers.headers.as_mut_ptr();
        for message in 0..BATCH / 2 {
            // SAFETY: as above.
            let (text, length, port) = unsafe {
                let header = (*sent.add(message)).msg_hdr;
                let vector = *header.msg_iov;
                let port = (*header.msg_name.cast::<Address>()).sin_port;
                (*vector.iov_base.cast::<[u8; 2]>(), vector.iov_len, port)
            };
            let slot = 2 * message;
            assert_eq!((text, length, port), ([slot as u8; 2], 2, slot as u16));
        }
    }
}
