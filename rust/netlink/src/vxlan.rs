//! VXLAN devices and what they know of the other hosts (RFC 7348; `drivers/net/vxlan` in Linux).

use std::net::IpAddr;

use netlink_packet_core::Parseable;
use netlink_packet_route::link::{
    InfoBridgePort, InfoData, InfoKind, InfoVxlan, LinkAttribute, LinkInfo as Info,
};
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use crate::address::family_of;
use crate::batch::{Batch, NLM_F_CREATE, NLM_F_REPLACE};
use crate::error::{Error, Result};
use crate::feature::Feature;
use crate::link::{create, set_port, up_message};
use crate::neighbour::address_of;
use crate::socket::Socket;
use crate::subject::Subject;

const RTM_NEWNEIGH: u16 = 28;
const RTM_GETNEIGH: u16 = 30;

/// A VXLAN device to be made, a port of a bridge.
pub struct VxlanSpec<'a> {
    pub name: &'a str,
    /// VXLAN network identifier, 24 bits.
    pub vni: u32,
    /// UDP port, ours and the others'.
    pub port: u16,
    /// Our address between the hosts (the tunnel endpoint, VTEP).
    pub local: IpAddr,
    /// The one interface to send and receive by, if it is not to be any.
    pub link_index: Option<u32>,
    pub mtu: u32,
    pub bridge_index: u32,
}

/// A container on another host.
pub struct Remote<'a> {
    pub mac: [u8; 6],
    /// The other host's address between the hosts.
    pub host: IpAddr,
    /// The interface that leads there, where the address alone does not say (link-local).
    pub via_index: Option<u32>,
    pub addresses: &'a [IpAddr],
}

/// Creates a VXLAN device that learns nothing and floods nothing: it sends to whom it was told
/// of, and answers ARP and neighbour solicitations for them itself.
///
/// Same as `ip link add NAME up master BRIDGE type vxlan id VNI dstport PORT local LOCAL
/// nolearning proxy`, and `bridge link set dev NAME learning off flood off`.
pub fn add_vxlan(batch: &mut Batch, spec: &VxlanSpec<'_>) {
    let mut message = up_message();
    let mut data = vec![
        InfoVxlan::Id(spec.vni),
        InfoVxlan::Port(spec.port),
        match spec.local {
            IpAddr::V4(v4) => InfoVxlan::Local(v4),
            IpAddr::V6(v6) => InfoVxlan::Local6(v6),
        },
        InfoVxlan::Learning(false),
        InfoVxlan::Proxy(true),
    ];
    data.extend(spec.link_index.map(InfoVxlan::Link));
    message.attributes = vec![
        LinkAttribute::IfName(spec.name.into()),
        LinkAttribute::Mtu(spec.mtu),
        LinkAttribute::Controller(spec.bridge_index),
        LinkAttribute::LinkInfo(vec![
            Info::Kind(InfoKind::Vxlan),
            Info::Data(InfoData::Vxlan(data)),
        ]),
    ];
    let subject = Subject::link("create VXLAN device", spec.name).needing(Feature::Vxlan);
    create(batch, subject, message);
    for setting in [
        InfoBridgePort::Learning(false),
        InfoBridgePort::UnicastFlood(false),
    ] {
        set_port(batch, spec.name, setting);
    }
}

/// Makes a remote container reachable. Same as `bridge fdb replace MAC dev INDEX dst HOST self
/// permanent`, `bridge fdb replace MAC dev INDEX master static` and
/// `ip neigh replace ADDRESS lladdr MAC dev INDEX nud permanent`.
pub fn add_remote(batch: &mut Batch, index: u32, remote: &Remote<'_>) {
    let flags = NLM_F_CREATE | NLM_F_REPLACE;
    for (subject, message) in entries(index, remote) {
        batch.push(subject, &RouteNetlinkMessage::NewNeighbour(message), flags);
    }
}

/// Takes a remote container's entries away, each by itself: some may be gone.
pub fn delete_remote(batch: &mut Batch, index: u32, remote: &Remote<'_>) {
    for (subject, message) in entries(index, remote) {
        batch.push(subject, &RouteNetlinkMessage::DelNeighbour(message), 0);
    }
}

