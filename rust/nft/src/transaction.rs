//! A transaction: steps that all happen or none does.

use netyard_netlink::{Batch, Feature, Protocol, Socket, Subject};

use crate::consts::*;
use crate::family::Family;
use crate::object::Op;
use crate::wire::Writer;
use crate::{Error, Result};

/// Steps on one table.
pub struct Transaction {
    family: Family,
    table: String,
    ops: Vec<Op>,
}

impl Transaction {
    pub fn new(family: Family, table: &str, ops: Vec<Op>) -> Self {
        Transaction {
            family,
            table: table.to_string(),
            ops,
        }
    }

    /// Applies several transactions as one, in the calling thread's network namespace.
    ///
    /// The kernel takes a batch over different tables and families whole or not at all
    /// (`nfnetlink_rcv_batch`).
    pub fn apply_all(transactions: &[Transaction]) -> Result<()> {
        let batch = Self::batch(transactions)?;
        let markers = [0, batch.len() - 1];
        let outcome = Socket::open(Protocol::Netfilter)?.run(batch);
        outcome.map_err(|error| match error {
            netyard_netlink::Error::Refused {
                errno: libc::EINVAL,
                request,
                ..
            } if markers.contains(&request) => Error::NoNfTables(error),
            other => other.into(),
        })
    }

    /// The netlink batch, between the markers that make it atomic.
    fn batch(transactions: &[Transaction]) -> Result<Batch> {
        let mut messages = Vec::new();
        for transaction in transactions {
            for op in &transaction.ops {
                let id = messages.len() as u32 + 1;
                messages.extend(op.messages(transaction.family, &transaction.table, id)?);
            }
        }
        let mut batch = Batch::new();
        let marker = |batch: &mut Batch, kind| {
            let body = Writer::with_family(0, NFNL_SUBSYS_NFTABLES).bytes();
            let subject = Subject::other("apply ruleset", "").needing(Feature::NfTables);
            batch.push_raw(subject, kind, 0, &body, false);
        };
        marker(&mut batch, NFNL_MSG_BATCH_BEGIN);
        let last = messages.len().saturating_sub(1);
        for (index, message) in messages.into_iter().enumerate() {
            // Only the last step is acknowledged: errors of the others come before it, unasked.
            let subject = Subject::other(message.operation, message.subject);
            let subject = subject.needing(Feature::NfTables);
            let kind = NFNL_SUBSYS_NFTABLES << 8 | message.kind;
            batch.push_raw(subject, kind, message.flags, &message.body, index == last);
        }
        marker(&mut batch, NFNL_MSG_BATCH_END);
        Ok(batch)
    }
}
