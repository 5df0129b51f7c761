//! Netlink as netyard uses it: one socket per namespace, many requests in one write, and errors
//! that carry the kernel's own words.
//!
//! The types of `netlink-packet-route` stay inside this crate; callers speak in the `…Spec`
//! structures of the noun modules. nf_tables messages are framed here too (`Batch::push_raw`) but
//! made in the `nft` crate.

mod address;
mod batch;
mod child;
mod conntrack;
mod defaults;
mod error;
mod extack;
mod feature;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod kept;
mod link;
mod link_info;
mod names;
mod neighbour;
mod route;
mod socket;
mod subject;
mod vxlan;
mod wireguard;

pub use address::{add_address, delete_address, list_addresses, AddressInfo};
pub use batch::Batch;
pub use child::{add_child, add_dummy, add_vlan, knows_kind, ChildSpec};
pub use conntrack::{flush_conntrack, FlowMatch};
pub use defaults::{give_back_defaults, other_defaults, run_with_defaults};
pub use error::{Error, Result};
pub use extack::attributes;
pub use feature::Feature;
pub use kept::Lent;
pub use link::{
    add_bridge, add_veth, add_wireguard, delete_group, delete_link, leave_bridge, open_port,
    rename_link, set_alias, set_arp_notify, set_group, set_group_down, set_hairpin, set_link_up,
    set_mac, set_state, BridgeSpec, FarEnd, NearEnd,
};
pub use link_info::{
    find_link, find_link_by_index, list_links, list_links_without_master, LinkInfo,
};
pub use neighbour::add_neighbour;
pub use route::{add_link_route, await_local, delete_link_route, list_routes, RouteInfo};
pub use socket::{Protocol, Socket};
pub use subject::Subject;
pub use vxlan::{add_remote, add_vxlan, delete_remote, list_remotes, Known, Remote, VxlanSpec};
pub use wireguard::{Key, Peer, WireGuard};