/// The remote containers a VXLAN device knows: MAC and host, and addresses by MAC. Same as
/// `bridge fdb show dev INDEX` and `ip neigh show dev INDEX nud permanent`.
pub fn list_remotes(socket: &mut Socket, index: u32) -> Result<Known> {
    let mut known = Known::default();
    for family in [
        AddressFamily::Bridge,
        AddressFamily::Inet,
        AddressFamily::Inet6,
    ] {
        let mut header = [0; 12];
        header[0] = u8::from(family);
        socket.dump("list remotes", RTM_GETNEIGH, &header, |kind, payload| {
            if kind == RTM_NEWNEIGH {
                let message =
                    NeighbourMessage::parse(payload).map_err(|error| Error::Malformed {
                        operation: "list remotes",
                        detail: error.to_string(),
                    })?;
                if message.header.ifindex == index {
                    note(&mut known, &message);
                }
            }
            Ok(())
        })?;
    }
    Ok(known)
}

/// What a device knows of remote containers.
#[derive(Debug, Default)]
pub struct Known {
    pub hosts: Vec<([u8; 6], IpAddr)>,
    pub addresses: Vec<([u8; 6], IpAddr)>,
}

pub(crate) fn note(known: &mut Known, message: &NeighbourMessage) {
    let mut mac = None;
    let mut destination = None;
    for attribute in &message.attributes {
        match attribute {
            NeighbourAttribute::LinkLayerAddress(bytes) => {
                mac = <[u8; 6]>::try_from(bytes.as_slice()).ok();
            }
            NeighbourAttribute::Destination(address) => destination = to_ip(address),
            _ => {}
        }
    }
    let (Some(mac), Some(destination)) = (mac, destination) else {
        return;
    };
    if message.header.family == AddressFamily::Bridge {
        known.hosts.push((mac, destination));
    } else if message.header.state == NeighbourState::Permanent {
        known.addresses.push((mac, destination));
    }
}

/// In a bridge's table the family is "bridge", so only the length tells what an address is.
fn to_ip(address: &NeighbourAddress) -> Option<IpAddr> {
    match address {
        NeighbourAddress::Inet(v4) => Some(IpAddr::V4(*v4)),
        NeighbourAddress::Inet6(v6) => Some(IpAddr::V6(*v6)),
        NeighbourAddress::Other(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(bytes.as_slice()).ok().map(IpAddr::from),
            16 => <[u8; 16]>::try_from(bytes.as_slice())
                .ok()
                .map(IpAddr::from),
            _ => None,
        },
        _ => None,
    }
}

fn entries(index: u32, remote: &Remote<'_>) -> Vec<(Subject, NeighbourMessage)> {
    let mac = NeighbourAttribute::LinkLayerAddress(remote.mac.to_vec());
    let entry = |family, state, flags, attributes| {
        let mut message = NeighbourMessage::default();
        message.header.family = family;
        message.header.ifindex = index;
        message.header.state = state;
        message.header.flags = flags;
        message.attributes = attributes;
        (
            Subject::other("set remote", remote.host.to_string()),
            message,
        )
    };
    let mut there = vec![
        mac.clone(),
        NeighbourAttribute::Destination(address_of(remote.host)),
    ];
    there.extend(remote.via_index.map(NeighbourAttribute::IfIndex));
    let mut found = vec![
        entry(
            AddressFamily::Bridge,
            NeighbourState::Permanent,
            NeighbourFlags::Own,
            there,
        ),
        // To the bridge "permanent" would be an address of its own; this is what it calls static.
        entry(
            AddressFamily::Bridge,
            NeighbourState::Noarp,
            NeighbourFlags::Controller,
            vec![mac.clone()],
        ),
    ];
    found.extend(remote.addresses.iter().map(|address| {
        entry(
            family_of(*address),
            NeighbourState::Permanent,
            NeighbourFlags::empty(),
            vec![
                NeighbourAttribute::Destination(address_of(*address)),
                mac.clone(),
            ],
        )
    }));
    found
}
