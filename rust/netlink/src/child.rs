//! Links that stand on another one: macvlan and ipvlan children, VLAN subinterfaces; and dummies,
//! which stand in for a wire. One function per kernel request.

use std::os::fd::{AsRawFd, BorrowedFd};

use netlink_packet_route::link::{
    InfoData, InfoIpVlan, InfoKind, InfoMacVlan, InfoVlan, IpVlanFlags, IpVlanMode, LinkAttribute,
    LinkInfo as Info, LinkMessage, MacVlanMode,
};
use netlink_packet_route::RouteNetlinkMessage;

use crate::batch::{Batch, NLM_F_CREATE, NLM_F_EXCL};
use crate::error::Result;
use crate::feature::Feature;
use crate::link::create;
use crate::socket::Socket;
use crate::subject::Subject;

/// A macvlan or ipvlan link to be made; modes and flags in the words of `ip link`.
pub struct ChildSpec<'a> {
    pub name: &'a str,
    /// `macvlan` or `ipvlan`.
    pub kind: &'a str,
    pub mode: &'a str,
    /// ipvlan only: `bridge`, `private` or `vepa`.
    pub flag: &'a str,
    pub parent_index: u32,
    /// `None` where it has its parent's.
    pub mac: Option<[u8; 6]>,
    pub mtu: Option<u32>,
    pub group: u32,
    /// Where it is born; `None` for our own.
    pub namespace: Option<BorrowedFd<'a>>,
}

/// Creates a child of a parent interface, down, inside the namespace it is for.
/// Same as `ip link add NAME link PARENT netns NS type KIND mode MODE`.
pub fn add_child(batch: &mut Batch, spec: &ChildSpec<'_>) {
    let (operation, feature, kind, data) = match spec.kind {
        "ipvlan" => (
            "create ipvlan",
            Feature::Ipvlan,
            InfoKind::IpVlan,
            InfoData::IpVlan(vec![
                InfoIpVlan::Mode(ipvlan_mode(spec.mode)),
                InfoIpVlan::Flags(ipvlan_flags(spec.flag)),
            ]),
        ),
        _ => (
            "create macvlan",
            Feature::Macvlan,
            InfoKind::MacVlan,
            InfoData::MacVlan(vec![InfoMacVlan::Mode(macvlan_mode(spec.mode))]),
        ),
    };
    let mut message = LinkMessage::default();
    message.attributes = vec![
        LinkAttribute::IfName(spec.name.into()),
        LinkAttribute::Link(spec.parent_index),
        LinkAttribute::Group(spec.group),
        LinkAttribute::LinkInfo(vec![Info::Kind(kind), Info::Data(data)]),
    ];
    message
        .attributes
        .extend(spec.mac.map(|mac| LinkAttribute::Address(mac.to_vec())));
    message.attributes.extend(spec.mtu.map(LinkAttribute::Mtu));
    message.attributes.extend(
        spec.namespace
            .map(|fd| LinkAttribute::NetNsFd(fd.as_raw_fd())),
    );
    let subject = Subject::link(operation, spec.name).needing(feature);
    create(batch, subject, message);
}

fn macvlan_mode(word: &str) -> MacVlanMode {
    match word {
        "private" => MacVlanMode::Private,
        "vepa" => MacVlanMode::Vepa,
        "passthru" => MacVlanMode::Passthrough,
        _ => MacVlanMode::Bridge,
    }
}

fn ipvlan_mode(word: &str) -> IpVlanMode {
    match word {
        "l3" => IpVlanMode::L3,
        "l3s" => IpVlanMode::L3S,
        _ => IpVlanMode::L2,
    }
}

fn ipvlan_flags(word: &str) -> IpVlanFlags {
    match word {
        "private" => IpVlanFlags::Private,
        "vepa" => IpVlanFlags::Vepa,
        _ => IpVlanFlags::empty(),
    }
}

/// Creates an 802.1Q subinterface, down. Same as `ip link add NAME link BASE type vlan id ID`.
pub fn add_vlan(batch: &mut Batch, name: &str, base_index: u32, id: u16) {
    let mut message = LinkMessage::default();
    message.attributes = vec![
        LinkAttribute::IfName(name.into()),
        LinkAttribute::Link(base_index),
        LinkAttribute::LinkInfo(vec![
            Info::Kind(InfoKind::Vlan),
            Info::Data(InfoData::Vlan(vec![InfoVlan::Id(id)])),
        ]),
    ];
    let subject = Subject::link("create VLAN subinterface", name).needing(Feature::Vlan);
    create(batch, subject, message);
}

/// Creates a dummy interface, down. Same as `ip link add NAME type dummy`.
pub fn add_dummy(batch: &mut Batch, name: &str) {
    let mut message = LinkMessage::default();
    message.attributes = vec![
        LinkAttribute::IfName(name.into()),
        LinkAttribute::LinkInfo(vec![Info::Kind(InfoKind::Dummy)]),
    ];
    let subject = Subject::link("create dummy", name).needing(Feature::Dummy);
    create(batch, subject, message);
}

/// Whether the kernel has a driver of these kinds, loading its module if need be.
///
/// Asks for a link on nothing with a MAC address of one octet: each driver refuses the one or the
/// other, and the kernel itself a driver that is not there, with EOPNOTSUPP (`rtnl_newlink`).
pub fn knows_kind(socket: &mut Socket, kind: &str) -> Result<bool> {
    let mut message = LinkMessage::default();
    message.attributes = vec![
        LinkAttribute::Address(vec![0]),
        LinkAttribute::LinkInfo(vec![Info::Kind(InfoKind::Other(kind.into()))]),
    ];
    let mut batch = Batch::new();
    let subject = Subject::link("look for driver", kind);
    let flags = NLM_F_CREATE | NLM_F_EXCL;
    batch.push(subject, &RouteNetlinkMessage::NewLink(message), flags);
    let outcome = socket.run_each(batch)?;
    let refused = outcome.into_iter().flatten().next();
    Ok(refused.and_then(|error| error.errno()) != Some(libc::EOPNOTSUPP))
}
