//! The statements of a rule, and the words they are made of.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::value::Kind;

/// A property of the packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    IifName,
    OifName,
    /// The kind of device (`bridge`, `veth`), Linux 5.6.
    IifKind,
    OifKind,
    /// The link group of a device, as `ip link set … group` gives it.
    IifGroup,
    OifGroup,
    Ip4Source,
    Ip4Destination,
    Ip6Source,
    Ip6Destination,
    Protocol,
    SourcePort,
    DestinationPort,
    EtherSource,
    /// Who an ARP packet says it is from (RFC 826).
    ArpSenderMac,
    ArpSenderAddress,
    /// What a neighbour advertisement is about (RFC 4861 §4.4).
    AdvertisedTarget,
}

/// Where a rule sends the packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Accept,
    Drop,
    Return,
}

/// One statement of a rule; a rule is a list of them, read from left to right.
#[derive(Debug, Clone)]
pub enum Statement {
    /// `FIELD . FIELD … @set`, or `!= @set`.
    In {
        fields: Vec<Field>,
        set: String,
        negate: bool,
    },
    /// `iifname NAME`, `meta iifkind KIND` and their like, or `!=`.
    IfNameIs {
        field: Field,
        name: String,
        negate: bool,
    },
    /// `meta nfproto ipv4` or `ipv6`.
    FamilyIs { ipv6: bool },
    /// `meta protocol N`, or `!=`: the Ethernet type.
    EtherTypeIs { number: u16, negate: bool },
    /// `meta iifgroup N` or `meta oifgroup N`.
    GroupIs { field: Field, group: u32 },
    /// `meta mark & MASK == MARK`, or `!=`.
    MarkIs { mark: u32, mask: u32, negate: bool },
    /// `meta mark set meta mark | MARK`.
    SetMark(u32),
    /// `meta l4proto N`.
    ProtocolIs(u8),
    /// `th sport N` or `th dport N`.
    PortIs { field: Field, port: u16 },
    /// `ip saddr ADDRESS/PREFIX` and its like, or `!=`.
    Ip4Within {
        field: Field,
        address: Ipv4Addr,
        prefix: u8,
        negate: bool,
    },
    /// `@ll,BIT,BITS VALUE`: bytes of the frame's header, where a VLAN tag is in its place.
    FrameIs { offset: u32, value: Vec<u8> },
    /// `@th,BIT,BITS VALUE`: bytes of the transport header, or behind it.
    TransportIs { offset: u32, value: Vec<u8> },
    /// `@th,BIT,BITS set VALUE`, with the checksum at another offset kept right.
    SetTransport {
        offset: u32,
        value: Vec<u8>,
        checksum: u32,
    },
    /// `ip6 saddr ADDRESS` and its like.
    Ip6Is { field: Field, address: Ipv6Addr },
    /// `fib daddr type local`: the destination is an address of this host.
    DestinationIsLocal,
    /// `fib daddr . iif type local`: it is an address of the interface the packet came in through.
    DestinationIsLocalHere,
    /// `fib saddr . iif oif missing`: the source is not reached through the incoming interface.
    SourceIsForged,
    /// `ct state established,related`.
    Established,
    /// `ct state invalid`.
    Invalid,
    /// `ct status dnat`.
    Translated,
    /// `ct direction original`.
    OriginalDirection,
    /// `counter`.
    Counter,
    /// `dnat ip to FIELD . FIELD … map @map`; without the family of the map the rule does nothing.
    DnatMap {
        ipv6: bool,
        fields: Vec<Field>,
        map: String,
    },
    /// `snat ip to FIELD … map @map`.
    SnatMap {
        ipv6: bool,
        fields: Vec<Field>,
        map: String,
    },
    /// `masquerade`.
    Masquerade,
    /// `ether daddr set 00:00:00:00:00:00 fwd to INDEX`: the frame arrives anew on a loopback.
    ForwardToLoopback { index: u32 },
    /// `jump CHAIN`.
    Jump(String),
    /// A verdict.
    Verdict(Verdict),
}

impl Verdict {
    pub(crate) fn code(self) -> i32 {
        match self {
            Verdict::Drop => 0,
            Verdict::Accept => 1,
            Verdict::Return => -5,
        }
    }
}

impl Field {
    pub(crate) fn width(self) -> usize {
        match self {
            Field::IifName | Field::OifName | Field::IifKind | Field::OifKind => {
                Kind::IfName.width()
            }
            Field::IifGroup | Field::OifGroup => size_of::<u32>(),
            Field::EtherSource | Field::ArpSenderMac => Kind::Ether.width(),
            Field::Ip4Source | Field::Ip4Destination | Field::ArpSenderAddress => {
                Kind::Ipv4.width()
            }
            Field::Ip6Source | Field::Ip6Destination | Field::AdvertisedTarget => {
                Kind::Ipv6.width()
            }
            Field::Protocol => Kind::Protocol.width(),
            Field::SourcePort | Field::DestinationPort => Kind::Port.width(),
        }
    }

    /// By its name in Python's rules, which is `nft`'s.
    pub fn by_name(name: &str) -> Option<Self> {
        Some(match name {
            "iifname" => Field::IifName,
            "oifname" => Field::OifName,
            "iifkind" => Field::IifKind,
            "oifkind" => Field::OifKind,
            "iifgroup" => Field::IifGroup,
            "oifgroup" => Field::OifGroup,
            "ip saddr" => Field::Ip4Source,
            "ip daddr" => Field::Ip4Destination,
            "ip6 saddr" => Field::Ip6Source,
            "ip6 daddr" => Field::Ip6Destination,
            "l4proto" => Field::Protocol,
            "sport" => Field::SourcePort,
            "dport" => Field::DestinationPort,
            "ether saddr" => Field::EtherSource,
            "arp saddr ether" => Field::ArpSenderMac,
            "arp saddr ip" => Field::ArpSenderAddress,
            "nd target" => Field::AdvertisedTarget,
            _ => return None,
        })
    }
}
