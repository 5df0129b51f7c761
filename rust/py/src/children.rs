//! Containers on a parent interface: macvlan and ipvlan children, and what they stand on.

use std::net::IpAddr;
use std::os::fd::BorrowedFd;

use netyard_netlink::{self as netlink, Batch, Protocol, Socket};
use netyard_netns::Sysctls;
use pyo3::prelude::*;

use crate::convert::{borrow_fd, mac};
use crate::errors::{Failure, Outcome};
use crate::links::{index_of, remove};

/// A child to be made and configured.
#[derive(FromPyObject)]
pub(crate) struct ChildSpec {
    /// Where it is to be; `None` for the host's own.
    namespace: Option<i32>,
    parent: String,
    ifname: String,
    kind: String,
    mode: String,
    flag: String,
    mac: Option<Vec<u8>>,
    mtu: Option<u32>,
    /// By which it is found again, whatever it is called by then.
    group: u32,
    addresses: Vec<(IpAddr, u8)>,
    gateways: Vec<IpAddr>,
    /// Further destinations on its link.
    routes: Vec<(IpAddr, u8)>,
    sysctls: Vec<(String, String)>,
}

/// Makes an 802.1Q subinterface, up.
#[pyfunction]
pub(crate) fn create_vlan(
    py: Python<'_>,
    name: String,
    base: String,
    id: u16,
    sysctls: Vec<(String, String)>,
) -> PyResult<()> {
    py.detach(|| -> Outcome<()> {
        let mut batch = Batch::new();
        netlink::add_vlan(&mut batch, &name, index_of(&base)?, id);
        create_parent(batch, &name, &sysctls)
    })?;
    Ok(())
}

/// Makes a dummy interface, up.
#[pyfunction]
pub(crate) fn create_dummy(
    py: Python<'_>,
    name: String,
    sysctls: Vec<(String, String)>,
) -> PyResult<()> {
    py.detach(|| -> Outcome<()> {
        let mut batch = Batch::new();
        netlink::add_dummy(&mut batch, &name);
        create_parent(batch, &name, &sysctls)
    })?;
    Ok(())
}

fn create_parent(batch: Batch, name: &str, sysctls: &[(String, String)]) -> Outcome<()> {
    let mut socket = Socket::open(Protocol::Route)?;
    socket.run(batch)?;
    let configured = raise_link(&mut socket, name, sysctls);
    if configured.is_err() {
        remove(&mut socket, &[name.to_string()])?;
    }
    configured
}

fn raise_link(socket: &mut Socket, name: &str, sysctls: &[(String, String)]) -> Outcome<()> {
    let mut tree = Sysctls::default();
    for (setting, value) in sysctls {
        tree.write(setting, value)?;
    }
    let mut batch = Batch::new();
    netlink::set_link_up(&mut batch, index_of(name)?, name, true);
    Ok(socket.run(batch)?)
}

/// Makes a child in the host's own namespace, by which it reaches the others.
#[pyfunction]
pub(crate) fn create_shim(py: Python<'_>, spec: ChildSpec) -> PyResult<()> {
    let address = spec.mac.as_deref().map(mac).transpose()?;
    py.detach(|| -> Outcome<()> {
        let mut socket = Socket::open(Protocol::Route)?;
        socket.run(children(&[&spec], &[address], &[None])?)?;
        let configured = configure(&spec);
        if configured.is_err() {
            remove(&mut socket, std::slice::from_ref(&spec.ifname))?;
        }
        configured
    })?;
    Ok(())
}

