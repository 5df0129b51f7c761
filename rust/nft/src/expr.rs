//! The statements of a rule, and the kernel expressions each one becomes.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::consts::*;
use crate::object::Family;
use crate::value::{padded, Kind};
use crate::wire::Writer;

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

/// A register is 16 bytes wide, and 32-bit pieces of it have numbers of their own.
fn register(offset: usize) -> u32 {
    const NFT_REG_1: usize = 1;
    const NFT_REG32_00: usize = 8;
    (match offset % 16 {
        0 => NFT_REG_1 + offset / 16,
        _ => NFT_REG32_00 + offset / 4,
    }) as u32
}

/// Writes the expressions of a rule.
pub(crate) struct Compiler {
    /// The network protocol the rule has already asked for.
    family: Option<u8>,
    /// In the netdev and bridge families packets are told apart by their Ethernet type.
    by_ethertype: bool,
}

impl Compiler {
    pub(crate) fn new(family: Family) -> Self {
        Compiler {
            // A table of one family sees no other's packets.
            family: (family == Family::Ip).then_some(NFPROTO_IPV4),
            by_ethertype: matches!(family, Family::Netdev | Family::Bridge),
        }
    }

    pub(crate) fn statement(&mut self, out: &mut Writer, statement: &Statement) {
        match statement {
            Statement::In {
                fields,
                set,
                negate,
            } => {
                self.load_all(out, fields);
                lookup(out, set, *negate, false);
            }
            Statement::IfNameIs {
                field,
                name,
                negate,
            } => {
                self.load(out, *field, 0);
                let mut bytes = name.as_bytes().to_vec();
                bytes.resize(Kind::IfName.width(), 0);
                compare(out, *negate, &bytes);
            }
            Statement::FamilyIs { ipv6 } => self.require_family(out, *ipv6),
            Statement::EtherTypeIs { number, negate } => {
                meta(out, NFT_META_PROTOCOL, register(0));
                compare(out, *negate, &number.to_be_bytes());
            }
            Statement::GroupIs { field, group } => {
                self.load(out, *field, 0);
                compare(out, false, &group.to_ne_bytes());
            }
            Statement::MarkIs { mark, mask, negate } => {
                meta(out, NFT_META_MARK, register(0));
                and(out, &mask.to_ne_bytes());
                compare(out, *negate, &mark.to_ne_bytes());
            }
            Statement::SetMark(mark) => {
                meta(out, NFT_META_MARK, register(0));
                bitwise(out, &(!mark).to_ne_bytes(), &mark.to_ne_bytes());
                expression(out, "meta", |out| {
                    out.be32(2, NFT_META_MARK);
                    out.be32(3, register(0));
                });
            }
            Statement::ProtocolIs(number) => {
                self.load(out, Field::Protocol, 0);
                compare(out, false, &[*number]);
            }
            Statement::PortIs { field, port } => {
                self.load(out, *field, 0);
                compare(out, false, &port.to_be_bytes());
            }
            Statement::Ip4Within {
                field,
                address,
                prefix,
                negate,
            } => {
                self.load(out, *field, 0);
                let mask = u32::MAX.checked_shl(32 - u32::from(*prefix)).unwrap_or(0);
                if *prefix < 32 {
                    and(out, &mask.to_be_bytes());
                }
                compare(out, *negate, &(u32::from(*address) & mask).to_be_bytes());
            }
            Statement::FrameIs { offset, value } => {
                bytes_are(out, NFT_PAYLOAD_LL_HEADER, *offset, value);
            }
            Statement::TransportIs { offset, value } => {
                bytes_are(out, NFT_PAYLOAD_TRANSPORT_HEADER, *offset, value);
            }
            Statement::SetTransport {
                offset,
                value,
                checksum,
            } => {
                immediate(out, register(0), value);
                let target = (NFT_PAYLOAD_TRANSPORT_HEADER, *offset, value.len() as u32);
                set_payload(out, target, Some(*checksum));
            }
            Statement::Ip6Is { field, address } => {
                self.load(out, *field, 0);
                compare(out, false, &address.octets());
            }
            Statement::DestinationIsLocal => {
                const RTN_LOCAL: u32 = 2;
                fib(out, NFT_FIB_RESULT_ADDRTYPE, NFTA_FIB_F_DADDR);
                compare(out, false, &RTN_LOCAL.to_ne_bytes());
            }
            Statement::DestinationIsLocalHere => {
                const RTN_LOCAL: u32 = 2;
                let flags = NFTA_FIB_F_DADDR | NFTA_FIB_F_IIF;
                fib(out, NFT_FIB_RESULT_ADDRTYPE, flags);
                compare(out, false, &RTN_LOCAL.to_ne_bytes());
            }
            Statement::SourceIsForged => {
                let flags = NFTA_FIB_F_SADDR | NFTA_FIB_F_IIF | NFTA_FIB_F_PRESENT;
                fib(out, NFT_FIB_RESULT_OIF, flags);
                compare(out, false, &[0; 4]);
            }
            Statement::Established => {
                const ESTABLISHED_OR_RELATED: u32 = 0b110;
                conntrack_state(out, ESTABLISHED_OR_RELATED);
            }
            Statement::Invalid => {
                const INVALID: u32 = 0b1;
                conntrack_state(out, INVALID);
            }
            Statement::Translated => {
                const IPS_DST_NAT: u32 = 0x20;
                conntrack(out, NFT_CT_STATUS);
                and(out, &IPS_DST_NAT.to_ne_bytes());
                compare(out, true, &[0; 4]);
            }
            Statement::OriginalDirection => {
                conntrack(out, NFT_CT_DIRECTION);
                compare(out, false, &[0]);
            }
            Statement::Counter => expression(out, "counter", |_| {}),
            Statement::DnatMap { ipv6, fields, map } => {
                self.require_family(out, *ipv6);
                self.load_all(out, fields);
                lookup(out, map, false, true);
                let address = if *ipv6 { Kind::Ipv6 } else { Kind::Ipv4 };
                nat(out, NFT_NAT_DNAT, *ipv6, Some(register(address.width())));
            }
            Statement::SnatMap { ipv6, fields, map } => {
                self.require_family(out, *ipv6);
                self.load_all(out, fields);
                lookup(out, map, false, true);
                nat(out, NFT_NAT_SNAT, *ipv6, None);
            }
            Statement::Masquerade => expression(out, "masq", |_| {}),
            Statement::ForwardToLoopback { index } => forward_to_loopback(out, *index),
            Statement::Jump(chain) => {
                const NFT_JUMP: i32 = -3;
                verdict_immediate(out, NFT_JUMP, Some(chain));
            }
            Statement::Verdict(verdict) => verdict_immediate(out, verdict.code(), None),
        }
    }

