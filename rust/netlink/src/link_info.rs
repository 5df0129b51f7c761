//! The links there are, as the kernel describes them.

use netlink_packet_core::{Emitable, Parseable};
use netlink_packet_route::link::{
    LinkAttribute, LinkExtentMask, LinkFlags, LinkInfo as Info, LinkMessage,
};

use crate::error::{Error, Result};
use crate::socket::Socket;

const RTM_NEWLINK: u16 = 16;
const RTM_GETLINK: u16 = 18;
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

pub(crate) fn parse(operation: &'static str, payload: &[u8]) -> Result<LinkInfo> {
    match LinkMessage::parse(payload) {
        Ok(message) => Ok(describe(message)),
        Err(error) => Err(Error::Malformed {
            operation,
            detail: error.to_string(),
        }),
    }
}

fn describe(message: LinkMessage) -> LinkInfo {
    let mut link = LinkInfo {
        index: message.header.index,
        is_up: message.header.flags.contains(LinkFlags::Up),
        ..LinkInfo::default()
    };
    for attribute in message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name = name,
            LinkAttribute::Address(mac) => link.mac = mac,
            LinkAttribute::Mtu(mtu) => link.mtu = mtu,
            LinkAttribute::Group(group) => link.group = group,
            LinkAttribute::IfAlias(alias) => link.alias = alias,
            LinkAttribute::Controller(master) => link.master = Some(master),
            LinkAttribute::Link(parent) => link.parent = Some(parent),
            LinkAttribute::LinkInfo(infos) => {
                for info in infos {
                    if let Info::Kind(kind) = info {
                        link.kind = kind.to_string();
                    }
                }
            }
            _ => {}
        }
    }
    link
}
