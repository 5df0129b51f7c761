//! What one container may see: whose names, and which servers are asked about all others.

use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::zone::Zone;

/// Who is asked about names that are not ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Upstreams {
    /// The host's servers, asked from the host's namespace.
    Host,
    /// Servers of the container's own, asked from its namespace.
    Own(Vec<SocketAddr>),
    /// Nobody: the container is on internal networks only.
    Nobody,
}

/// A name of the container's own for somebody of a network (contract RN20).
pub(crate) struct Link {
    /// In wire format, lower case.
    pub(crate) alias: Box<[u8]>,
    /// What it is called in the zone.
    pub(crate) target: Box<[u8]>,
    pub(crate) zone: Arc<ArcSwap<Zone>>,
}

/// What one container may see. Immutable; a change of networks makes a new one.
pub struct View {
    /// The shared networks, in the order in which they are searched.
    pub(crate) zones: Vec<Arc<ArcSwap<Zone>>>,
    pub(crate) upstreams: Upstreams,
    /// The user set `ndots`: an unknown single label is answered empty, not forwarded, so that the
    /// client goes on with its search list (contract DN12).
    pub(crate) keeps_single_labels: bool,
    pub(crate) ttl_seconds: u32,
    /// Names that only this container knows.
    pub(crate) links: Vec<Link>,
}
