//! Links: bridges, veth pairs, bridge ports. One function per kernel request.

use std::os::fd::{AsRawFd, BorrowedFd};
use std::path::Path;
use std::sync::OnceLock;

use netlink_packet_route::link::{
    AfSpecInet6, AfSpecUnspec, BridgePortState, BridgeStpState, In6AddrGenMode, InfoBridge,
    InfoBridgePort, InfoData, InfoKind, InfoPortData, InfoPortKind, InfoVeth, LinkAttribute,
    LinkFlags, LinkInfo as Info, LinkMessage,
};
use netlink_packet_route::RouteNetlinkMessage;

use crate::batch::{Batch, NLM_F_CREATE, NLM_F_EXCL};
use crate::feature::Feature;
use crate::link_info::bytes_of;
use crate::subject::Subject;

/// A bridge to be made.
pub struct BridgeSpec<'a> {
    pub name: &'a str,
    pub mac: [u8; 6],
    /// In bytes; `None` leaves it to the kernel.
    pub mtu: Option<u32>,
}

/// The end of a veth pair that stays in our namespace, a port of a bridge if one is given.
pub struct NearEnd<'a> {
    pub name: &'a str,
    pub mtu: Option<u32>,
    pub bridge_index: Option<u32>,
    /// Link group, so that many can be deleted by one request.
    pub group: u32,
}

/// The end of a veth pair that is born in the container's namespace.
pub struct FarEnd<'a> {
    pub name: &'a str,
    pub mac: [u8; 6],
    pub mtu: Option<u32>,
    pub namespace: BorrowedFd<'a>,
}

/// Creates a bridge without spanning tree, up. Same as `ip link add NAME type bridge … up`.
///
/// And without multicast snooping: nobody there asks who wants what (`mcast_querier`), so that the
/// kernel would send multicast to all ports anyway, after setting up timers for each.
pub fn add_bridge(batch: &mut Batch, spec: &BridgeSpec<'_>) {
    let mut message = up_message();
    message.attributes = vec![
        LinkAttribute::IfName(spec.name.into()),
        LinkAttribute::Address(spec.mac.to_vec()),
        LinkAttribute::LinkInfo(vec![
            Info::Kind(InfoKind::Bridge),
            Info::Data(InfoData::Bridge(vec![
                InfoBridge::StpState(BridgeStpState::Disabled),
                InfoBridge::ForwardDelay(0),
                InfoBridge::MulticastSnooping(false),
            ])),
        ]),
    ];
    message.attributes.extend(spec.mtu.map(LinkAttribute::Mtu));
    let subject = Subject::link("create bridge", spec.name).needing(Feature::Bridge);
    create(batch, subject, message);
}

/// Creates a WireGuard device, without key, peers or addresses. Same as
/// `ip link add NAME mtu MTU type wireguard`.
pub fn add_wireguard(batch: &mut Batch, name: &str, mtu: u32) {
    let mut message = LinkMessage::default();
    message.attributes = vec![
        LinkAttribute::IfName(name.into()),
        LinkAttribute::Mtu(mtu),
        LinkAttribute::LinkInfo(vec![Info::Kind(InfoKind::Wireguard)]),
    ];
    let subject = Subject::link("create WireGuard device", name).needing(Feature::WireGuard);
    create(batch, subject, message);
}

/// Creates a veth pair whose far end is born inside the container's namespace.
///
/// Both ends get their final name and address here: nothing is moved or renamed afterwards, so a
/// crash leaves either no pair or a whole one. Same as
/// `ip link add NAME up master BRIDGE type veth peer name PEER address MAC netns NS`.
///
/// A port of a bridge needs no IPv6 address: one would be announced to all other ports, and each
/// would be one more in what the kernel goes through. So it comes up after it was told so.
pub fn add_veth(batch: &mut Batch, near: &NearEnd<'_>, far: &FarEnd<'_>) {
    // As many as the kernel uses. Otherwise it makes one for each CPU and then waits for all of them
    // to take the others out of use.
    let queues = [LinkAttribute::NumTxQueues(1), LinkAttribute::NumRxQueues(1)];
    let mut peer = LinkMessage::default();
    peer.attributes = vec![
        LinkAttribute::IfName(far.name.into()),
        LinkAttribute::Address(far.mac.to_vec()),
        LinkAttribute::NetNsFd(far.namespace.as_raw_fd()),
    ];
    peer.attributes.extend(far.mtu.map(LinkAttribute::Mtu));
    peer.attributes.extend(queues.clone());

    let is_quiet = near.bridge_index.is_some() && may_have_ipv6(near.mtu);
    let mut message = if is_quiet {
        LinkMessage::default()
    } else {
        up_message()
    };
    message.attributes = vec![
        LinkAttribute::IfName(near.name.into()),
        LinkAttribute::Group(near.group),
        LinkAttribute::LinkInfo(vec![
            Info::Kind(InfoKind::Veth),
            Info::Data(InfoData::Veth(InfoVeth::Peer(peer))),
        ]),
    ];
    message.attributes.extend(near.mtu.map(LinkAttribute::Mtu));
    message.attributes.extend(queues);
    message
        .attributes
        .extend(near.bridge_index.map(LinkAttribute::Controller));
    let subject = Subject::link("create veth", near.name).needing(Feature::Veth);
    create(batch, subject, message);
    if is_quiet {
        give_no_address(batch, near.name);
        set_state(batch, near.name, None);
    }
}

