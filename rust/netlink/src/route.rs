//! Routes: what the host already routes, and what is on a link.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use netlink_packet_core::{Emitable, Parseable};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use crate::address::family_of;
use crate::batch::{Batch, NLM_F_CREATE, NLM_F_REPLACE};
use crate::error::{Error, Result};
use crate::socket::Socket;
use crate::subject::Subject;

const RTM_NEWROUTE: u16 = 24;
const RTM_GETROUTE: u16 = 26;
/// What `ip route` gives an IPv6 route without a metric.
pub(crate) const IP6_METRIC: u32 = 1024;
const LOCAL_PATIENCE: Duration = Duration::from_secs(1);
const LOCAL_PAUSE: Duration = Duration::from_micros(200);

/// A unicast route of the main table.
#[derive(Debug, Clone)]
pub struct RouteInfo {
    /// `None` for a default route.
    pub destination: Option<IpAddr>,
    pub prefix: u8,
    pub is_ipv6: bool,
    pub gateway: Option<IpAddr>,
    pub output: Option<u32>,
    /// Reached without a gateway.
    pub is_on_link: bool,
    /// Made by the kernel for an interface's address.
    pub is_kernel: bool,
}

/// Adds or replaces a route to what is on a link. Same as `ip route replace NET/PREFIX dev INDEX`.
pub fn add_link_route(batch: &mut Batch, index: u32, destination: IpAddr, prefix: u8) {
    let message = link_route(index, destination, prefix);
    let subject = Subject::route("add route", format!("to {destination}/{prefix}"));
    let flags = NLM_F_CREATE | NLM_F_REPLACE;
    batch.push(subject, &RouteNetlinkMessage::NewRoute(message), flags);
}

/// Deletes such a route. Same as `ip route del NET/PREFIX dev INDEX`.
pub fn delete_link_route(batch: &mut Batch, index: u32, destination: IpAddr, prefix: u8) {
    let message = link_route(index, destination, prefix);
    let subject = Subject::route("delete route", format!("to {destination}/{prefix}"));
    batch.push(subject, &RouteNetlinkMessage::DelRoute(message), 0);
}

fn link_route(index: u32, destination: IpAddr, prefix: u8) -> RouteMessage {
    let mut message = default_route(family_of(destination));
    message.header.destination_prefix_length = prefix;
    message.header.protocol = RouteProtocol::Boot;
    message.header.scope = RouteScope::Link;
    message.header.kind = RouteType::Unicast;
    message.attributes = vec![
        RouteAttribute::Destination(RouteAddress::from(destination)),
        RouteAttribute::Oif(index),
    ];
    if destination.is_ipv6() {
        message
            .attributes
            .push(RouteAttribute::Priority(IP6_METRIC));
    }
    message
}

/// Lists the unicast routes of the main table. Same as `ip route` and `ip -6 route`.
pub fn list_routes(socket: &mut Socket) -> Result<Vec<RouteInfo>> {
    Ok(list_messages(socket)?.iter().map(describe).collect())
}

/// The same, with everything the kernel says of them.
pub(crate) fn list_messages(socket: &mut Socket) -> Result<Vec<RouteMessage>> {
    let mut routes = Vec::new();
    socket.dump("list routes", RTM_GETROUTE, &[0; 12], |kind, payload| {
        if kind == RTM_NEWROUTE {
            let message = RouteMessage::parse(payload).map_err(|error| Error::Malformed {
                operation: "list routes",
                detail: error.to_string(),
            })?;
            if is_main_unicast(&message) {
                routes.push(message);
            }
        }
        Ok(())
    })?;
    Ok(routes)
}

/// Waits, a second at most, until the kernel takes packets to these addresses for its own.
///
/// It does so at once for IPv4. An IPv6 address gets its local route on a work queue of the
/// kernel's, which waits for whatever else is being done to links: without this wait a container's
/// first packets are lost on a busy machine (contract IP15).
pub fn await_local(socket: &mut Socket, addresses: impl IntoIterator<Item = IpAddr>) -> Result<()> {
    let patience = Instant::now() + LOCAL_PATIENCE;
    for address in addresses.into_iter().filter(IpAddr::is_ipv6) {
        while !is_local(socket, address)? && Instant::now() < patience {
            std::thread::sleep(LOCAL_PAUSE);
        }
    }
    Ok(())
}

/// Same as `ip route get ADDRESS`, which begins with `local` for an own address.
fn is_local(socket: &mut Socket, address: IpAddr) -> Result<bool> {
    const OPERATION: &str = "look up route";
    let mut message = RouteMessage::default();
    message.header.address_family = family_of(address);
    message.header.destination_prefix_length = if address.is_ipv6() { 128 } else { 32 };
    message.attributes = vec![RouteAttribute::Destination(RouteAddress::from(address))];
    let mut payload = vec![0; message.buffer_len()];
    message.emit(&mut payload);
    let answer = match socket.ask(OPERATION, RTM_GETROUTE, &payload) {
        Err(error) if error.errno() == Some(libc::ENETUNREACH) => return Ok(false),
        answer => answer?,
    };
    // The header is all that is wanted: family, lengths, tos, table, protocol, scope, kind.
    let kind = answer.as_deref().and_then(|bytes| bytes.get(7)).copied();
    Ok(kind.map(RouteType::from) == Some(RouteType::Local))
}

pub(crate) fn default_route(family: AddressFamily) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header.address_family = family;
    message.header.table = RouteHeader::RT_TABLE_MAIN;
    message
}

fn is_main_unicast(message: &RouteMessage) -> bool {
    message.header.table == RouteHeader::RT_TABLE_MAIN
        && message.header.kind == RouteType::Unicast
        && matches!(
            message.header.address_family,
            AddressFamily::Inet | AddressFamily::Inet6
        )
}

pub(crate) fn describe(message: &RouteMessage) -> RouteInfo {
    let mut route = RouteInfo {
        destination: None,
        prefix: message.header.destination_prefix_length,
        is_ipv6: message.header.address_family == AddressFamily::Inet6,
        gateway: None,
        output: None,
        is_on_link: true,
        is_kernel: message.header.protocol == RouteProtocol::Kernel,
    };
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(address) => route.destination = to_ip(address),
            RouteAttribute::Gateway(address) => {
                route.gateway = to_ip(address);
                route.is_on_link = false;
            }
            RouteAttribute::Via(_) | RouteAttribute::MultiPath(_) => route.is_on_link = false,
            RouteAttribute::Oif(index) => route.output = Some(*index),
            _ => {}
        }
    }
    route
}

fn to_ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(v4) => Some(IpAddr::V4(*v4)),
        RouteAddress::Inet6(v6) => Some(IpAddr::V6(*v6)),
        _ => None,
    }
}
