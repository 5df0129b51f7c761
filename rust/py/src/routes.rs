//! The default routes of a container.

use std::net::IpAddr;

use netyard_netlink::{self as netlink, Protocol, Socket};
use pyo3::prelude::*;

use crate::convert::borrow_fd;
use crate::errors::{Failure, Outcome};
use crate::links::index_of;

/// Makes these the default routes of a container, one a family, instead of those it had from us.
///
/// What is refused keeps no other from being made. With none left, those of others that stood aside
/// get their places back. Returns for each what has refused it, or `None`.
#[pyfunction]
pub(crate) fn set_default_routes(
    py: Python<'_>,
    namespace: i32,
    gateways: Vec<(String, IpAddr)>,
) -> PyResult<Vec<Option<Py<PyAny>>>> {
    let namespace = borrow_fd(namespace)?;
    let refusals = py.detach(|| {
        netyard_netns::inside(namespace, || replace_default_routes(&gateways))
            .map_err(Failure::from)?
    })?;
    let raised = |failure: Failure| PyErr::from(failure).into_value(py).into_any();
    Ok(refusals.into_iter().map(|each| each.map(raised)).collect())
}

fn replace_default_routes(gateways: &[(String, IpAddr)]) -> Outcome<Vec<Option<Failure>>> {
    let mut refusals: Vec<Option<Failure>> = Vec::new();
    let mut wanted: Vec<Option<(u32, IpAddr)>> = Vec::new();
    for (ifname, gateway) in gateways {
        let index = index_of(ifname);
        wanted.push(index.as_ref().ok().map(|index| (*index, *gateway)));
        refusals.push(index.err());
    }
    let mut socket = Socket::open(Protocol::Route)?;
    let (mut batch, present) = netlink::other_defaults(&mut socket, &wanted)?;
    for (at, each) in wanted.iter().enumerate() {
        let Some((index, gateway)) = each.filter(|_| !present[at]) else {
            continue;
        };
        // In one write with the first, so that there is one at any time, as near as can be.
        let batch = std::mem::take(&mut batch);
        if let Err(error) = netlink::run_with_defaults(&mut socket, batch, index, &[gateway]) {
            refusals[at] = Some(error.into());
        }
    }
    socket.run(batch)?;
    if refusals.iter().all(Option::is_some) {
        netlink::give_back_defaults(&mut socket)?;
    }
    Ok(refusals)
}