/// Makes children, born and configured in their containers; all or none.
#[pyfunction]
pub(crate) fn attach_children(py: Python<'_>, specs: Vec<ChildSpec>) -> PyResult<()> {
    let macs = specs
        .iter()
        .map(|spec| spec.mac.as_deref().map(mac).transpose())
        .collect::<PyResult<Vec<_>>>()?;
    let fds = specs
        .iter()
        .map(|spec| spec.namespace.map(borrow_fd).transpose())
        .collect::<PyResult<Vec<_>>>()?;
    py.detach(|| -> Outcome<()> {
        let specs: Vec<_> = specs.iter().collect();
        let batch = children(&specs, &macs, &fds)?;
        let outcome = Socket::open(Protocol::Route)?.run_each(batch)?;
        let mut made = Vec::new();
        let mut failure: Option<Failure> = None;
        for ((spec, fd), error) in specs.iter().zip(&fds).zip(outcome) {
            match error {
                Some(error) => failure = failure.or(Some(error.into())),
                None => made.extend(fd.map(|fd| (*spec, fd))),
            }
        }
        for (spec, fd) in &made {
            if failure.is_none() {
                failure = netyard_netns::inside(*fd, || configure(spec))?.err();
            }
        }
        let Some(failure) = failure else {
            return Ok(());
        };
        for (spec, fd) in made {
            netyard_netns::inside(fd, || ask_of_group(spec.group, netlink::delete_group))??;
        }
        Err(failure)
    })?;
    Ok(())
}

impl ChildSpec {
    /// What it is called until it is configured.
    ///
    /// Before 6.14 the kernel refuses a name that an interface of our own namespace has, wherever
    /// the new one is to be.
    fn first_name(&self) -> String {
        match self.namespace {
            Some(_) => format!("ny-{:08x}", self.group),
            None => self.ifname.clone(),
        }
    }
}