/// Keeps a link from giving itself an IPv6 address when it comes up. Same as
/// `ip link set NAME addrgenmode none`.
fn give_no_address(batch: &mut Batch, name: &str) {
    let none = AfSpecInet6::AddrGenMode(In6AddrGenMode::None);
    let mut message = LinkMessage::default();
    message.attributes = vec![
        LinkAttribute::IfName(name.into()),
        LinkAttribute::AfSpecUnspec(vec![AfSpecUnspec::Inet6(vec![none])]),
    ];
    let subject = Subject::link("keep from IPv6 addresses", name);
    batch.push(subject, &RouteNetlinkMessage::SetLink(message), 0);
}

/// Has a link announce its IPv4 addresses when it comes up or its MAC address is set. Same as
/// `sysctl -w net.ipv4.conf.NAME.arp_notify=VALUE`.
pub fn set_arp_notify(batch: &mut Batch, index: u32, name: &str, value: u32) {
    const RTM_SETLINK: u16 = 19;
    const IFLA_AF_SPEC: u16 = 26;
    const IFLA_INET_CONF: u16 = 1;
    const IPV4_DEVCONF_ARP_NOTIFY: u16 = 22;
    let mut message = LinkMessage::default();
    message.header.index = index;
    let mut payload = bytes_of(&message);
    let path = [
        IFLA_AF_SPEC,
        libc::AF_INET as u16,
        IFLA_INET_CONF,
        IPV4_DEVCONF_ARP_NOTIFY,
    ];
    // One attribute in the other, each with a header of four bytes, the value in the last.
    for (depth, kind) in path.iter().enumerate() {
        let length = (path.len() - depth) * 4 + size_of::<u32>();
        payload.extend((length as u16).to_ne_bytes());
        payload.extend(kind.to_ne_bytes());
    }
    payload.extend(value.to_ne_bytes());
    let subject = Subject::link("set arp_notify", name);
    batch.push_raw(subject, RTM_SETLINK, 0, &payload, true);
}

/// Whether the kernel gives links of this MTU IPv6 addresses (RFC 8200, 5).
fn may_have_ipv6(mtu: Option<u32>) -> bool {
    const LEAST_MTU: u32 = 1280;
    static SPOKEN: OnceLock<bool> = OnceLock::new();
    let is_spoken = SPOKEN.get_or_init(|| Path::new("/proc/sys/net/ipv6").exists());
    *is_spoken && mtu.is_none_or(|bytes| bytes >= LEAST_MTU)
}

/// Lets a bridge port get back a frame it sent: a container that asks its own published port.
/// Same as `bridge link set dev NAME hairpin on`.
pub fn set_hairpin(batch: &mut Batch, name: &str, hairpin: bool) {
    set_port(batch, name, InfoBridgePort::HairpinMode(hairpin));
}

/// Lets a bridge port pass frames at once, not only when the kernel's link watch comes round.
/// Same as `bridge link set dev NAME state forwarding`.
pub fn open_port(batch: &mut Batch, name: &str) {
    set_port(
        batch,
        name,
        InfoBridgePort::State(BridgePortState::Forwarding),
    );
}

pub(crate) fn set_port(batch: &mut Batch, name: &str, setting: InfoBridgePort) {
    let mut message = LinkMessage::default();
    message.attributes = vec![
        LinkAttribute::IfName(name.into()),
        LinkAttribute::LinkInfo(vec![
            Info::PortKind(InfoPortKind::Bridge),
            Info::PortData(InfoPortData::BridgePort(vec![setting])),
        ]),
    ];
    let subject = Subject::link("set bridge port", name).needing(Feature::Bridge);
    // Port attributes are only taken by NEWLINK, as a change of the slave's link info.
    batch.push(subject, &RouteNetlinkMessage::NewLink(message), 0);
}

/// Sets a link's MAC address by index. Same as `ip link set INDEX address MAC`.
pub fn set_mac(batch: &mut Batch, index: u32, name: &str, mac: [u8; 6]) {
    let mut message = LinkMessage::default();
    message.header.index = index;
    message.attributes = vec![LinkAttribute::Address(mac.to_vec())];
    let subject = Subject::link("set MAC address", name);
    batch.push(subject, &RouteNetlinkMessage::SetLink(message), 0);
}

