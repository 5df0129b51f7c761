//! The name server, and its door in each container's namespace.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard};

use netyard_dns::{EndpointNames, Listener, Server, Upstreams, Zone};
use netyard_nft::{Chain, Family, Field, Hook, Op, Rule, Statement, Transaction, Verdict};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use rustix::net::{sockopt, AddressFamily, SocketFlags, SocketType};

use crate::convert::{borrow_fd, ipv4};
use crate::errors::{Failure, Outcome};

/// The table in a container's namespace: netyard's own, so that the container's are not touched.
const TABLE: &str = "netyard-dns";

/// A container to serve.
#[derive(FromPyObject)]
struct ListenerSpec {
    container: String,
    namespace: i32,
    address: IpAddr,
    view: ViewSpec,
}

/// What a container may see.
#[derive(FromPyObject)]
struct ViewSpec {
    networks: Vec<String>,
    /// `None`: nobody is asked; empty: the host's servers.
    upstreams: Option<Vec<Upstream>>,
    keeps_single_labels: bool,
    ttl_seconds: u32,
    /// Names only this container knows: network, alias, what it is called there.
    links: Vec<(String, String, String)>,
}

/// A server: address, zone (an interface name) or empty, port.
type Upstream = (IpAddr, String, u16);

/// Names of one endpoint: id, names, addresses.
type NamesSpec = (String, Vec<String>, Vec<IpAddr>);

/// The name server; its threads run until `stop`.
#[pyclass(frozen, module = "netyard._core")]
pub(crate) struct NameServer {
    server: Mutex<Option<Server>>,
}

#[pymethods]
impl NameServer {
    #[new]
    fn new(threads: usize) -> PyResult<Self> {
        let server = Server::start(threads).map_err(Failure::from)?;
        Ok(NameServer {
            server: Mutex::new(Some(server)),
        })
    }

    fn set_host_upstreams(&self, servers: Vec<Upstream>) -> PyResult<()> {
        self.with(|server| {
            server.set_host_upstreams(servers.into_iter().filter_map(resolve_upstream).collect());
            Ok(())
        })
    }

    fn add_zone(&self, id: &str, network: &str, subnets: Vec<(IpAddr, u8)>) -> PyResult<()> {
        let zone = Zone::new(network, subnets).map_err(Failure::from)?;
        self.with(|server| {
            server.add_zone(id, zone);
            Ok(())
        })
    }

    fn remove_zone(&self, id: &str) -> PyResult<()> {
        self.with(|server| {
            server.remove_zone(id);
            Ok(())
        })
    }

    fn update_zone(&self, id: &str, removed: Vec<String>, added: Vec<NamesSpec>) -> PyResult<()> {
        let added = added
            .into_iter()
            .map(|(id, names, addresses)| EndpointNames {
                id,
                names,
                addresses,
            })
            .collect();
        self.with(|server| {
            server
                .update_zone(id, &removed, added)
                .map_err(Failure::from)
        })
    }

    /// Opens a door in each container's namespace and serves it.
    fn listen(&self, py: Python<'_>, specs: Vec<ListenerSpec>) -> PyResult<()> {
        let fds = specs
            .iter()
            .map(|spec| borrow_fd(spec.namespace))
            .collect::<PyResult<Vec<_>>>()?;
        let addresses = specs
            .iter()
            .map(|spec| ipv4(spec.address))
            .collect::<PyResult<Vec<_>>>()?;
        py.detach(|| {
            self.with(|server| {
                for ((spec, fd), address) in specs.into_iter().zip(fds).zip(addresses) {
                    let listener = open_door(fd, address)?;
                    server.listen(&spec.container, listener, make_view(server, spec.view));
                }
                Ok(())
            })
        })
    }

    fn set_view(&self, container: &str, view: ViewSpec) -> PyResult<bool> {
        self.with(|server| Ok(server.set_view(container, make_view(server, view))))
    }

    /// Containers whose sockets have been destroyed since the last time.
    fn take_broken(&self) -> PyResult<Vec<String>> {
        self.with(|server| Ok(server.take_broken()))
    }

    fn unlisten(&self, container: &str) -> PyResult<()> {
        self.with(|server| {
            server.unlisten(container);
            Ok(())
        })
    }

    fn listeners(&self) -> PyResult<Vec<String>> {
        self.with(|server| Ok(server.listeners()))
    }

