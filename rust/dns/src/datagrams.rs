//! Buffers of datagrams: a batch received and sent by one system call each.

use std::os::fd::{AsRawFd, OwnedFd};

use crate::wire::UDP_MAX;

/// Messages received by one system call.
pub(crate) const BATCH: usize = 32;

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
pub(crate) struct Datagrams {
    questions: Vec<[u8; STRIDE]>,
    answers: Vec<[u8; STRIDE]>,
    addresses: Vec<Address>,
    vectors: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
}

// SAFETY: the raw pointers inside are set anew before each use, to buffers the same value owns.
unsafe impl Send for Datagrams {}

impl Datagrams {
    pub(crate) fn new() -> Self {
        // SAFETY: all three are plain C structures for which zero bytes are a valid value.
        let (address, vector, header) = unsafe { std::mem::zeroed() };
        Datagrams {
            questions: vec![[0; STRIDE]; BATCH],
            answers: vec![[0; STRIDE]; BATCH],
            addresses: vec![address; BATCH],
            vectors: vec![vector; BATCH],
            headers: vec![header; BATCH],
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
    pub(crate) fn aim_at_answer(&mut self, message: usize, question: usize, length: usize) {
        let buffer = self.answers.as_mut_ptr().wrapping_add(question);
        self.aim(message, buffer, length, question);
    }

    /// Receives what is there; the number of messages.
    pub(crate) fn receive(&mut self, socket: &OwnedFd) -> usize {
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

    /// How long the messages are that were received: read before any is sent.
    pub(crate) fn lengths(&self) -> [usize; BATCH] {
        std::array::from_fn(|slot| self.headers[slot].msg_len as usize)
    }

    /// A message that was received, and room for its answer.
    pub(crate) fn question(&mut self, slot: usize, length: usize) -> (&[u8], &mut [u8]) {
        let question = &self.questions[slot][..length];
        (question, &mut self.answers[slot][..UDP_MAX])
    }

    /// Where a message came from.
    pub(crate) fn sender(&self, slot: usize) -> Address {
        self.addresses[slot]
    }

    /// Sends the first `count` prepared answers. One the socket does not take now is lost, as a
    /// datagram may be; its client asks again.
    pub(crate) fn send(&mut self, socket: &OwnedFd, count: usize) {
        let mut sent = 0;
        while sent < count {
            // SAFETY: the headers were aimed at live buffers by `aim_at_answer`.
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

/// Sends one datagram, or loses it.
pub(crate) fn send_to(socket: &OwnedFd, message: &[u8], address: &Address) {
    // SAFETY: message and address are live and of the lengths stated.
    unsafe {
        libc::sendto(
            socket.as_raw_fd(),
            message.as_ptr().cast(),
            message.len(),
            libc::MSG_DONTWAIT,
            (&raw const *address).cast(),
            size_of::<Address>() as libc::socklen_t,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `recvmmsg` and `sendmmsg` do with the headers, so that Miri can watch.
    #[test]
    fn headers_lead_to_their_buffers() {
        let mut buffers = Datagrams::new();
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
