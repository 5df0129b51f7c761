//! The links there are, as the kernel describes them.

use netlink_packet_core::{Emitable, NlasIterator};
use netlink_packet_route::link::{LinkAttribute, LinkExtentMask, LinkFlags, LinkMessage};

use crate::error::{Error, Result};
use crate::socket::Socket;

const RTM_NEWLINK: u16 = 16;
const RTM_GETLINK: u16 = 18;
/// Of `struct ifinfomsg`: family, padding, type, index, flags, change mask.
const HEADER: usize = 16;
/// `include/uapi/linux/if_link.h`.
const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_LINK: u16 = 5;
const IFLA_MASTER: u16 = 10;
const IFLA_LINKINFO: u16 = 18;
const IFLA_IFALIAS: u16 = 20;
const IFLA_GROUP: u16 = 27;
const IFLA_INFO_KIND: u16 = 1;
/// As IFLA_MASTER of a dump: `link_master_filtered` in `net/core/rtnetlink.c`.
const NO_MASTER: u32 = u32::MAX;

/// A link as the kernel describes it.
#[derive(Debug, Clone, Default)]
pub struct LinkInfo {
    pub index: u32,
    pub name: String,
    pub kind: String,
    pub mac: Vec<u8>,
    pub mtu: u32,
    pub group: u32,
    pub alias: String,
    pub master: Option<u32>,
    /// The link it stands on, by index in the namespace that is in.
    pub parent: Option<u32>,
    pub is_up: bool,
}

/// A link of the socket's namespace by name, if there is one. Same as `ip -d link show NAME`.
pub fn find_link(socket: &mut Socket, name: &str) -> Result<Option<LinkInfo>> {
    let mut message = LinkMessage::default();
    message.attributes = vec![LinkAttribute::IfName(name.into())];
    ask_for_link(socket, message)
}

/// The same by index.
pub fn find_link_by_index(socket: &mut Socket, index: u32) -> Result<Option<LinkInfo>> {
    let mut message = LinkMessage::default();
    message.header.index = index;
    ask_for_link(socket, message)
}

fn ask_for_link(socket: &mut Socket, mut message: LinkMessage) -> Result<Option<LinkInfo>> {
    const OPERATION: &str = "find link";
    message.attributes.push(without_counters());
    let answer = match socket.ask(OPERATION, RTM_GETLINK, &bytes_of(&message)) {
        Err(error) if error.errno() == Some(libc::ENODEV) => None,
        answer => answer?,
    };
    answer.map(|bytes| parse(OPERATION, &bytes)).transpose()
}

/// Lists the links of the socket's namespace. Same as `ip -d link`.
pub fn list_links(socket: &mut Socket) -> Result<Vec<LinkInfo>> {
    dump_links(socket, None)
}

/// Those that are in no bridge or other master. Same as `ip -d link show nomaster`.
///
/// Beside a thousand ports that takes 0.3 ms, and to list all of them 13. A kernel before 5.16 does
/// not know the question and answers it with nothing, not even `lo`.
pub fn list_links_without_master(socket: &mut Socket) -> Result<Vec<LinkInfo>> {
    let found = dump_links(socket, Some(NO_MASTER))?;
    if found.is_empty() {
        return list_links(socket);
    }
    Ok(found)
}

fn dump_links(socket: &mut Socket, master: Option<u32>) -> Result<Vec<LinkInfo>> {
    const OPERATION: &str = "list links";
    let mut message = LinkMessage::default();
    message.attributes.push(without_counters());
    message
        .attributes
        .extend(master.map(LinkAttribute::Controller));
    let mut links = Vec::new();
    socket.dump(
        OPERATION,
        RTM_GETLINK,
        &bytes_of(&message),
        |kind, payload| {
            if kind == RTM_NEWLINK {
                links.push(parse(OPERATION, payload)?);
            }
            Ok(())
        },
    )?;
    Ok(links)
}

/// Nothing here reads counters, and to collect them takes the kernel time for each link.
fn without_counters() -> LinkAttribute {
    LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats])
}

pub(crate) fn bytes_of(message: &LinkMessage) -> Vec<u8> {
    let mut bytes = vec![0; message.buffer_len()];
    message.emit(&mut bytes);
    bytes
}

/// Reads what netyard needs, and takes a name for text that may be any bytes: whoever may make an
/// interface calls it as they like, and one such must not hide the others.
pub(crate) fn parse(operation: &'static str, payload: &[u8]) -> Result<LinkInfo> {
    read(payload).ok_or_else(|| Error::Malformed {
        operation,
        detail: "an answer that is cut off".to_string(),
    })
}

fn read(payload: &[u8]) -> Option<LinkInfo> {
    let (header, attributes) = payload.split_at_checked(HEADER)?;
    let mut link = LinkInfo {
        index: number(&header[4..])?,
        is_up: number(&header[8..])? & LinkFlags::Up.bits() != 0,
        ..LinkInfo::default()
    };
    for attribute in NlasIterator::new(attributes) {
        let attribute = attribute.ok()?;
        let value = attribute.value();
        match attribute.kind() {
            IFLA_ADDRESS => link.mac = value.to_vec(),
            IFLA_IFNAME => link.name = text(value),
            IFLA_MTU => link.mtu = number(value)?,
            IFLA_LINK => link.parent = Some(number(value)?),
            IFLA_MASTER => link.master = Some(number(value)?),
            IFLA_LINKINFO => link.kind = kind(value)?,
            IFLA_IFALIAS => link.alias = text(value),
            IFLA_GROUP => link.group = number(value)?,
            _ => {}
        }
    }
    Some(link)
}

fn kind(info: &[u8]) -> Option<String> {
    for attribute in NlasIterator::new(info) {
        let attribute = attribute.ok()?;
        if attribute.kind() == IFLA_INFO_KIND {
            return Some(text(attribute.value()));
        }
    }
    Some(String::new())
}

fn number(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(..4)?.try_into().ok()?))
}

/// The kernel ends texts with a NUL, mostly.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.strip_suffix(&[0]).unwrap_or(bytes)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_be_any_bytes() {
        let mut payload = vec![0; HEADER];
        payload[4] = 7;
        for (kind, value) in [(IFLA_IFNAME, &b"a\xffb\0"[..]), (IFLA_IFALIAS, b"\xfe")] {
            payload.extend((4 + value.len() as u16).to_ne_bytes());
            payload.extend(kind.to_ne_bytes());
            payload.extend(value);
            payload.resize(payload.len().next_multiple_of(4), 0);
        }
        let link = parse("test", &payload).unwrap();
        assert_eq!((link.index, link.name.as_str()), (7, "a\u{fffd}b"));
        assert_eq!(link.alias, "\u{fffd}");
        assert!(parse("test", &payload[..HEADER - 1]).is_err());
    }
}
