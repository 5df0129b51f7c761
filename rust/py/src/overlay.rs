//! Overlay networks: a bridge with a VXLAN device, and the containers of other hosts behind it.

use std::net::IpAddr;

use netyard_netlink::{self as netlink, Batch, Protocol, Socket};
use pyo3::prelude::*;

use crate::convert::mac;
use crate::errors::Outcome;
use crate::links::{index_of, remove};

/// A VXLAN device to be made, a port of a bridge.
#[derive(FromPyObject)]
pub(crate) struct VxlanSpec {
    name: String,
    bridge: String,
    vni: u32,
    port: u16,
    local: IpAddr,
    mtu: u32,
}

/// MAC, host and addresses of a container on another host.
type Remote = (Vec<u8>, IpAddr, Vec<IpAddr>);

/// Makes a VXLAN device; it is gone again if it cannot be made whole.
#[pyfunction]
pub(crate) fn create_vxlan(py: Python<'_>, spec: VxlanSpec) -> PyResult<()> {
    py.detach(|| -> Outcome<()> {
        let mut socket = Socket::open(Protocol::Route)?;
        let mut batch = Batch::new();
        let device = netlink::VxlanSpec {
            name: &spec.name,
            vni: spec.vni,
            port: spec.port,
            local: spec.local,
            mtu: spec.mtu,
            bridge_index: index_of(&spec.bridge)?,
        };
        netlink::add_vxlan(&mut batch, &device);
        let refused = socket.run_each(batch)?;
        let is_made = refused.first().is_some_and(Option::is_none);
        let Some(error) = refused.into_iter().flatten().next() else {
            return Ok(());
        };
        if is_made {
            remove(&mut socket, std::slice::from_ref(&spec.name))?;
        }
        Err(error.into())
    })?;
    Ok(())
}

/// Tells a VXLAN device of containers on other hosts, and takes others away. What is gone already
/// is no error.
#[pyfunction]
pub(crate) fn change_remotes(
    py: Python<'_>,
    ifname: String,
    removed: Vec<Remote>,
    added: Vec<Remote>,
) -> PyResult<()> {
    let removed = with_macs(removed)?;
    let added = with_macs(added)?;
    py.detach(|| -> Outcome<()> {
        let mut socket = Socket::open(Protocol::Route)?;
        let index = index_of(&ifname)?;
        let mut batch = Batch::new();
        for (mac, host, addresses) in &removed {
            netlink::delete_remote(&mut batch, index, &remote(*mac, *host, addresses));
        }
        // One by one: a missing entry is an error of its own and must not hide others.
        for error in socket.run_each(batch)?.into_iter().flatten() {
            if error.errno() != Some(libc::ENOENT) {
                return Err(error.into());
            }
        }
        let mut batch = Batch::new();
        for (mac, host, addresses) in &added {
            netlink::add_remote(&mut batch, index, &remote(*mac, *host, addresses));
        }
        Ok(socket.run(batch)?)
    })?;
    Ok(())
}

type Entry = ([u8; 6], IpAddr, Vec<IpAddr>);

fn with_macs(remotes: Vec<Remote>) -> PyResult<Vec<Entry>> {
    let typed = remotes.into_iter();
    typed
        .map(|(bytes, host, addresses)| Ok((mac(&bytes)?, host, addresses)))
        .collect()
}

fn remote(mac: [u8; 6], host: IpAddr, addresses: &[IpAddr]) -> netlink::Remote<'_> {
    netlink::Remote {
        mac,
        host,
        addresses,
    }
}
