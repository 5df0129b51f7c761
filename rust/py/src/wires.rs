//! Cables between namespaces that stand for machines.

use std::net::IpAddr;

use netyard_netlink::{self as netlink, Batch, Protocol, Socket};
use pyo3::prelude::*;

use crate::convert::borrow_fd;
use crate::errors::Outcome;
use crate::links::index_of;

/// One end of a cable between two namespaces.
#[derive(FromPyObject)]
pub(crate) struct WireEnd {
    namespace: i32,
    ifname: String,
    addresses: Vec<(IpAddr, u8)>,
    gateways: Vec<IpAddr>,
}

/// Joins two namespaces by a veth pair with addresses and default routes: a cable between machines.
#[pyfunction]
pub(crate) fn create_wire(py: Python<'_>, near: WireEnd, far: WireEnd) -> PyResult<()> {
    let (near_fd, far_fd) = (borrow_fd(near.namespace)?, borrow_fd(far.namespace)?);
    py.detach(|| -> Outcome<()> {
        netyard_netns::inside(near_fd, || -> Outcome<()> {
            let mut batch = Batch::new();
            let near_end = netlink::NearEnd {
                name: &near.ifname,
                mtu: None,
                bridge_index: None,
                group: 0,
            };
            let mac = [2, 0, 0, 0, 0, 2];
            let far_end = netlink::FarEnd {
                name: &far.ifname,
                mac,
                mtu: None,
                namespace: far_fd,
            };
            netlink::add_veth(&mut batch, &near_end, &far_end);
            Ok(Socket::open(Protocol::Route)?.run(batch)?)
        })??;
        for (end, fd) in [(&near, near_fd), (&far, far_fd)] {
            netyard_netns::inside(fd, || configure_wire_end(end))??;
        }
        Ok(())
    })?;
    Ok(())
}

fn configure_wire_end(end: &WireEnd) -> Outcome<()> {
    let index = index_of(&end.ifname)?;
    let mut batch = Batch::new();
    netlink::set_link_up(&mut batch, 1, "lo", true);
    for (address, prefix) in &end.addresses {
        netlink::add_address(&mut batch, index, &end.ifname, *address, *prefix);
    }
    netlink::set_link_up(&mut batch, index, &end.ifname, true);
    let mut socket = Socket::open(Protocol::Route)?;
    Ok(netlink::run_with_defaults(
        &mut socket,
        batch,
        index,
        &end.gateways,
    )?)
}