    /// Loads fields side by side, as a concatenated key.
    fn load_all(&mut self, out: &mut Writer, fields: &[Field]) {
        for field in fields {
            // Dependencies come first: they use the registers too.
            self.depend(out, *field);
        }
        let mut offset = 0;
        for field in fields {
            self.load(out, *field, offset);
            offset += padded(field.width());
        }
    }

    fn load(&mut self, out: &mut Writer, field: Field, offset: usize) {
        self.depend(out, field);
        let into = register(offset);
        match field {
            Field::IifName => meta(out, NFT_META_IIFNAME, into),
            Field::OifName => meta(out, NFT_META_OIFNAME, into),
            Field::IifKind => meta(out, NFT_META_IIFKIND, into),
            Field::OifKind => meta(out, NFT_META_OIFKIND, into),
            Field::IifGroup => meta(out, NFT_META_IIFGROUP, into),
            Field::OifGroup => meta(out, NFT_META_OIFGROUP, into),
            Field::Protocol => meta(out, NFT_META_L4PROTO, into),
            Field::Ip4Source => payload(out, NFT_PAYLOAD_NETWORK_HEADER, 12, 4, into),
            Field::Ip4Destination => payload(out, NFT_PAYLOAD_NETWORK_HEADER, 16, 4, into),
            Field::Ip6Source => payload(out, NFT_PAYLOAD_NETWORK_HEADER, 8, 16, into),
            Field::Ip6Destination => payload(out, NFT_PAYLOAD_NETWORK_HEADER, 24, 16, into),
            Field::SourcePort => payload(out, NFT_PAYLOAD_TRANSPORT_HEADER, 0, 2, into),
            Field::DestinationPort => payload(out, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, into),
            Field::EtherSource => payload(out, NFT_PAYLOAD_LL_HEADER, 6, 6, into),
            Field::ArpSenderMac => payload(out, NFT_PAYLOAD_NETWORK_HEADER, 8, 6, into),
            Field::ArpSenderAddress => payload(out, NFT_PAYLOAD_NETWORK_HEADER, 14, 4, into),
            Field::AdvertisedTarget => payload(out, NFT_PAYLOAD_TRANSPORT_HEADER, 8, 16, into),
        }
    }

