//! What there is: links, addresses and routes of a namespace.

use std::net::IpAddr;

use netyard_netlink::{self as netlink, Protocol, Socket};
use pyo3::prelude::*;

use crate::convert::borrow_fd;
use crate::errors::{Failure, Outcome};
use crate::retire::is_retired;

/// A link as the kernel describes it.
#[pyclass(frozen, get_all, module = "netyard._core")]
pub(crate) struct Link {
    index: u32,
    name: String,
    kind: String,
    mac: Vec<u8>,
    mtu: u32,
    master: Option<u32>,
    parent: Option<u32>,
    group: u32,
    alias: String,
    is_up: bool,
}

/// A unicast route of the main table.
#[pyclass(frozen, get_all, module = "netyard._core")]
pub(crate) struct Route {
    destination: Option<IpAddr>,
    prefix: u8,
    gateway: Option<IpAddr>,
    output: Option<u32>,
    is_on_link: bool,
}

/// The links of a namespace, or of ours.
#[pyfunction]
#[pyo3(signature = (namespace=None))]
pub(crate) fn list_links(py: Python<'_>, namespace: Option<i32>) -> PyResult<Vec<Link>> {
    let found = read(py, namespace, netlink::list_links)?;
    // Those are gone already, for all that anybody may want to know.
    let present = found.into_iter().filter(|link| !is_retired(link));
    let links = present.map(|link| Link {
        index: link.index,
        name: link.name,
        kind: link.kind,
        mac: link.mac,
        mtu: link.mtu,
        master: link.master,
        parent: link.parent,
        group: link.group,
        alias: link.alias,
        is_up: link.is_up,
    });
    Ok(links.collect())
}

/// The addresses of a namespace, or of ours: link index, address, prefix length.
#[pyfunction]
#[pyo3(signature = (namespace=None))]
pub(crate) fn list_addresses(
    py: Python<'_>,
    namespace: Option<i32>,
) -> PyResult<Vec<(u32, IpAddr, u8)>> {
    let found = read(py, namespace, netlink::list_addresses)?;
    Ok(found
        .into_iter()
        .map(|entry| (entry.index, entry.address, entry.prefix))
        .collect())
}

/// The routes of a namespace, or of ours.
#[pyfunction]
#[pyo3(signature = (namespace=None))]
pub(crate) fn list_routes(py: Python<'_>, namespace: Option<i32>) -> PyResult<Vec<Route>> {
    let found = read(py, namespace, netlink::list_routes)?;
    let routes = found.into_iter().map(|route| Route {
        destination: route.destination,
        prefix: route.prefix,
        gateway: route.gateway,
        output: route.output,
        is_on_link: route.is_on_link,
    });
    Ok(routes.collect())
}

fn read<T: Send>(
    py: Python<'_>,
    namespace: Option<i32>,
    list: fn(&mut Socket) -> netlink::Result<T>,
) -> PyResult<T> {
    let fd = namespace.map(borrow_fd).transpose()?;
    let job = || -> Outcome<T> { Ok(list(&mut *Socket::open(Protocol::Route)?)?) };
    let found = py.detach(|| match fd {
        Some(fd) => netyard_netns::inside(fd, job).map_err(Failure::from)?,
        None => job(),
    })?;
    Ok(found)
}