    /// Counters since the start: local, forwarded, cached, failed, dropped.
    fn stats(&self) -> PyResult<(u64, u64, u64, u64, u64)> {
        self.with(|server| {
            let stats = server.stats();
            Ok((
                stats.local,
                stats.forwarded,
                stats.cached,
                stats.failed,
                stats.dropped,
            ))
        })
    }

    fn stop(&self, py: Python<'_>) {
        let server = self.locked().take();
        py.detach(|| drop(server));
    }
}

impl NameServer {
    fn locked(&self) -> MutexGuard<'_, Option<Server>> {
        self.server
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn with<T>(&self, job: impl FnOnce(&Server) -> Outcome<T>) -> PyResult<T> {
        // The failure becomes an exception only after the lock is open again: making one needs the
        // interpreter, which a thread that waits for this lock may hold.
        let outcome = self.locked().as_ref().map(job);
        match outcome {
            Some(outcome) => Ok(outcome?),
            None => Err(PyRuntimeError::new_err("the name server was stopped")),
        }
    }
}

fn make_view(server: &Server, spec: ViewSpec) -> netyard_dns::View {
    let upstreams = match spec.upstreams {
        None => Upstreams::Nobody,
        Some(servers) if servers.is_empty() => Upstreams::Host,
        Some(servers) => Upstreams::Own(servers.into_iter().filter_map(resolve_upstream).collect()),
    };
    server.view(
        &spec.networks,
        upstreams,
        spec.keeps_single_labels,
        spec.ttl_seconds,
        &spec.links,
    )
}

/// A server's socket address; `None` if its zone is no interface of this namespace.
fn resolve_upstream((address, zone, port): Upstream) -> Option<SocketAddr> {
    Some(match address {
        IpAddr::V4(v4) => SocketAddrV4::new(v4, port).into(),
        IpAddr::V6(v6) => {
            let scope = match zone.as_str() {
                "" => 0,
                name => zone_index(name)?,
            };
            SocketAddrV6::new(v6, port, 0, scope).into()
        }
    })
}

fn zone_index(name: &str) -> Option<u32> {
    let name = std::ffi::CString::new(name).ok()?;
    // SAFETY: the string ends in NUL and outlives the call.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    (index != 0).then_some(index)
}

/// Opens the server's sockets inside a namespace and sends port 53 of `address` to them.
///
/// They are bound to random ports, so that port 53 stays free for the container's own use
/// (contract DN3).
fn open_door(namespace: BorrowedFd<'_>, address: Ipv4Addr) -> Outcome<Listener> {
    let keep = namespace
        .as_fd()
        .try_clone_to_owned()
        .map_err(|error| Failure::system("keep namespace", "", error.raw_os_error()))?;
    let (udp, tcp) = netyard_netns::inside(namespace, || -> Outcome<_> {
        let (udp, udp_port) = bind(address, SocketType::DGRAM)?;
        let (tcp, tcp_port) = bind(address, SocketType::STREAM)?;
        rustix::net::listen(&tcp, 128).map_err(|errno| failed("listen", errno))?;
        redirect(address, udp_port, tcp_port)?;
        Ok((udp, tcp))
    })??;
    Ok(Listener {
        udp: Arc::new(udp),
        tcp: Arc::new(tcp),
        namespace: keep,
    })
}

fn bind(address: Ipv4Addr, kind: SocketType) -> Outcome<(OwnedFd, u16)> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::INET, kind, flags, None)
        .map_err(|errno| failed("open socket", errno))?;
    let _ = sockopt::set_socket_recv_buffer_size_force(&socket, 1 << 20);
    // On the loopback nothing is fragmented, so that the kernel need not number each answer.
    let _ = sockopt::set_ip_mtu_discover(&socket, sockopt::Ipv4PathMtuDiscovery::DO);
    rustix::net::bind(&socket, &SocketAddrV4::new(address, 0))
        .map_err(|errno| failed("bind name server", errno))?;
    let bound =
        rustix::net::getsockname(&socket).map_err(|errno| failed("bind name server", errno))?;
    let bound = SocketAddrV4::try_from(bound).map_err(|errno| failed("bind name server", errno))?;
    Ok((socket, bound.port()))
}

fn failed(operation: &str, errno: rustix::io::Errno) -> Failure {
    Failure::system(operation, "", Some(errno.raw_os_error()))
}

