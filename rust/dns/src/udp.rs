//! Questions over UDP: answered in batches.

use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering;
use std::sync::Arc;

use crate::answer::{answer, Outcome};
use crate::context::Context;
use crate::datagrams::{send_to, Datagrams, BATCH};
use crate::exchange::Asker;
use crate::forward::Forwarder;
use crate::slab::Token;
use crate::view::View;
use crate::wire::UDP_PLAIN;

/// Batches from one container before others get their turn.
const ROUNDS: usize = 4;

/// Answers what waits on a container's UDP socket.
pub(crate) fn serve(
    context: &mut Context,
    forwarder: &mut Forwarder,
    datagrams: &mut Datagrams,
    service: Token,
) {
    let Some(entry) = context.services.get_mut(service) else {
        return;
    };
    let (socket, view) = (entry.udp.clone(), entry.view.clone());
    for _ in 0..ROUNDS {
        let got = datagrams.receive(&socket);
        if got == 0 {
            break;
        }
        let mut batch = Batch {
            context,
            forwarder,
            socket: &socket,
            service,
        };
        batch.answer(datagrams, &view.load(), got);
        if got < BATCH {
            break;
        }
    }
}

/// Questions of one container that came together.
struct Batch<'a> {
    context: &'a mut Context,
    forwarder: &'a mut Forwarder,
    socket: &'a Arc<OwnedFd>,
    service: Token,
}

impl Batch<'_> {
    fn answer(&mut self, datagrams: &mut Datagrams, view: &View, got: usize) {
        let (mut replies, mut recalled, mut dropped) = (0, 0, 0);
        let lengths = datagrams.lengths();
        for (slot, length) in lengths.into_iter().enumerate().take(got) {
            let turn = self.context.next_turn();
            let (message, out) = datagrams.question(slot, length);
            let reply = match answer(view, message, out, false, turn) {
                Outcome::Reply(length) => Some(length),
                Outcome::Forward => {
                    let known =
                        self.forwarder
                            .recall(self.context, self.service, message, false, out);
                    recalled += usize::from(known.is_some());
                    known
                }
                Outcome::Drop => {
                    dropped += 1;
                    continue;
                }
            };
            match reply {
                Some(length) => {
                    datagrams.aim_at_answer(replies, slot, length);
                    replies += 1;
                }
                None => self.forward(datagrams, slot, length),
            }
        }
        datagrams.send(self.socket, replies);
        let shared = &self.context.shared;
        shared
            .local
            .fetch_add((replies - recalled) as u64, Ordering::Relaxed);
        if dropped > 0 {
            shared.dropped.fetch_add(dropped, Ordering::Relaxed);
        }
    }

    fn forward(&mut self, datagrams: &mut Datagrams, slot: usize, length: usize) {
        let address = datagrams.sender(slot);
        let asker = Asker::Udp {
            socket: self.socket.clone(),
            address,
        };
        let (message, _) = datagrams.question(slot, length);
        let refusal = self
            .forwarder
            .forward(self.context, self.service, asker, message, UDP_PLAIN);
        if let Some(reply) = refusal {
            send_to(self.socket, &reply.message, &address);
        }
    }
}
