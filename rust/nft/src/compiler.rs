//! What each statement of a rule becomes: kernel expressions, and those they depend on.

use crate::consts::*;
use crate::expr::*;
use crate::family::Family;
use crate::statement::{Field, Statement};
use crate::value::{padded, Kind};
use crate::wire::Writer;

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
