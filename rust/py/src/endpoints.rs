//! Endpoints on bridges: veth pairs born with their far ends in the containers.

use std::net::IpAddr;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use netyard_netlink::{self as netlink, Batch, Protocol, Socket};
use netyard_netns::Sysctls;
use pyo3::prelude::*;

use crate::convert::{borrow_fd, mac};
use crate::errors::Outcome;
use crate::links::{index_of, remove, run_or_undo};

/// The link watch comes round at least once a second.
const PORT_PATIENCE: Duration = Duration::from_secs(3);
const PORT_PAUSE: Duration = Duration::from_micros(200);

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
