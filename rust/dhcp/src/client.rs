//! One client: the thread that holds the lease of one interface.

use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::time::Duration;

use mozim::{DhcpV4Client, DhcpV4Config, DhcpV4Lease, DhcpV4State};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::Result;

/// How long to wait after a client has failed, before it begins anew.
const PAUSE: Duration = Duration::from_secs(2);
/// How long a release may take: it is one packet, and its server's address may have to be found.
const RELEASE_PATIENCE: Duration = Duration::from_secs(2);

/// An interface that is to have a lease.
pub struct ClientSpec {
    pub namespace: OwnedFd,
    pub ifname: String,
    pub index: u32,
    pub mac: [u8; 6],
    /// What the server may call the container.
    pub host_name: String,
    pub last: Option<Last>,
}

/// A lease it had, which it asks for again (INIT-REBOOT, RFC 2131 3.2).
pub struct Last {
    pub address: Ipv4Addr,
    pub server: Ipv4Addr,
    pub seconds: u32,
}

/// What a server granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    pub address: Ipv4Addr,
    pub prefix: u8,
    pub gateway: Option<Ipv4Addr>,
    pub server: Ipv4Addr,
    pub seconds: u32,
}

/// What became of a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Granted, or granted again with something changed.
    Bound(Lease),
    /// It has run out and nobody renewed it: the address is no longer to be used.
    Lost,
    /// The client begins anew.
    Failed(String),
}

/// How a client is told to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Give the lease back first.
    Release,
    /// Keep it for whoever comes next.
    Leave,
}

/// Holds a lease until told to end. The calling thread must be in the interface's namespace.
pub(crate) fn hold(
    spec: &ClientSpec,
    ending: oneshot::Receiver<Ending>,
    report: impl Fn(Event),
) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(run(spec, ending, report));
    Ok(())
}

async fn run(spec: &ClientSpec, mut ending: oneshot::Receiver<Ending>, report: impl Fn(Event)) {
    let mut held = spec.last.as_ref().map(Held::again);
    loop {
        let lease = held.as_ref().map(|held| held.lease.clone());
        let mut client = match DhcpV4Client::init(config(spec), lease).await {
            Ok(client) => client,
            Err(error) => return report(Event::Failed(error.to_string())),
        };
        loop {
            let state = tokio::select! {
                told = &mut ending => {
                    if let (Ok(Ending::Release), Some(held)) = (told, &held) {
                        release(&mut client, &held.lease, &report).await;
                    }
                    return;
                }
                () = until_expiry(&held) => {
                    held = None;
                    report(Event::Lost);
                    continue;
                }
                state = client.run() => state,
            };
            match state {
                Ok(DhcpV4State::Done(lease)) => {
                    let before = held.replace(Held::since_now(*lease));
                    let known = before.map(|held| granted(&held.lease));
                    let now = held.as_ref().map(|held| granted(&held.lease));
                    if let Some(now) = now.filter(|now| known.as_ref() != Some(now)) {
                        report(Event::Bound(now));
                    }
                }
                // mozim 0.3 would name the old server when it asks all others. INIT-REBOOT asks
                // them for the same address, and should they refuse, for another.
                Ok(DhcpV4State::Rebinding) => break,
                Ok(_) => {}
                Err(error) => {
                    report(Event::Failed(error.to_string()));
                    tokio::time::sleep(PAUSE).await;
                    break;
                }
            }
        }
    }
}

/// A lease and the end of the time it is for, until when its address may be used.
struct Held {
    lease: DhcpV4Lease,
    expiry: Instant,
}

impl Held {
    fn since_now(lease: DhcpV4Lease) -> Self {
        let expiry = Instant::now() + Duration::from_secs(lease.lease_time_sec.into());
        Held { lease, expiry }
    }

    /// One that was held before us: nobody knows any more since when.
    fn again(last: &Last) -> Self {
        let mut lease = DhcpV4Lease::default();
        lease.yiaddr = last.address;
        lease.srv_id = last.server;
        lease.lease_time_sec = last.seconds;
        Held::since_now(lease)
    }
}

async fn until_expiry(held: &Option<Held>) {
    match held {
        Some(held) => tokio::time::sleep_until(held.expiry).await,
        None => std::future::pending().await,
    }
}

async fn release(client: &mut DhcpV4Client, lease: &DhcpV4Lease, report: &impl Fn(Event)) {
    let released = tokio::time::timeout(RELEASE_PATIENCE, client.release(lease));
    if let Ok(Err(error)) = released.await {
        report(Event::Failed(format!("release: {error}")));
    }
}

fn config(spec: &ClientSpec) -> DhcpV4Config {
    let mut config = DhcpV4Config::new(&spec.ifname);
    config.set_iface_index(spec.index);
    config.set_host_name(&spec.host_name);
    // Six octets are what it takes.
    let _ = config.set_iface_mac_raw(&spec.mac);
    config.use_mac_as_client_id();
    config
}

fn granted(lease: &DhcpV4Lease) -> Lease {
    Lease {
        address: lease.yiaddr,
        prefix: u32::from(lease.subnet_mask).leading_ones() as u8,
        gateway: default_gateway(lease),
        server: lease.srv_id,
        seconds: lease.lease_time_sec,
    }
}

/// The way out: where classless routes are given, the router option does not count (RFC 3442).
fn default_gateway(lease: &DhcpV4Lease) -> Option<Ipv4Addr> {
    match &lease.classless_routes {
        Some(routes) => routes
            .iter()
            .find(|route| route.prefix_length == 0)
            .map(|route| route.router),
        None => lease.gateways.as_ref()?.first().copied(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_in_our_words() {
        let mut lease = DhcpV4Lease::default();
        lease.yiaddr = Ipv4Addr::new(192, 0, 2, 77);
        lease.subnet_mask = Ipv4Addr::new(255, 255, 255, 224);
        lease.srv_id = Ipv4Addr::new(192, 0, 2, 1);
        lease.lease_time_sec = 120;
        assert_eq!(granted(&lease).prefix, 27);
        assert_eq!(granted(&lease).gateway, None);
        lease.gateways = Some(vec![
            Ipv4Addr::new(192, 0, 2, 1),
            Ipv4Addr::new(192, 0, 2, 2),
        ]);
        assert_eq!(granted(&lease).gateway, Some(Ipv4Addr::new(192, 0, 2, 1)));
        // Classless routes without a default one: there is no way out, whatever the router option.
        lease.classless_routes = Some(Vec::new());
        assert_eq!(granted(&lease).gateway, None);
    }

    #[test]
    fn a_lease_of_before_lasts_as_long_as_it_was_granted_for() {
        let last = Last {
            address: Ipv4Addr::new(192, 0, 2, 77),
            server: Ipv4Addr::new(192, 0, 2, 1),
            seconds: 60,
        };
        let held = Held::again(&last);
        assert_eq!(held.lease.yiaddr, last.address);
        assert!(held.expiry > Instant::now() + Duration::from_secs(50));
    }
}
