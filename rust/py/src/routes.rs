//! The default routes of a container.

use std::net::IpAddr;

use netyard_netlink::{self as netlink, Protocol, Socket};
use pyo3::prelude::*;

use crate::convert::borrow_fd;
use crate::errors::{Failure, Outcome};
use crate::links::index_of;

/// Makes these the default routes of a container, one a family, instead of those it had from us.
///
/// With none, those of others that stood aside get their places back.
#[pyfunction]
pub(crate) fn set_default_routes(
    py: Python<'_>,
    namespace: i32,
    gateways: Vec<(String, IpAddr)>,
) -> PyResult<()> {
    let namespace = borrow_fd(namespace)?;
    py.detach(|| {
        netyard_netns::inside(namespace, || replace_default_routes(&gateways))
            .map_err(Failure::from)?
    })?;
    Ok(())
}

fn replace_default_routes(gateways: &[(String, IpAddr)]) -> Outcome<()> {
    let mut socket = Socket::open(Protocol::Route)?;
    let mut batch = netlink::without_defaults(&mut socket)?;
    for (ifname, gateway) in gateways {
        // In one write with the first, so that there is one at any time, as near as can be.
        let batch = std::mem::take(&mut batch);
        netlink::run_with_defaults(&mut socket, batch, index_of(ifname)?, &[*gateway])?;
    }
    socket.run(batch)?;
    if gateways.is_empty() {
        netlink::give_back_defaults(&mut socket)?;
    }
    Ok(())
}