/// Fills the table of the calling thread's namespace, in place of what was in it.
///
/// Ports are rewritten in each packet, without connection tracking: that of NAT would cost every
/// packet of the container, not only its questions. Where the container itself tracks connections,
/// they are with port 53: questions are rewritten after that and after its own NAT, answers before.
///
/// Chains are flushed, not deleted: taking a hook away makes the kernel wait for all CPUs.
fn redirect(address: Ipv4Addr, udp_port: u16, tcp_port: u16) -> Outcome<()> {
    const AFTER_NAT: i32 = -90;
    const BEFORE_TRACKING: i32 = -300;
    let (asked, answered) = ("asked", "answered");
    let mut ops = vec![Op::AddTable];
    for (name, priority) in [(asked, AFTER_NAT), (answered, BEFORE_TRACKING)] {
        ops.push(Op::AddChain(Chain {
            name: name.to_string(),
            kind: "filter".to_string(),
            hook: Hook::Output,
            priority,
        }));
        ops.push(Op::FlushChain(name.to_string()));
    }
    for (chain, field) in [(asked, Field::Ip4Destination), (answered, Field::Ip4Source)] {
        let elsewhere = Statement::Ip4Within {
            field,
            address,
            prefix: 32,
            negate: true,
        };
        ops.push(rule(
            chain,
            vec![elsewhere, Statement::Verdict(Verdict::Accept)],
        ));
    }
    for (protocol, port) in [(UDP, udp_port), (TCP, tcp_port)] {
        let (to, from) = (Field::DestinationPort, Field::SourcePort);
        ops.push(rule(asked, port_rewrite(protocol, to, DNS_PORT, port)));
        ops.push(rule(answered, port_rewrite(protocol, from, port, DNS_PORT)));
    }
    ops.push(rule(answered, unreachable_rewrite(address, udp_port)));
    Ok(Transaction::apply_all(&[Transaction::new(
        Family::Ip,
        TABLE,
        ops,
    )])?)
}

const DNS_PORT: u16 = 53;
const TCP: u8 = 6;
const UDP: u8 = 17;

fn rule(chain: &str, statements: Vec<Statement>) -> Op {
    Op::AddRule(Rule {
        chain: chain.to_string(),
        statements,
        comment: Some("netyard's name server".to_string()),
    })
}

/// Another port in place of one.
fn port_rewrite(protocol: u8, field: Field, from: u16, to: u16) -> Vec<Statement> {
    vec![
        Statement::ProtocolIs(protocol),
        Statement::PortIs { field, port: from },
        Statement::SetTransport {
            offset: if field == Field::SourcePort { 0 } else { 2 },
            value: to.to_be_bytes().to_vec(),
            checksum: if protocol == TCP { 16 } else { 6 },
        },
        Statement::Verdict(Verdict::Accept),
    ]
}

/// The port in "destination unreachable", which quotes the question (RFC 792): a client whose
/// server has ended learns it at once only if it is the port that it asked.
fn unreachable_rewrite(address: Ipv4Addr, port: u16) -> Vec<Statement> {
    const ICMP: u8 = 1;
    const UNREACHABLE: u8 = 3;
    const PLAIN_HEADER: u8 = 0x45;
    const QUOTED: u32 = 8;
    let is = |offset, value: &[u8]| Statement::TransportIs {
        offset,
        value: value.to_vec(),
    };
    let port_at = QUOTED + 20 + 2;
    vec![
        Statement::ProtocolIs(ICMP),
        is(0, &[UNREACHABLE]),
        is(QUOTED, &[PLAIN_HEADER]),
        is(QUOTED + 9, &[UDP]),
        is(QUOTED + 16, &address.octets()),
        is(port_at, &port.to_be_bytes()),
        Statement::SetTransport {
            offset: port_at,
            value: DNS_PORT.to_be_bytes().to_vec(),
            checksum: 2,
        },
    ]
}

/// Takes the door out of a namespace that goes on without netyard.
#[pyfunction]
pub(crate) fn remove_dns_redirect(py: Python<'_>, namespace: i32) -> PyResult<()> {
    let fd = borrow_fd(namespace)?;
    let job = || -> Outcome<()> {
        let ops = vec![Op::AddTable, Op::DeleteTable];
        Ok(Transaction::apply_all(&[Transaction::new(
            Family::Ip,
            TABLE,
            ops,
        )])?)
    };
    py.detach(|| netyard_netns::inside(fd, job).map_err(Failure::from)?)?;
    Ok(())
}
