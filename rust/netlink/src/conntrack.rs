//! Connection tracking entries that must not outlive the publication or address they belong to.
//!
//! Source: `include/uapi/linux/netfilter/nfnetlink_conntrack.h`, `net/netfilter/nf_conntrack_netlink.c`.

use std::net::IpAddr;

use crate::batch::Batch;
use crate::error::Result;
use crate::extack::attributes;
use crate::socket::Socket;
use crate::subject::Subject;

const CT_GET: u16 = 1 << 8 | 1;
const CT_DELETE: u16 = 1 << 8 | 2;
const CTA_TUPLE_ORIG: u16 = 1;
const CTA_TUPLE_REPLY: u16 = 2;
const CTA_ID: u16 = 12;
const CTA_TUPLE_IP: u16 = 1;
const CTA_TUPLE_PROTO: u16 = 2;
const NESTED: u16 = 0x8000;

/// Which flows to forget: those whose server side, after translation, is this.
#[derive(Debug, Clone)]
pub struct FlowMatch {
    /// The container's address.
    pub address: IpAddr,
    /// IP protocol, first and last container port; `None` means every flow from or to the address.
    pub ports: Option<(u8, u16, u16)>,
}

/// One direction of a flow.
#[derive(Default, Clone, PartialEq, Eq)]
struct Tuple {
    source: Option<IpAddr>,
    destination: Option<IpAddr>,
    protocol: u8,
    source_port: u16,
}

/// Deletes the entries that match any of `wanted`. Same as `conntrack -D` for each.
///
/// Entries that went away by themselves meanwhile are no error.
pub fn flush_conntrack(socket: &mut Socket, wanted: &[FlowMatch]) -> Result<usize> {
    let mut batch = Batch::new();
    let mut found = 0;
    for family in [libc::AF_INET as u8, libc::AF_INET6 as u8] {
        let is_v6 = family == libc::AF_INET6 as u8;
        if !wanted.iter().any(|flow| flow.address.is_ipv6() == is_v6) {
            continue;
        }
        let header = [family, 0, 0, 0];
        socket.scan("list connections", CT_GET, &header, |payload| {
            if let Some(request) = deletion(payload, family, wanted) {
                let subject = Subject::other("delete connection", "");
                batch.push_raw(subject, CT_DELETE, 0, &request, true);
                found += 1;
            }
        })?;
    }
    for error in socket.run_each(batch)?.into_iter().flatten() {
        if error.errno() != Some(libc::ENOENT) {
            return Err(error);
        }
    }
    Ok(found)
}

/// The body of a delete request for this entry, if it is wanted.
pub(crate) fn deletion(payload: &[u8], family: u8, wanted: &[FlowMatch]) -> Option<Vec<u8>> {
    let mut original = None;
    let mut reply = None;
    let mut id = None;
    for (kind, value) in attributes(payload.get(4..)?) {
        match kind {
            CTA_TUPLE_ORIG => original = Some(value),
            CTA_TUPLE_REPLY => reply = Some(value),
            CTA_ID => id = Some(value),
            _ => {}
        }
    }
    let original = original?;
    let reply_tuple = parse_tuple(reply?);
    let original_tuple = parse_tuple(original);
    if !wanted
        .iter()
        .any(|flow| flow.matches(&original_tuple, &reply_tuple))
    {
        return None;
    }
    let mut request = vec![family, 0, 0, 0];
    push_attribute(&mut request, CTA_TUPLE_ORIG | NESTED, original);
    // With the id the kernel refuses to delete a newer flow that took the same addresses.
    if let Some(id) = id {
        push_attribute(&mut request, CTA_ID, id);
    }
    Some(request)
}

impl FlowMatch {
    fn matches(&self, original: &Tuple, reply: &Tuple) -> bool {
        match self.ports {
            // The reply's source is the real server, whatever the client thought it addressed.
            Some((protocol, first, last)) => {
                reply.source == Some(self.address)
                    && reply.protocol == protocol
                    && (first..=last).contains(&reply.source_port)
            }
            None => reply.source == Some(self.address) || original.source == Some(self.address),
        }
    }
}

fn parse_tuple(bytes: &[u8]) -> Tuple {
    let mut tuple = Tuple::default();
    for (kind, value) in attributes(bytes) {
        for (inner, value) in attributes(value) {
            match (kind, inner) {
                (CTA_TUPLE_IP, 1 | 3) => tuple.source = to_ip(value),
                (CTA_TUPLE_IP, 2 | 4) => tuple.destination = to_ip(value),
                (CTA_TUPLE_PROTO, 1) => tuple.protocol = value.first().copied().unwrap_or(0),
                (CTA_TUPLE_PROTO, 2) if value.len() >= 2 => {
                    tuple.source_port = u16::from_be_bytes([value[0], value[1]]);
                }
                _ => {}
            }
        }
    }
    tuple
}

fn to_ip(value: &[u8]) -> Option<IpAddr> {
    if let Ok(v4) = <[u8; 4]>::try_from(value) {
        return Some(IpAddr::from(v4));
    }
    <[u8; 16]>::try_from(value).ok().map(IpAddr::from)
}

fn push_attribute(out: &mut Vec<u8>, kind: u16, value: &[u8]) {
    out.extend(((value.len() + 4) as u16).to_ne_bytes());
    out.extend(kind.to_ne_bytes());
    out.extend(value);
    out.resize((out.len() + 3) & !3, 0);
}