    /// Asks for the network protocol a header field belongs to, once a rule.
    fn depend(&mut self, out: &mut Writer, field: Field) {
        match field {
            Field::Ip4Source | Field::Ip4Destination => self.require_family(out, false),
            Field::Ip6Source | Field::Ip6Destination => self.require_family(out, true),
            _ => {}
        }
    }

    fn require_family(&mut self, out: &mut Writer, ipv6: bool) {
        let family = if ipv6 { NFPROTO_IPV6 } else { NFPROTO_IPV4 };
        if self.family == Some(family) {
            return;
        }
        self.family = Some(family);
        if self.by_ethertype {
            let ethertype: u16 = if ipv6 { 0x86dd } else { 0x0800 };
            meta(out, NFT_META_PROTOCOL, register(0));
            compare(out, false, &ethertype.to_be_bytes());
        } else {
            meta(out, NFT_META_NFPROTO, register(0));
            compare(out, false, &[family]);
        }
    }
}

impl Verdict {
    fn code(self) -> i32 {
        match self {
            Verdict::Drop => 0,
            Verdict::Accept => 1,
            Verdict::Return => -5,
        }
    }
}

impl Field {
    fn width(self) -> usize {
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

/// One expression: its name, and the attributes `fill` writes.
fn expression(out: &mut Writer, name: &str, fill: impl FnOnce(&mut Writer)) {
    out.nest(NFTA_LIST_ELEM, |out| {
        out.text(NFTA_EXPR_NAME, name);
        out.nest(NFTA_EXPR_DATA, fill);
    });
}

fn meta(out: &mut Writer, key: u32, into: u32) {
    expression(out, "meta", |out| {
        out.be32(2, key);
        out.be32(1, into);
    });
}

fn conntrack(out: &mut Writer, key: u32) {
    expression(out, "ct", |out| {
        out.be32(2, key);
        out.be32(1, register(0));
    });
}

/// Whether the connection is in one of these states.
fn conntrack_state(out: &mut Writer, states: u32) {
    conntrack(out, NFT_CT_STATE);
    and(out, &states.to_ne_bytes());
    compare(out, true, &[0; 4]);
}

fn payload(out: &mut Writer, base: u32, offset: u32, length: u32, into: u32) {
    expression(out, "payload", |out| {
        out.be32(1, into);
        out.be32(2, base);
        out.be32(3, offset);
        out.be32(4, length);
    });
}

fn bytes_are(out: &mut Writer, base: u32, offset: u32, value: &[u8]) {
    payload(out, base, offset, value.len() as u32, register(0));
    compare(out, false, value);
}

/// Writes the first register into the packet, and what that changes about a checksum.
fn set_payload(out: &mut Writer, (base, offset, length): (u32, u32, u32), checksum: Option<u32>) {
    const NFT_PAYLOAD_CSUM_INET: u32 = 1;
    expression(out, "payload", |out| {
        out.be32(5, register(0));
        out.be32(2, base);
        out.be32(3, offset);
        out.be32(4, length);
        out.be32(6, checksum.map_or(0, |_| NFT_PAYLOAD_CSUM_INET));
        out.be32(7, checksum.unwrap_or(0));
        out.be32(8, 0);
    });
}

fn fib(out: &mut Writer, result: u32, flags: u32) {
    expression(out, "fib", |out| {
        out.be32(3, flags);
        out.be32(2, result);
        out.be32(1, register(0));
    });
}

/// Compares the first register with a value.
fn compare(out: &mut Writer, negate: bool, value: &[u8]) {
    expression(out, "cmp", |out| {
        out.be32(1, register(0));
        out.be32(2, if negate { NFT_CMP_NEQ } else { NFT_CMP_EQ });
        out.nest(3, |out| out.raw(NFTA_DATA_VALUE, value));
    });
}

/// Masks the first register.
fn and(out: &mut Writer, mask: &[u8]) {
    bitwise(out, mask, &vec![0; mask.len()]);
}

/// Masks the first register, then flips bits of it.
fn bitwise(out: &mut Writer, mask: &[u8], flip: &[u8]) {
    expression(out, "bitwise", |out| {
        out.be32(1, register(0));
        out.be32(2, register(0));
        out.be32(3, mask.len() as u32);
        out.nest(4, |out| out.raw(NFTA_DATA_VALUE, mask));
        out.nest(5, |out| out.raw(NFTA_DATA_VALUE, flip));
    });
}

/// Looks the first registers up in a set, or in a map whose data then fills them.
fn lookup(out: &mut Writer, set: &str, negate: bool, is_map: bool) {
    expression(out, "lookup", |out| {
        out.text(1, set);
        out.be32(2, register(0));
        if is_map {
            out.be32(3, register(0));
        }
        if negate {
            out.be32(5, 1);
        }
    });
}

/// Translates to the address in the first register, and to a port if one is loaded.
fn nat(out: &mut Writer, kind: u32, ipv6: bool, port_register: Option<u32>) {
    expression(out, "nat", |out| {
        out.be32(1, kind);
        out.be32(2, u32::from(if ipv6 { NFPROTO_IPV6 } else { NFPROTO_IPV4 }));
        out.be32(3, register(0));
        if let Some(port_register) = port_register {
            out.be32(5, port_register);
        }
    });
}

fn immediate(out: &mut Writer, into: u32, value: &[u8]) {
    expression(out, "immediate", |out| {
        out.be32(1, into);
        out.nest(2, |out| out.raw(NFTA_DATA_VALUE, value));
    });
}

fn verdict_immediate(out: &mut Writer, code: i32, chain: Option<&str>) {
    const NFT_REG_VERDICT: u32 = 0;
    expression(out, "immediate", |out| {
        out.be32(1, NFT_REG_VERDICT);
        out.nest(2, |out| {
            out.nest(NFTA_DATA_VERDICT, |out| {
                out.be32(NFTA_VERDICT_CODE, code as u32);
                if let Some(chain) = chain {
                    out.text(NFTA_VERDICT_CHAIN, chain);
                }
            });
        });
    });
}

/// Marks the frame as for this host, which it was not for a bridge's port; rewrites the destination
/// MAC to the loopback's, so that it stays so (`eth_type_trans`); and hands it to the loopback.
fn forward_to_loopback(out: &mut Writer, index: u32) {
    const PACKET_HOST: u8 = 0;
    immediate(out, register(0), &[PACKET_HOST]);
    expression(out, "meta", |out| {
        out.be32(2, NFT_META_PKTTYPE);
        out.be32(3, register(0));
    });
    immediate(out, register(0), &[0; 6]);
    set_payload(out, (NFT_PAYLOAD_LL_HEADER, 0, 6), None);
    immediate(out, register(0), &index.to_ne_bytes());
    expression(out, "fwd", |out| out.be32(1, register(0)));
}
