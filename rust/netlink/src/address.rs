//! Interface addresses.

use std::net::IpAddr;

use netlink_packet_core::NlasIterator;
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage, AddressScope};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use crate::batch::{Batch, NLM_F_CREATE, NLM_F_EXCL};
use crate::error::Result;
use crate::socket::Socket;
use crate::subject::Subject;

const RTM_NEWADDR: u16 = 20;
const RTM_GETADDR: u16 = 22;
/// Of `struct ifaddrmsg`: family, length of the prefix, flags, scope, index.
const HEADER: usize = 8;
/// `include/uapi/linux/if_addr.h`.
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;

/// An address of an interface.
#[derive(Debug, Clone)]
pub struct AddressInfo {
    pub index: u32,
    pub address: IpAddr,
    pub prefix: u8,
}

/// Adds an address. Same as `ip addr add ADDRESS/PREFIX dev INDEX nodad`.
///
/// IPv6 addresses skip duplicate address detection: netyard has just allocated them, and a
/// container's first packet must not wait a second for a tentative address (contract IP15).
pub fn add_address(batch: &mut Batch, index: u32, name: &str, address: IpAddr, prefix: u8) {
    let mut message = AddressMessage::default();
    message.header.family = family_of(address);
    message.header.prefix_len = prefix;
    message.header.index = index;
    message.header.scope = if is_link_local(address) {
        AddressScope::Link
    } else {
        AddressScope::Universe
    };
    message.attributes = vec![
        AddressAttribute::Local(address),
        AddressAttribute::Address(address),
    ];
    if address.is_ipv6() {
        message
            .attributes
            .push(AddressAttribute::Flags(AddressFlags::Nodad));
    } else if let (IpAddr::V4(v4), true) = (address, prefix < 31) {
        let host_bits = u32::MAX.checked_shr(prefix.into()).unwrap_or(0);
        let broadcast = u32::from(v4) | host_bits;
        message
            .attributes
            .push(AddressAttribute::Broadcast(broadcast.into()));
    }
    let subject = Subject::address("add address", format!("{address}/{prefix} to {name}"));
    let flags = NLM_F_CREATE | NLM_F_EXCL;
    batch.push(subject, &RouteNetlinkMessage::NewAddress(message), flags);
}

/// Deletes an address. Same as `ip addr del ADDRESS/PREFIX dev INDEX`.
pub fn delete_address(batch: &mut Batch, index: u32, name: &str, address: IpAddr, prefix: u8) {
    let mut message = AddressMessage::default();
    message.header.family = family_of(address);
    message.header.prefix_len = prefix;
    message.header.index = index;
    message.attributes = vec![AddressAttribute::Local(address)];
    let subject = Subject::address("delete address", format!("{address}/{prefix} of {name}"));
    batch.push(subject, &RouteNetlinkMessage::DelAddress(message), 0);
}

/// Lists the addresses of the socket's namespace. Same as `ip addr`.
pub fn list_addresses(socket: &mut Socket) -> Result<Vec<AddressInfo>> {
    let mut addresses = Vec::new();
    socket.dump("list addresses", RTM_GETADDR, &[0; 8], |kind, payload| {
        if kind == RTM_NEWADDR {
            addresses.extend(describe(payload));
        }
        Ok(())
    })?;
    Ok(addresses)
}

/// Reads what netyard needs: the label of an address is the name of its link, which may be any bytes.
///
/// On point-to-point links IFA_ADDRESS is the peer's, so IFA_LOCAL wins where both are there.
pub(crate) fn describe(payload: &[u8]) -> Option<AddressInfo> {
    let (header, attributes) = payload.split_at_checked(HEADER)?;
    let mut found = None;
    for attribute in NlasIterator::new(attributes) {
        let Ok(attribute) = attribute else {
            break;
        };
        match attribute.kind() {
            IFA_LOCAL => found = address_of(attribute.value()).or(found),
            IFA_ADDRESS => found = found.or(address_of(attribute.value())),
            _ => {}
        }
    }
    Some(AddressInfo {
        index: u32::from_ne_bytes(header[4..].try_into().ok()?),
        address: found?,
        prefix: header[1],
    })
}

fn address_of(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => Some(IpAddr::from(<[u8; 4]>::try_from(bytes).ok()?)),
        16 => Some(IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?)),
        _ => None,
    }
}

pub(crate) fn family_of(address: IpAddr) -> AddressFamily {
    match address {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    }
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}
