//! Overlay networks: a bridge with a VXLAN device, the containers of other hosts behind it, and the
//! tunnel that carries it where it is encrypted.

use std::net::IpAddr;

use netyard_netlink::{self as netlink, Batch, Protocol, Socket};
use netyard_netns::Sysctls;
use pyo3::exceptions::PyValueError;
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
    link: Option<String>,
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
            link_index: spec.link.as_deref().map(index_of).transpose()?,
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
    link: Option<String>,
    removed: Vec<Remote>,
    added: Vec<Remote>,
) -> PyResult<()> {
    let removed = with_macs(removed)?;
    let added = with_macs(added)?;
    py.detach(|| -> Outcome<()> {
        let mut socket = Socket::open(Protocol::Route)?;
        let index = index_of(&ifname)?;
        let via_index = link.as_deref().map(index_of).transpose()?;
        let mut batch = Batch::new();
        for entry in &removed {
            netlink::delete_remote(&mut batch, index, &remote(entry, via_index));
        }
        // One by one: a missing entry is an error of its own and must not hide others.
        for error in socket.run_each(batch)?.into_iter().flatten() {
            if error.errno() != Some(libc::ENOENT) {
                return Err(error.into());
            }
        }
        let mut batch = Batch::new();
        for entry in &added {
            netlink::add_remote(&mut batch, index, &remote(entry, via_index));
        }
        Ok(socket.run(batch)?)
    })?;
    Ok(())
}

/// MAC addresses, each with an address.
type Pairs = Vec<(Vec<u8>, IpAddr)>;

/// What a VXLAN device knows of containers on other hosts: their hosts, and their addresses.
#[pyfunction]
pub(crate) fn list_remotes(py: Python<'_>, ifname: String) -> PyResult<(Pairs, Pairs)> {
    let known = py.detach(|| -> Outcome<netlink::Known> {
        let mut socket = Socket::open(Protocol::Route)?;
        Ok(netlink::list_remotes(&mut socket, index_of(&ifname)?)?)
    })?;
    let plain = |pairs: Vec<([u8; 6], IpAddr)>| {
        pairs
            .into_iter()
            .map(|(mac, address)| (mac.to_vec(), address))
            .collect()
    };
    Ok((plain(known.hosts), plain(known.addresses)))
}

type Entry = ([u8; 6], IpAddr, Vec<IpAddr>);

fn with_macs(remotes: Vec<Remote>) -> PyResult<Vec<Entry>> {
    let typed = remotes.into_iter();
    typed
        .map(|(bytes, host, addresses)| Ok((mac(&bytes)?, host, addresses)))
        .collect()
}

fn remote(entry: &Entry, via_index: Option<u32>) -> netlink::Remote<'_> {
    let (mac, host, addresses) = entry;
    netlink::Remote {
        mac: *mac,
        host: *host,
        via_index,
        addresses,
    }
}

/// A WireGuard device to be made: the tunnel between the hosts.
#[derive(FromPyObject)]
pub(crate) struct TunnelSpec {
    name: String,
    address: IpAddr,
    prefix: u8,
    mtu: u32,
    private_key: Vec<u8>,
    port: u16,
    sysctls: Vec<(String, String)>,
}

/// Makes the tunnel's device, or sees to it that the one there is as it should be; returns its
/// public key.
#[pyfunction]
pub(crate) fn ensure_tunnel(py: Python<'_>, spec: TunnelSpec) -> PyResult<Vec<u8>> {
    let private_key = key(&spec.private_key)?;
    let public_key = py.detach(|| -> Outcome<netlink::Key> {
        let mut socket = Socket::open(Protocol::Route)?;
        let is_new = index_of(&spec.name).is_err();
        if is_new {
            let mut batch = Batch::new();
            netlink::add_wireguard(&mut batch, &spec.name, spec.mtu);
            socket.run(batch)?;
        }
        let configured = configure_tunnel(&mut socket, &spec, &private_key);
        if configured.is_err() && is_new {
            remove(&mut socket, std::slice::from_ref(&spec.name))?;
        }
        configured
    })?;
    Ok(public_key.to_vec())
}

fn configure_tunnel(
    socket: &mut Socket,
    spec: &TunnelSpec,
    private_key: &netlink::Key,
) -> Outcome<netlink::Key> {
    let mut sysctls = Sysctls::default();
    for (name, value) in &spec.sysctls {
        sysctls.write(name, value)?;
    }
    let mut device = netlink::WireGuard::open()?;
    device.set_port(&spec.name, spec.port)?;
    device.set_key(&spec.name, private_key)?;
    let index = index_of(&spec.name)?;
    let present = netlink::list_addresses(socket)?;
    let mut batch = Batch::new();
    if !present.iter().any(|each| each.address == spec.address) {
        netlink::add_address(&mut batch, index, &spec.name, spec.address, spec.prefix);
    }
    netlink::set_link_up(&mut batch, index, &spec.name, true);
    socket.run(batch)?;
    Ok(device.public_key(&spec.name)?)
}

/// Whether the kernel has WireGuard, loading its module if need be.
#[pyfunction]
pub(crate) fn knows_wireguard(py: Python<'_>) -> PyResult<bool> {
    let known = py.detach(|| -> Outcome<bool> {
        match netlink::WireGuard::open() {
            Ok(_) => Ok(true),
            Err(error) if error.errno() == Some(libc::ENOENT) => Ok(false),
            Err(error) => Err(error.into()),
        }
    })?;
    Ok(known)
}

/// Public key, address and port between the hosts, and address in the tunnel, of another host.
type Peer = (Vec<u8>, IpAddr, u16, IpAddr);

/// Changes who is at the other ends of the tunnel.
#[pyfunction]
pub(crate) fn change_peers(
    py: Python<'_>,
    ifname: String,
    removed: Vec<Vec<u8>>,
    added: Vec<Peer>,
    keepalive_seconds: u16,
) -> PyResult<()> {
    let removed = removed
        .iter()
        .map(|bytes| key(bytes))
        .collect::<PyResult<Vec<_>>>()?;
    let added = added
        .into_iter()
        .map(|(public_key, host, port, address)| {
            Ok(netlink::Peer {
                public_key: key(&public_key)?,
                endpoint: (host, port).into(),
                address,
                keepalive_seconds,
            })
        })
        .collect::<PyResult<Vec<_>>>()?;
    py.detach(|| -> Outcome<()> {
        Ok(netlink::WireGuard::open()?.change_peers(&ifname, &removed, &added)?)
    })?;
    Ok(())
}

fn key(bytes: &[u8]) -> PyResult<netlink::Key> {
    netlink::Key::try_from(bytes)
        .map_err(|_| PyValueError::new_err(format!("a key has 32 bytes, not {}", bytes.len())))
}
