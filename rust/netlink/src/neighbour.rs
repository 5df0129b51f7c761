//! Neighbour entries (ARP and NDP).

use std::net::IpAddr;

use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState,
};
use netlink_packet_route::RouteNetlinkMessage;

use crate::address::family_of;
use crate::batch::{Batch, NLM_F_CREATE, NLM_F_REPLACE};
use crate::subject::Subject;

/// Tells our namespace which MAC an address has, as a hint it may verify.
///
/// An address is handed out again as soon as it is free (contract IP8). Without this the host
/// would go on sending to the MAC of the container that had it before: an announcement alone is
/// ignored within the kernel's locktime of one second. Same as
/// `ip neigh replace ADDRESS lladdr MAC dev INDEX nud stale`.
pub fn add_neighbour(batch: &mut Batch, index: u32, address: IpAddr, mac: [u8; 6]) {
    let mut message = NeighbourMessage::default();
    message.header.family = family_of(address);
    message.header.ifindex = index;
    message.header.state = NeighbourState::Stale;
    message.attributes = vec![
        NeighbourAttribute::Destination(address_of(address)),
        NeighbourAttribute::LinkLayerAddress(mac.to_vec()),
    ];
    let subject = Subject::other("set neighbour", address.to_string());
    let flags = NLM_F_CREATE | NLM_F_REPLACE;
    batch.push(subject, &RouteNetlinkMessage::NewNeighbour(message), flags);
}

pub(crate) fn address_of(address: IpAddr) -> NeighbourAddress {
    match address {
        IpAddr::V4(v4) => NeighbourAddress::Inet(v4),
        IpAddr::V6(v6) => NeighbourAddress::Inet6(v6),
    }
}
