//! What the targets of `rust/fuzz` call: everything here that reads what the kernel sends.

use netlink_packet_core::Parseable;
use netlink_packet_route::neighbour::NeighbourMessage;
use netlink_packet_route::route::RouteMessage;

use crate::extack::{attribute_path, ExtAck};
use crate::names::LINK;
use crate::subject::Subject;
use crate::{address, conntrack, link_info, route, socket, vxlan, wireguard};

/// A datagram from the kernel, taken for an answer to each question there is.
pub fn datagram(bytes: &[u8]) {
    for message in socket::messages(bytes) {
        payload(message.payload);
    }
    payload(bytes);
}

fn payload(bytes: &[u8]) {
    let _ = link_info::parse("fuzz", bytes);
    let _ = address::describe(bytes);
    if let Ok(message) = RouteMessage::parse(bytes) {
        route::describe(&message);
    }
    if let Ok(message) = NeighbourMessage::parse(bytes) {
        vxlan::note(&mut vxlan::Known::default(), &message);
    }
    conntrack::deletion(bytes, 2, &[]);
    wireguard::find(bytes, 3);
    let ack = ExtAck::parse(bytes);
    if let Some(offset) = ack.offset {
        let mut subject = Subject::link("fuzz", "x");
        subject.names = LINK;
        attribute_path(bytes, offset, &subject);
    }
}
