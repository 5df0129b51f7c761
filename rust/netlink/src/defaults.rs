//! Default routes of a container: ours, and somebody else's, which stand back for them.
//!
//! A namespace that is adopted may have a default route of its own. It is kept, with a metric that
//! makes it the last resort, so that it carries again once ours is gone: deleting an interface is
//! all that takes. Which ones are ours the kernel keeps for us (`rtm_protocol`, rtnetlink(7)).

use std::net::IpAddr;

use netlink_packet_route::route::RouteAttribute::Priority;
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::RouteNetlinkMessage::{DelRoute, NewRoute};

use crate::address::family_of;
use crate::batch::{Batch, NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use crate::error::{Error, Result};
use crate::route::{default_route, list_messages, IP6_METRIC};
use crate::socket::Socket;
use crate::subject::Subject;

/// Who made the route, as `ip route` shows it (`proto 121`); none of those in rt_protos(5).
const OURS: RouteProtocol = RouteProtocol::Other(121);
/// What the metric of somebody else's default route is raised by.
const ASIDE: u32 = 1_000_000;

/// Sends requests and then default routes over a link of the socket's namespace.
///
/// Where somebody else has one with the same metric, his stands back. An unspecified gateway
/// (`0.0.0.0`, `::`) is the link itself, as in `ip route add default dev`.
pub fn run_with_defaults(
    socket: &mut Socket,
    mut batch: Batch,
    index: u32,
    gateways: &[IpAddr],
) -> Result<()> {
    let before = batch.requests.len();
    for gateway in gateways {
        add(&mut batch, index, *gateway, NLM_F_EXCL);
    }
    let mut taken = Vec::new();
    for (at, outcome) in socket.run_each(batch)?.into_iter().enumerate() {
        match outcome {
            None => {}
            Some(error) if at >= before && error.errno() == Some(libc::EEXIST) => {
                taken.push(gateways[at - before]);
            }
            Some(error) => return Err(error),
        }
    }
    // Nearly always there is none, and nothing has been spent on looking.
    for gateway in taken {
        set_aside(socket, family_of(gateway))?;
        let mut batch = Batch::new();
        add(&mut batch, index, gateway, NLM_F_REPLACE);
        socket.run(batch)?;
    }
    Ok(())
}

/// Which of these default routes there are already, made by us, and what deletes all others of ours.
///
/// A route that is right is left alone: what uses it does not lose it for a moment.
pub fn other_defaults(
    socket: &mut Socket,
    wanted: &[Option<(u32, IpAddr)>],
) -> Result<(Batch, Vec<bool>)> {
    let mut batch = Batch::new();
    let mut present = vec![false; wanted.len()];
    for route in list_messages(socket)? {
        if !is_default(&route) || route.header.protocol != OURS {
            continue;
        }
        let is_it = |each: &Option<(u32, IpAddr)>| {
            each.is_some_and(|(index, gateway)| leads_over(&route, index, gateway))
        };
        if let Some(at) = wanted.iter().position(is_it) {
            present[at] = true;
            continue;
        }
        let mut message = default_route(route.header.address_family);
        message.header.protocol = OURS;
        message.header.scope = RouteScope::NoWhere;
        message.attributes = route.attributes;
        message
            .attributes
            .retain(|each| matches!(each, RouteAttribute::Oif(_) | RouteAttribute::Gateway(_)));
        let subject = Subject::route("delete default route", "of ours");
        batch.push(subject, &DelRoute(message), 0);
    }
    Ok((batch, present))
}

fn leads_over(route: &RouteMessage, index: u32, gateway: IpAddr) -> bool {
    let mut over = None;
    let mut via = None;
    for attribute in &route.attributes {
        match attribute {
            RouteAttribute::Oif(found) => over = Some(*found),
            RouteAttribute::Gateway(found) => via = Some(found.clone()),
            _ => {}
        }
    }
    let wanted = (!gateway.is_unspecified()).then(|| RouteAddress::from(gateway));
    route.header.address_family == family_of(gateway) && over == Some(index) && via == wanted
}

fn add(batch: &mut Batch, index: u32, gateway: IpAddr, flag: u16) {
    let mut message = default_route(family_of(gateway));
    message.header.protocol = OURS;
    message.header.kind = RouteType::Unicast;
    message.header.scope = if gateway.is_unspecified() {
        RouteScope::Link
    } else {
        RouteScope::Universe
    };
    message.attributes = vec![RouteAttribute::Oif(index)];
    if !gateway.is_unspecified() {
        let gateway = RouteAttribute::Gateway(RouteAddress::from(gateway));
        message.attributes.push(gateway);
    }
    if gateway.is_ipv6() {
        message.attributes.push(Priority(IP6_METRIC));
    }
    let subject = Subject::route("add default route", format!("via {gateway}"));
    batch.push(subject, &NewRoute(message), NLM_F_CREATE | flag);
}

/// Adds what is in the way of ours once more, as the last resort; the original is then replaced.
fn set_aside(socket: &mut Socket, family: AddressFamily) -> Result<()> {
    let mut batch = Batch::new();
    for route in foreign_defaults(socket, usual_metric)? {
        if route.header.address_family == family {
            let last = NewRoute(with_metric(route, ASIDE + usual_metric(family)));
            let subject = Subject::route("set default route aside", "of others");
            batch.push(subject, &last, NLM_F_CREATE | NLM_F_APPEND);
        }
    }
    run_unless_present(socket, batch)
}

/// Gives default routes that stand aside the metric back that they had.
///
/// One whose gateway is not reached any more cannot be added, and stays as it is.
pub fn give_back_defaults(socket: &mut Socket) -> Result<()> {
    for route in foreign_defaults(socket, |family| ASIDE + usual_metric(family))? {
        let usual = usual_metric(route.header.address_family);
        let subject = |operation| Subject::route(operation, "of others");
        let mut batch = Batch::new();
        let before = NewRoute(with_metric(route.clone(), usual));
        let flags = NLM_F_CREATE | NLM_F_APPEND;
        batch.push(subject("give default route back"), &before, flags);
        match run_unless_present(socket, batch) {
            Err(error) if is_unreachable(&error) => continue,
            outcome => outcome?,
        }
        let mut batch = Batch::new();
        let aside = DelRoute(with_metric(route, ASIDE + usual));
        batch.push(subject("delete default route"), &aside, 0);
        socket.run(batch)?;
    }
    Ok(())
}

/// Sends requests; that something is there already is as good.
fn run_unless_present(socket: &mut Socket, batch: Batch) -> Result<()> {
    let is_refusal = |error: &Error| error.errno() != Some(libc::EEXIST);
    let mut outcome = socket.run_each(batch)?.into_iter().flatten();
    outcome.find(is_refusal).map_or(Ok(()), Err)
}

fn is_unreachable(error: &Error) -> bool {
    let gateway = [
        libc::ENETUNREACH,
        libc::EHOSTUNREACH,
        libc::ENETDOWN,
        libc::EINVAL,
    ];
    error.errno().is_some_and(|errno| gateway.contains(&errno))
}

/// The default routes of others with a metric that depends on the family.
fn foreign_defaults(
    socket: &mut Socket,
    wanted: impl Fn(AddressFamily) -> u32,
) -> Result<Vec<RouteMessage>> {
    let mut found = list_messages(socket)?;
    found.retain(|route| {
        is_default(route)
            && route.header.protocol != OURS
            && metric(route) == wanted(route.header.address_family)
    });
    Ok(found)
}

fn with_metric(mut route: RouteMessage, metric: u32) -> RouteMessage {
    // The kernel refuses flags that only it can tell, such as of a link without a carrier.
    route.header.flags &= RouteFlags::Onlink;
    route
        .attributes
        .retain(|attribute| !matches!(attribute, Priority(_) | RouteAttribute::CacheInfo(_)));
    route.attributes.push(Priority(metric));
    route
}

fn is_default(route: &RouteMessage) -> bool {
    route.header.destination_prefix_length == 0
}

fn usual_metric(family: AddressFamily) -> u32 {
    if family == AddressFamily::Inet6 {
        IP6_METRIC
    } else {
        0
    }
}

fn metric(route: &RouteMessage) -> u32 {
    let found = route
        .attributes
        .iter()
        .find_map(|attribute| match attribute {
            Priority(metric) => Some(*metric),
            _ => None,
        });
    found.unwrap_or(0)
}
