//! Links, addresses and routes: bridges, endpoints, and what the host has.

use std::net::IpAddr;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use netyard_netlink::{self as netlink, Batch, Protocol, Socket};
use netyard_netns::Sysctls;
use pyo3::prelude::*;

use crate::convert::{borrow_fd, mac};
use crate::errors::{Failure, Outcome};
use crate::retire::is_retired;

/// The link watch comes round at least once a second.
const PORT_PATIENCE: Duration = Duration::from_secs(3);
const PORT_PAUSE: Duration = Duration::from_micros(200);

/// A bridge to be made, with its addresses and settings.
#[derive(FromPyObject)]
pub(crate) struct BridgeSpec {
    name: String,
    mac: Vec<u8>,
    mtu: Option<u32>,
    addresses: Vec<(IpAddr, u8)>,
    sysctls: Vec<(String, String)>,
}

/// An endpoint to be made: a veth pair, its far end configured.
#[derive(FromPyObject)]
pub(crate) struct EndpointSpec {
    namespace: i32,
    bridge: String,
    host_ifname: String,
    ifname: String,
    mac: Vec<u8>,
    mtu: Option<u32>,
    group: u32,
    addresses: Vec<(IpAddr, u8)>,
    /// Those of its addresses that the bridge is told of, so that nobody has to ask.
    neighbours: Vec<IpAddr>,
    gateways: Vec<IpAddr>,
    /// Somebody may know its addresses at another MAC address.
    announces: bool,
    hairpin: bool,
    sysctls: Vec<(String, String)>,
}

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

/// Says on links what they belong to, for `ip link` and for who has lost the store. Missing ones are
/// no error.
#[pyfunction]
pub(crate) fn set_aliases(py: Python<'_>, names: Vec<String>, alias: &str) -> PyResult<()> {
    py.detach(|| -> Outcome<()> {
        let mut batch = Batch::new();
        for name in &names {
            netlink::set_alias(&mut batch, name, alias);
        }
        for error in Socket::open(Protocol::Route)?
            .run_each(batch)?
            .into_iter()
            .flatten()
        {
            if error.errno() != Some(libc::ENODEV) {
                return Err(error.into());
            }
        }
        Ok(())
    })?;
    Ok(())
}

/// Makes endpoints: veth pairs born with their far ends in the containers; all or none.
#[pyfunction]
pub(crate) fn attach(py: Python<'_>, specs: Vec<EndpointSpec>) -> PyResult<()> {
    let macs = specs
        .iter()
        .map(|spec| mac(&spec.mac))
        .collect::<PyResult<Vec<_>>>()?;
    let fds = specs
        .iter()
        .map(|spec| borrow_fd(spec.namespace))
        .collect::<PyResult<Vec<_>>>()?;
    py.detach(|| {
        let mut socket = Socket::open(Protocol::Route)?;
        let names: Vec<_> = specs.iter().map(|spec| spec.host_ifname.clone()).collect();
        let batch = pairs(&specs, &macs, &fds)?;
        run_or_undo(&mut socket, batch, &names)?;
        let configured = configure_pairs(&mut socket, &specs, &macs, &fds);
        if configured.is_err() {
            remove(&mut socket, &names)?;
        }
        configured
    })?;
    Ok(())
}