/// Renames a link by index, which is down. Same as `ip link set INDEX name NAME`.
pub fn rename_link(batch: &mut Batch, index: u32, name: &str) {
    let mut message = LinkMessage::default();
    message.header.index = index;
    message.attributes = vec![LinkAttribute::IfName(name.into())];
    let subject = Subject::link("name interface", name);
    batch.push(subject, &RouteNetlinkMessage::SetLink(message), 0);
}

/// Puts a link into a bridge and up. Same as `ip link set NAME master BRIDGE up`.
pub fn set_state(batch: &mut Batch, name: &str, bridge_index: Option<u32>) {
    let mut message = up_message();
    message.attributes = vec![LinkAttribute::IfName(name.into())];
    message
        .attributes
        .extend(bridge_index.map(LinkAttribute::Controller));
    let subject = Subject::link("set link up", name);
    batch.push(subject, &RouteNetlinkMessage::SetLink(message), 0);
}

/// Sets a link up or down by index.
pub fn set_link_up(batch: &mut Batch, index: u32, name: &str, up: bool) {
    let mut message = if up {
        up_message()
    } else {
        LinkMessage::default()
    };
    message.header.index = index;
    message.header.change_mask = LinkFlags::Up;
    let subject = Subject::link(if up { "set link up" } else { "set link down" }, name);
    batch.push(subject, &RouteNetlinkMessage::SetLink(message), 0);
}

/// Moves a link to a group, for `delete_group`.
pub fn set_group(batch: &mut Batch, name: &str, group: u32) {
    let mut message = LinkMessage::default();
    message.attributes = vec![
        LinkAttribute::IfName(name.into()),
        LinkAttribute::Group(group),
    ];
    let subject = Subject::link("set link group", name);
    batch.push(subject, &RouteNetlinkMessage::SetLink(message), 0);
}

/// Writes a note on a link, which `ip link` shows as its alias.
pub fn set_alias(batch: &mut Batch, name: &str, alias: &str) {
    let mut message = LinkMessage::default();
    message.attributes = vec![
        LinkAttribute::IfName(name.into()),
        LinkAttribute::IfAlias(alias.into()),
    ];
    let subject = Subject::link("set link alias", name);
    batch.push(subject, &RouteNetlinkMessage::SetLink(message), 0);
}

/// Deletes one link. The kernel lets the caller wait 20 to 50 ms for RCU.
pub fn delete_link(batch: &mut Batch, name: &str) {
    let mut message = LinkMessage::default();
    message.attributes = vec![LinkAttribute::IfName(name.into())];
    let subject = Subject::link("delete link", name);
    batch.push(subject, &RouteNetlinkMessage::DelLink(message), 0);
}

/// Deletes every link of a group with one wait for all (`rtnl_group_dellink`).
pub fn delete_group(batch: &mut Batch, group: u32) {
    debug_assert_ne!(group, 0, "group 0 holds every link of the host");
    let mut message = LinkMessage::default();
    message.attributes = vec![LinkAttribute::Group(group)];
    let subject = Subject::link("delete link group", group.to_string());
    batch.push(subject, &RouteNetlinkMessage::DelLink(message), 0);
}

/// Sets every link of a group down. Same as `ip link set group GROUP down`.
pub fn set_group_down(batch: &mut Batch, group: u32) {
    debug_assert_ne!(group, 0, "group 0 holds every link of the host");
    let mut message = LinkMessage::default();
    message.header.change_mask = LinkFlags::Up;
    message.attributes = vec![LinkAttribute::Group(group)];
    let subject = Subject::link("set link group down", group.to_string());
    // A whole group is only taken by NEWLINK (`rtnl_group_changelink`).
    batch.push(subject, &RouteNetlinkMessage::NewLink(message), 0);
}

/// Takes a link out of its bridge. Same as `ip link set INDEX nomaster`.
pub fn leave_bridge(batch: &mut Batch, index: u32, name: &str) {
    let mut message = LinkMessage::default();
    message.header.index = index;
    message.attributes = vec![LinkAttribute::Controller(0)];
    let subject = Subject::link("take out of bridge", name).needing(Feature::Bridge);
    batch.push(subject, &RouteNetlinkMessage::SetLink(message), 0);
}

pub(crate) fn create(batch: &mut Batch, subject: Subject, message: LinkMessage) {
    let flags = NLM_F_CREATE | NLM_F_EXCL;
    batch.push(subject, &RouteNetlinkMessage::NewLink(message), flags);
}

pub(crate) fn up_message() -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header.flags = LinkFlags::Up;
    message.header.change_mask = LinkFlags::Up;
    message
}
