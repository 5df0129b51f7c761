//! DHCP clients in containers' namespaces.

use std::net::IpAddr;
use std::os::fd::AsRawFd;

use netyard_dhcp::{ClientSpec, Clients, Event, Last};
use netyard_netlink::{self as netlink, Protocol, Socket};
use pyo3::prelude::*;

use crate::convert::{borrow_fd, ipv4};
use crate::errors::{Failure, Outcome};

/// A lease: address, prefix length, gateway, server, seconds it is for.
type Lease = (IpAddr, u8, Option<IpAddr>, IpAddr, u32);

/// The clients; with the object they end, their leases kept.
#[pyclass(frozen, module = "netyard._core")]
pub(crate) struct DhcpClients {
    clients: Clients,
}

#[pymethods]
impl DhcpClients {
    #[new]
    fn new() -> PyResult<Self> {
        let clients = Clients::new().map_err(Failure::from)?;
        Ok(DhcpClients { clients })
    }

    /// Has a client hold a lease for the interface of this link group.
    fn hold(
        &self,
        py: Python<'_>,
        id: &str,
        namespace: i32,
        group: u32,
        host_name: String,
        last: Option<(IpAddr, IpAddr, u32)>,
    ) -> PyResult<()> {
        let fd = borrow_fd(namespace)?;
        let last = last
            .map(|(address, server, seconds)| {
                let (address, server) = (ipv4(address)?, ipv4(server)?);
                PyResult::Ok(Last {
                    address,
                    server,
                    seconds,
                })
            })
            .transpose()?;
        py.detach(|| -> Outcome<()> {
            let links = netyard_netns::inside(fd, || -> Outcome<_> {
                Ok(netlink::list_links(&mut *Socket::open(Protocol::Route)?)?)
            })??;
            let link = links.into_iter().find(|link| link.group == group);
            let missing = || Failure::new("find interface", id, "it is not in its namespace");
            let link = link.ok_or_else(missing)?;
            let mac = <[u8; 6]>::try_from(link.mac.as_slice());
            let spec = ClientSpec {
                namespace: fd.try_clone_to_owned().map_err(netyard_dhcp::Error::from)?,
                index: link.index,
                mac: mac.map_err(|_| Failure::new("read MAC address of", &link.name, "none"))?,
                ifname: link.name,
                host_name,
                last,
            };
            Ok(self.clients.hold(id, spec)?)
        })?;
        Ok(())
    }

    /// Gives a lease back and ends its client; whether there was one.
    fn release(&self, py: Python<'_>, id: &str) -> bool {
        py.detach(|| self.clients.release(id))
    }

    fn count(&self) -> usize {
        self.clients.count()
    }

    /// Readable while there are events.
    fn fileno(&self) -> i32 {
        self.clients.wake().as_raw_fd()
    }

    /// By client, its new lease, or none and why.
    fn take_events(&self) -> Vec<(String, Option<Lease>, String)> {
        let events = self.clients.take_events().into_iter();
        events
            .map(|(id, event)| match event {
                Event::Bound(lease) => {
                    let gateway = lease.gateway.map(IpAddr::from);
                    let (address, server) = (lease.address.into(), lease.server.into());
                    let lease = (address, lease.prefix, gateway, server, lease.seconds);
                    (id, Some(lease), String::new())
                }
                Event::Lost => (id, None, String::new()),
                Event::Failed(why) => (id, None, why),
            })
            .collect()
    }
}
