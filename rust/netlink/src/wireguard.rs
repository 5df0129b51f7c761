//! WireGuard over generic netlink (`include/uapi/linux/wireguard.h`, `net/netlink/genetlink.c`).

use std::net::{IpAddr, SocketAddr};

use crate::batch::Batch;
use crate::error::{Error, Result};
use crate::extack::attributes;
use crate::feature::Feature;
use crate::kept::Lent;
use crate::socket::{Protocol, Socket};
use crate::subject::Subject;

/// A public, private or preshared key.
pub type Key = [u8; 32];

const GENL_ID_CTRL: u16 = 16;
const CTRL_CMD_GETFAMILY: u8 = 3;
const CTRL_ATTR_FAMILY_ID: u16 = 1;
const CTRL_ATTR_FAMILY_NAME: u16 = 2;

const WG_CMD_GET_DEVICE: u8 = 0;
const WG_CMD_SET_DEVICE: u8 = 1;
const WGDEVICE_A_IFNAME: u16 = 2;
const WGDEVICE_A_PRIVATE_KEY: u16 = 3;
const WGDEVICE_A_PUBLIC_KEY: u16 = 4;
const WGDEVICE_A_LISTEN_PORT: u16 = 6;
const WGDEVICE_A_PEERS: u16 = 8;
const WGPEER_A_PUBLIC_KEY: u16 = 1;
const WGPEER_A_FLAGS: u16 = 3;
const WGPEER_A_ENDPOINT: u16 = 4;
const WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL: u16 = 5;
const WGPEER_A_ALLOWEDIPS: u16 = 9;
const WGPEER_F_REMOVE_ME: u32 = 1;
const WGPEER_F_REPLACE_ALLOWEDIPS: u32 = 2;
const WGALLOWEDIP_A_FAMILY: u16 = 1;
const WGALLOWEDIP_A_IPADDR: u16 = 2;
const WGALLOWEDIP_A_CIDR_MASK: u16 = 3;

const NLA_F_NESTED: u16 = 0x8000;
/// Far below the 64 KiB an attribute can hold: a peer takes about 150 bytes.
const PEERS_A_MESSAGE: usize = 200;

/// A host at the other end of the tunnel.
#[derive(Debug, Clone)]
pub struct Peer {
    pub public_key: Key,
    pub endpoint: SocketAddr,
    /// Its one address within the tunnel.
    pub address: IpAddr,
    /// Says hello at once, and again every so many seconds; 0 for never.
    pub keepalive_seconds: u16,
}

/// WireGuard devices of one network namespace.
pub struct WireGuard {
    socket: Lent,
    family: u16,
}

impl WireGuard {
    /// Opens a socket in the calling thread's network namespace.
    pub fn open() -> Result<Self> {
        let mut socket = Socket::open(Protocol::Generic)?;
        let mut payload = vec![CTRL_CMD_GETFAMILY, 1, 0, 0];
        put(&mut payload, CTRL_ATTR_FAMILY_NAME, b"wireguard\0");
        let answer = socket.ask("find WireGuard in the kernel", GENL_ID_CTRL, &payload)?;
        let family = find(answer.as_deref().unwrap_or(&[]), CTRL_ATTR_FAMILY_ID)
            .and_then(|bytes| bytes.get(..2)?.try_into().ok())
            .map(u16::from_ne_bytes)
            .ok_or(Error::Malformed {
                operation: "find WireGuard in the kernel",
                detail: "an answer without a number".to_string(),
            })?;
        Ok(WireGuard { socket, family })
    }

    /// Sets a device's private key. Same as `wg set NAME private-key FILE`.
    ///
    /// The kernel clamps it, and derives the public key: `public_key`.
    pub fn set_key(&mut self, name: &str, private_key: &Key) -> Result<()> {
        let mut payload = device(WG_CMD_SET_DEVICE, name);
        put(&mut payload, WGDEVICE_A_PRIVATE_KEY, private_key);
        self.set("set WireGuard key", name, &payload)
    }

    /// Sets the UDP port a device listens on. Same as `wg set NAME listen-port PORT`.
    pub fn set_port(&mut self, name: &str, port: u16) -> Result<()> {
        let mut payload = device(WG_CMD_SET_DEVICE, name);
        put(&mut payload, WGDEVICE_A_LISTEN_PORT, &port.to_ne_bytes());
        self.set("set WireGuard port", name, &payload)
    }

    /// The public key of a device. Same as `wg show NAME public-key`.
    pub fn public_key(&mut self, name: &str) -> Result<Key> {
        let mut found = None;
        let payload = device(WG_CMD_GET_DEVICE, name);
        let operation = "read WireGuard key";
        self.socket
            .dump(operation, self.family, &payload, |_, answer| {
                let key = find(answer, WGDEVICE_A_PUBLIC_KEY);
                found = found.or_else(|| key?.try_into().ok());
                Ok(())
            })?;
        found.ok_or(Error::Malformed {
            operation,
            detail: format!("{name} has none"),
        })
    }