/// Configures the far ends, opens the bridge for them and lets them announce themselves.
///
/// In this order: the bridge takes a port for closed or open when the kernel's link watch comes
/// round, at any moment while a pair is being made, and would swallow the announcement.
fn configure_pairs(
    socket: &mut Socket,
    specs: &[EndpointSpec],
    macs: &[[u8; 6]],
    fds: &[BorrowedFd<'_>],
) -> Outcome<()> {
    let mut announcers = configure_far_ends(specs, fds)?;
    open_ports(socket, specs)?;
    for ((announcer, spec), mac) in announcers.iter_mut().zip(specs).zip(macs) {
        if spec.announces {
            announcer.announce(&spec.ifname, *mac)?;
        }
    }
    for (announcer, spec) in announcers.iter_mut().zip(specs) {
        let addresses = spec.addresses.iter().map(|(address, _)| *address);
        netlink::await_local(&mut announcer.socket, addresses)?;
    }
    Ok(())
}

/// Opens the ports; one the link watch has just found without its far end opens when it comes
/// round again, within a few milliseconds.
fn open_ports(socket: &mut Socket, specs: &[EndpointSpec]) -> Outcome<()> {
    let mut closed: Vec<_> = specs.iter().map(|spec| spec.host_ifname.as_str()).collect();
    let patience = Instant::now() + PORT_PATIENCE;
    loop {
        let mut batch = Batch::new();
        for name in &closed {
            netlink::open_port(&mut batch, name);
        }
        let mut still_closed = Vec::new();
        for (name, outcome) in closed.iter().zip(socket.run_each(batch)?) {
            let Some(error) = outcome else { continue };
            match error.errno() {
                // A bridge with spanning tree of its own decides about its ports itself.
                Some(libc::EBUSY) => {}
                Some(libc::ENETDOWN) if Instant::now() < patience => still_closed.push(*name),
                _ => return Err(error.into()),
            }
        }
        if still_closed.is_empty() {
            return Ok(());
        }
        closed = still_closed;
        std::thread::sleep(PORT_PAUSE);
    }
}

/// The requests that are made in our own namespace.
fn pairs(specs: &[EndpointSpec], macs: &[[u8; 6]], fds: &[BorrowedFd<'_>]) -> Outcome<Batch> {
    let mut batch = Batch::new();
    let mut bridge = (String::new(), 0);
    for ((spec, mac), namespace) in specs.iter().zip(macs).zip(fds) {
        if bridge.0 != spec.bridge {
            bridge = (spec.bridge.clone(), index_of(&spec.bridge)?);
        }
        let near = netlink::NearEnd {
            name: &spec.host_ifname,
            mtu: spec.mtu,
            bridge_index: Some(bridge.1),
            group: spec.group,
        };
        let far = netlink::FarEnd {
            name: &spec.ifname,
            mac: *mac,
            mtu: spec.mtu,
            namespace: *namespace,
        };
        netlink::add_veth(&mut batch, &near, &far);
        if spec.hairpin {
            netlink::set_hairpin(&mut batch, &spec.host_ifname, true);
        }
        for address in &spec.neighbours {
            netlink::add_neighbour(&mut batch, bridge.1, *address, *mac);
        }
    }
    Ok(batch)
}

/// An interface in a container, and a socket of its namespace, which works from any thread.
struct Announcer {
    socket: Socket,
    index: u32,
}

impl Announcer {
    /// Has the kernel tell the link of its addresses (arp_notify, ndisc_notify): it does so when
    /// an interface's MAC address is set, be it to the one it has.
    fn announce(&mut self, ifname: &str, mac: [u8; 6]) -> Outcome<()> {
        let mut batch = Batch::new();
        netlink::set_mac(&mut batch, self.index, ifname, mac);
        Ok(self.socket.run(batch)?)
    }
}

/// Configures the far ends, on a thread that enters their namespaces.
fn configure_far_ends(specs: &[EndpointSpec], fds: &[BorrowedFd<'_>]) -> Outcome<Vec<Announcer>> {
    netyard_netns::inside_each(fds, |at| configure_far_end(&specs[at]))?
}

fn configure_far_end(spec: &EndpointSpec) -> Outcome<Announcer> {
    let index = index_of(&spec.ifname)?;
    let mut batch = Batch::new();
    let mut sysctls = Sysctls::default();
    let notify = format!("net.ipv4.conf.{}.arp_notify", spec.ifname.replace('.', "/"));
    for (name, value) in &spec.sysctls {
        match value.parse() {
            // With what else is sent, it is one file less to look up.
            Ok(number) if *name == notify => {
                netlink::set_arp_notify(&mut batch, index, &spec.ifname, number);
            }
            _ => sysctls.write(name, value)?,
        }
    }
    netlink::set_link_up(&mut batch, 1, "lo", true);
    // Before the addresses: coming up with them would announce them, and too early.
    netlink::set_link_up(&mut batch, index, &spec.ifname, true);
    for (address, prefix) in &spec.addresses {
        netlink::add_address(&mut batch, index, &spec.ifname, *address, *prefix);
    }
    let mut socket = Socket::open_apart(Protocol::Route)?;
    netlink::run_with_defaults(&mut socket, batch, index, &spec.gateways)?;
    Ok(Announcer { socket, index })
}

/// Deletes links by name, waiting for the kernel once for all. Missing ones are no error.
#[pyfunction]
pub(crate) fn delete_links(py: Python<'_>, names: Vec<String>) -> PyResult<()> {
    py.detach(|| remove(&mut *Socket::open(Protocol::Route)?, &names))?;
    Ok(())
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

/// Sends a batch that makes links; if part of it fails, what was made goes again.
fn run_or_undo(socket: &mut Socket, batch: Batch, names: &[String]) -> Outcome<()> {
    let outcome = socket.run_each(batch)?;
    let existed: Vec<_> = outcome
        .iter()
        .flatten()
        .filter_map(|error| match error {
            netlink::Error::Refused {
                subject,
                errno: libc::EEXIST,
                ..
            } => Some(subject.clone()),
            _ => None,
        })
        .collect();
    let Some(error) = outcome.into_iter().flatten().next() else {
        return Ok(());
    };
    // What was there before is not ours to delete.
    let made: Vec<_> = names
        .iter()
        .filter(|name| !existed.contains(name))
        .cloned()
        .collect();
    remove(socket, &made)?;
    Err(error.into())
}

/// Deletes links: one by itself, several as a group of their own.
pub(crate) fn remove(socket: &mut Socket, names: &[String]) -> Outcome<()> {
    let mut batch = Batch::new();
    match names {
        [] => return Ok(()),
        [one] => netlink::delete_link(&mut batch, one),
        many => {
            // A group nobody else uses: netyard's mark and the thread that works with it.
            let group = 0x6e79_0000 | (thread_id() & 0xffff);
            for name in many {
                netlink::set_group(&mut batch, name, group);
            }
            netlink::delete_group(&mut batch, group);
        }
    }
    let failed = socket.run_each(batch)?.into_iter().flatten();
    for error in failed {
        if error.errno() != Some(libc::ENODEV) {
            return Err(error.into());
        }
    }
    Ok(())
}

fn thread_id() -> u32 {
    rustix::thread::gettid().as_raw_nonzero().get() as u32
}

/// The index of an interface of the calling thread's namespace.
pub(crate) fn index_of(name: &str) -> Outcome<u32> {
    let bytes = std::ffi::CString::new(name)
        .map_err(|_| Failure::new("find interface", name, "the name holds a NUL"))?;
    // SAFETY: the string ends in NUL and outlives the call.
    match unsafe { libc::if_nametoindex(bytes.as_ptr()) } {
        0 => Err(Failure {
            operation: "find interface".to_string(),
            subject: name.to_string(),
            errno: Some(libc::ENODEV),
            ..Failure::default()
        }),
        index => Ok(index),
    }
}