/// The requests that make children; their parents are in our own namespace.
fn children(
    specs: &[&ChildSpec],
    macs: &[Option<[u8; 6]>],
    fds: &[Option<BorrowedFd<'_>>],
) -> Outcome<Batch> {
    let mut batch = Batch::new();
    for ((spec, mac), namespace) in specs.iter().zip(macs).zip(fds) {
        let child = netlink::ChildSpec {
            name: &spec.first_name(),
            kind: &spec.kind,
            mode: &spec.mode,
            flag: &spec.flag,
            parent_index: index_of(&spec.parent)?,
            mac: *mac,
            mtu: spec.mtu,
            group: spec.group,
            namespace: *namespace,
        };
        netlink::add_child(&mut batch, &child);
    }
    Ok(batch)
}

/// Configures a child of the calling thread's namespace.
fn configure(spec: &ChildSpec) -> Outcome<()> {
    let mut socket = Socket::open(Protocol::Route)?;
    let index = index_of(&spec.first_name())?;
    if spec.first_name() != spec.ifname {
        let mut batch = Batch::new();
        netlink::rename_link(&mut batch, index, &spec.ifname);
        socket.run(batch)?;
    }
    let mut sysctls = Sysctls::default();
    for (name, value) in &spec.sysctls {
        sysctls.write(name, value)?;
    }
    let mut batch = Batch::new();
    netlink::set_link_up(&mut batch, 1, "lo", true);
    for (address, prefix) in &spec.addresses {
        netlink::add_address(&mut batch, index, &spec.ifname, *address, *prefix);
    }
    // Up after the addresses: coming up is what announces them (arp_notify, ndisc_notify). The
    // wire is there already, so nothing is lost as on a bridge.
    netlink::set_link_up(&mut batch, index, &spec.ifname, true);
    for (destination, prefix) in &spec.routes {
        netlink::add_link_route(&mut batch, index, *destination, *prefix);
    }
    netlink::run_with_defaults(&mut socket, batch, index, &spec.gateways)?;
    let addresses = spec.addresses.iter().map(|(address, _)| *address);
    Ok(netlink::await_local(&mut socket, addresses)?)
}

/// Deletes children by namespace and group. Missing ones are no error.
#[pyfunction]
pub(crate) fn detach_children(py: Python<'_>, children: Vec<(i32, u32)>) -> PyResult<()> {
    for_each_group(py, children, netlink::delete_group)
}

/// Sets children down, by namespace and group: nobody is reached by them. Missing ones are no error.
#[pyfunction]
pub(crate) fn silence_children(py: Python<'_>, children: Vec<(i32, u32)>) -> PyResult<()> {
    for_each_group(py, children, netlink::set_group_down)
}

fn for_each_group(
    py: Python<'_>,
    children: Vec<(i32, u32)>,
    request: fn(&mut Batch, u32),
) -> PyResult<()> {
    let children = children
        .into_iter()
        .map(|(fd, group)| Ok((borrow_fd(fd)?, group)))
        .collect::<PyResult<Vec<_>>>()?;
    py.detach(|| -> Outcome<()> {
        for (namespace, group) in children {
            netyard_netns::inside(namespace, || ask_of_group(group, request))??;
        }
        Ok(())
    })?;
    Ok(())
}

fn ask_of_group(group: u32, request: fn(&mut Batch, u32)) -> Outcome<()> {
    let mut batch = Batch::new();
    request(&mut batch, group);
    let failed = Socket::open(Protocol::Route)?.run_each(batch)?;
    match failed.into_iter().flatten().next() {
        Some(error) if error.errno() != Some(libc::ENODEV) => Err(error.into()),
        _ => Ok(()),
    }
}

/// Routes single addresses by an interface of the host, or no longer. Missing routes are no error.
#[pyfunction]
pub(crate) fn set_host_routes(
    py: Python<'_>,
    ifname: String,
    addresses: Vec<IpAddr>,
    present: bool,
) -> PyResult<()> {
    py.detach(|| -> Outcome<()> {
        let index = index_of(&ifname)?;
        let mut batch = Batch::new();
        for address in &addresses {
            let prefix = if address.is_ipv6() { 128 } else { 32 };
            if present {
                netlink::add_link_route(&mut batch, index, *address, prefix);
            } else {
                netlink::delete_link_route(&mut batch, index, *address, prefix);
            }
        }
        for error in Socket::open(Protocol::Route)?
            .run_each(batch)?
            .into_iter()
            .flatten()
        {
            if present || error.errno() != Some(libc::ESRCH) {
                return Err(error.into());
            }
        }
        Ok(())
    })?;
    Ok(())
}

/// Takes addresses from an interface of a container and gives it others. With a MAC address, be it
/// the one it has, they are announced.
#[pyfunction]
pub(crate) fn change_addresses(
    py: Python<'_>,
    namespace: i32,
    ifname: String,
    removed: Vec<(IpAddr, u8)>,
    added: Vec<(IpAddr, u8)>,
    announced_as: Option<Vec<u8>>,
) -> PyResult<()> {
    let namespace = borrow_fd(namespace)?;
    let announced_as = announced_as.as_deref().map(mac).transpose()?;
    py.detach(|| -> Outcome<()> {
        netyard_netns::inside(namespace, || -> Outcome<()> {
            let index = index_of(&ifname)?;
            let mut batch = Batch::new();
            for (address, prefix) in &removed {
                netlink::delete_address(&mut batch, index, &ifname, *address, *prefix);
            }
            for (address, prefix) in &added {
                netlink::add_address(&mut batch, index, &ifname, *address, *prefix);
            }
            // Setting the MAC address it has makes the kernel announce addresses (arp_notify).
            if let Some(mac) = announced_as {
                netlink::set_mac(&mut batch, index, &ifname, mac);
            }
            Ok(Socket::open(Protocol::Route)?.run(batch)?)
        })?
    })?;
    Ok(())
}

/// Whether the kernel has a driver of this kind, such as ``ipvlan``.
#[pyfunction]
pub(crate) fn knows_link_kind(py: Python<'_>, kind: String) -> PyResult<bool> {
    let known = py.detach(|| -> Outcome<bool> {
        let mut socket = Socket::open(Protocol::Route)?;
        Ok(netlink::knows_kind(&mut socket, &kind)?)
    })?;
    Ok(known)
}