    /// Takes peers away and adds or changes others. Same as `wg set NAME peer …`.
    pub fn change_peers(&mut self, name: &str, removed: &[Key], changed: &[Peer]) -> Result<()> {
        let gone = removed.iter().map(|key| {
            let mut peer = Vec::new();
            put(&mut peer, WGPEER_A_PUBLIC_KEY, key);
            put(&mut peer, WGPEER_A_FLAGS, &WGPEER_F_REMOVE_ME.to_ne_bytes());
            peer
        });
        let peers: Vec<_> = gone.chain(changed.iter().map(attributes_of)).collect();
        for some in peers.chunks(PEERS_A_MESSAGE) {
            let mut payload = device(WG_CMD_SET_DEVICE, name);
            let mut list = Vec::new();
            for peer in some {
                put(&mut list, NLA_F_NESTED, peer);
            }
            put(&mut payload, WGDEVICE_A_PEERS | NLA_F_NESTED, &list);
            self.set("set WireGuard peers", name, &payload)?;
        }
        Ok(())
    }

    fn set(&mut self, operation: &'static str, name: &str, payload: &[u8]) -> Result<()> {
        let mut batch = Batch::new();
        let subject = Subject::other(operation, name).needing(Feature::WireGuard);
        batch.push_raw(subject, self.family, 0, payload, true);
        self.socket.run(batch)
    }
}

fn attributes_of(peer: &Peer) -> Vec<u8> {
    let mut address = Vec::new();
    let (family, mask) = match peer.address {
        IpAddr::V4(_) => (libc::AF_INET, 32),
        IpAddr::V6(_) => (libc::AF_INET6, 128),
    };
    put(
        &mut address,
        WGALLOWEDIP_A_FAMILY,
        &(family as u16).to_ne_bytes(),
    );
    match peer.address {
        IpAddr::V4(v4) => put(&mut address, WGALLOWEDIP_A_IPADDR, &v4.octets()),
        IpAddr::V6(v6) => put(&mut address, WGALLOWEDIP_A_IPADDR, &v6.octets()),
    }
    put(&mut address, WGALLOWEDIP_A_CIDR_MASK, &[mask]);
    let mut addresses = Vec::new();
    put(&mut addresses, NLA_F_NESTED, &address);

    let mut found = Vec::new();
    put(&mut found, WGPEER_A_PUBLIC_KEY, &peer.public_key);
    let flags = WGPEER_F_REPLACE_ALLOWEDIPS;
    put(&mut found, WGPEER_A_FLAGS, &flags.to_ne_bytes());
    put(
        &mut found,
        WGPEER_A_ENDPOINT,
        &socket_address(peer.endpoint),
    );
    put(
        &mut found,
        WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL,
        &peer.keepalive_seconds.to_ne_bytes(),
    );
    put(&mut found, WGPEER_A_ALLOWEDIPS | NLA_F_NESTED, &addresses);
    found
}

/// `struct sockaddr_in` or `sockaddr_in6`, as the kernel wants an endpoint.
fn socket_address(endpoint: SocketAddr) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(28);
    match endpoint {
        SocketAddr::V4(v4) => {
            bytes.extend((libc::AF_INET as u16).to_ne_bytes());
            bytes.extend(v4.port().to_be_bytes());
            bytes.extend(v4.ip().octets());
            bytes.extend([0; 8]);
        }
        SocketAddr::V6(v6) => {
            bytes.extend((libc::AF_INET6 as u16).to_ne_bytes());
            bytes.extend(v6.port().to_be_bytes());
            bytes.extend(v6.flowinfo().to_ne_bytes());
            bytes.extend(v6.ip().octets());
            bytes.extend(v6.scope_id().to_ne_bytes());
        }
    }
    bytes
}

/// The generic netlink header and the device's name.
fn device(command: u8, name: &str) -> Vec<u8> {
    let mut payload = vec![command, 1, 0, 0];
    let mut text = name.as_bytes().to_vec();
    text.push(0);
    put(&mut payload, WGDEVICE_A_IFNAME, &text);
    payload
}

fn put(buffer: &mut Vec<u8>, kind: u16, payload: &[u8]) {
    let length = u16::try_from(payload.len() + 4).expect("lists are cut before they are that long");
    buffer.extend(length.to_ne_bytes());
    buffer.extend(kind.to_ne_bytes());
    buffer.extend(payload);
    buffer.resize(buffer.len().next_multiple_of(4), 0);
}

/// An attribute of an answer, whose generic netlink header comes first.
pub(crate) fn find(answer: &[u8], wanted: u16) -> Option<&[u8]> {
    attributes(answer.get(4..)?)
        .find(|(kind, _)| kind & !NLA_F_NESTED == wanted)
        .map(|(_, payload)| payload)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attribute_is_padded_and_found_again() {
        let mut answer = vec![0; 4];
        put(&mut answer, 7, b"abcde");
        put(&mut answer, WGDEVICE_A_PUBLIC_KEY, &[9; 32]);
        assert_eq!(answer.len(), 4 + 12 + 36);
        assert_eq!(find(&answer, 7), Some(&b"abcde"[..]));
        assert_eq!(find(&answer, WGDEVICE_A_PUBLIC_KEY), Some(&[9; 32][..]));
        assert_eq!(find(&answer, 1), None);
    }

    #[test]
    fn endpoints_are_the_kernels_structures() {
        let v4 = socket_address("10.1.2.3:51820".parse().unwrap());
        assert_eq!(v4.len(), 16);
        assert_eq!(v4[2..8], [0xca, 0x6c, 10, 1, 2, 3]);
        assert_eq!(socket_address("[fd00::1]:1".parse().unwrap()).len(), 28);
    }
}
