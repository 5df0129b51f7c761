//! nf_tables as netyard uses it: tables, chains, sets, maps, rules and elements, changed in one
//! transaction of netlink messages.
//!
//! Knows how the kernel wants a rule written; what the rules are is decided in Python
//! (`netyard.firewall`). Framing and sockets are `netyard-netlink`'s.

mod compiler;
mod consts;
mod expr;
mod family;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod listing;
mod object;
mod statement;
mod transaction;
mod userdata;
mod value;
mod wire;

pub use family::Family;
pub use listing::{generation, list_chains, ChainInfo};
pub use object::{Chain, Element, Hook, Op, Rule, Set};
pub use statement::{Field, Statement, Verdict};
pub use transaction::Transaction;
pub use value::{Kind, Value};

/// What can be wrong with a transaction before the kernel sees it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A value does not fit the type of the set it is for.
    #[error("{value} is no {kind}")]
    Value { value: String, kind: &'static str },
    /// An element has another number of fields than its set's key.
    #[error("an element of set {set} has {got} fields, its key has {wanted}")]
    Arity {
        set: String,
        got: usize,
        wanted: usize,
    },
    /// The kernel does not know what a transaction is.
    #[error(transparent)]
    NoNfTables(netyard_netlink::Error),
    /// The exchange with the kernel failed.
    #[error(transparent)]
    Netlink(#[from] netyard_netlink::Error),
}

/// The result of building or sending a transaction.
pub type Result<T> = std::result::Result<T, Error>;
