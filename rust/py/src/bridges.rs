//! Bridges, and the ports that are put back into them.

use std::net::IpAddr;

use netyard_netlink::{self as netlink, Batch, Protocol, Socket};
use netyard_netns::Sysctls;
use pyo3::prelude::*;

use crate::convert::mac;
use crate::errors::Outcome;
use crate::links::{index_of, remove, run_or_undo};

/// A bridge to be made, with its addresses and settings.
#[derive(FromPyObject)]
pub(crate) struct BridgeSpec {
    name: String,
    mac: Vec<u8>,
    mtu: Option<u32>,
    addresses: Vec<(IpAddr, u8)>,
    sysctls: Vec<(String, String)>,
}

/// Makes bridges, with addresses and settings; all or none.
#[pyfunction]
pub(crate) fn create_bridges(py: Python<'_>, specs: Vec<BridgeSpec>) -> PyResult<()> {
    let macs = specs
        .iter()
        .map(|spec| mac(&spec.mac))
        .collect::<PyResult<Vec<_>>>()?;
    py.detach(|| {
        let mut socket = Socket::open(Protocol::Route)?;
        let mut batch = Batch::new();
        for (spec, mac) in specs.iter().zip(macs) {
            let bridge = netlink::BridgeSpec {
                name: &spec.name,
                mac,
                mtu: spec.mtu,
            };
            netlink::add_bridge(&mut batch, &bridge);
        }
        let names: Vec<_> = specs.iter().map(|spec| spec.name.clone()).collect();
        run_or_undo(&mut socket, batch, &names)?;
        let configured = configure_bridges(&mut socket, &specs);
        if configured.is_err() {
            remove(&mut socket, &names)?;
        }
        configured
    })?;
    Ok(())
}

fn configure_bridges(socket: &mut Socket, specs: &[BridgeSpec]) -> Outcome<()> {
    let mut batch = Batch::new();
    let mut sysctls = Sysctls::default();
    for spec in specs {
        for (name, value) in &spec.sysctls {
            sysctls.write(name, value)?;
        }
        let index = index_of(&spec.name)?;
        for (address, prefix) in &spec.addresses {
            netlink::add_address(&mut batch, index, &spec.name, *address, *prefix);
        }
    }
    Ok(socket.run(batch)?)
}

/// Puts existing links back into a bridge, up: what `reload` finds after the bridge was deleted.
#[pyfunction]
pub(crate) fn restore_ports(py: Python<'_>, ports: Vec<(String, String, bool)>) -> PyResult<()> {
    py.detach(|| -> Outcome<()> {
        let mut batch = Batch::new();
        for (name, bridge, hairpin) in &ports {
            netlink::set_state(&mut batch, name, Some(index_of(bridge)?));
            netlink::set_hairpin(&mut batch, name, *hairpin);
        }
        Ok(Socket::open(Protocol::Route)?.run(batch)?)
    })?;
    Ok(())
}
