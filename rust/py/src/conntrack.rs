//! Connections that are forgotten when their server is gone.

use std::net::IpAddr;

use netyard_netlink::{self as netlink, Protocol, Socket};
use pyo3::prelude::*;

use crate::errors::Outcome;

/// A server's address; protocol, first and last port, if not all of it.
type Flow = (IpAddr, Option<(u8, u16, u16)>);

/// Forgets connections whose server is one of these, after translation; how many there were.
#[pyfunction]
pub(crate) fn flush_flows(py: Python<'_>, flows: Vec<Flow>) -> PyResult<usize> {
    let wanted: Vec<_> = flows
        .into_iter()
        .map(|(address, ports)| netlink::FlowMatch { address, ports })
        .collect();
    let count = py.detach(|| -> Outcome<usize> {
        let mut socket = Socket::open(Protocol::Netfilter)?;
        Ok(netlink::flush_conntrack(&mut socket, &wanted)?)
    })?;
    Ok(count)
}
