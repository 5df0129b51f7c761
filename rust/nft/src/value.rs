//! Typed fields of set keys and map data: their width, their number in `nft`'s books, their bytes.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::{Error, Result};

/// The type of one field of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    IfName,
    Ether,
    Ipv4,
    Ipv6,
    Protocol,
    Port,
}

/// One field of an element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    Text(String),
    Ether([u8; 6]),
    Ipv4(Ipv4Addr),
    Ipv6(Ipv6Addr),
    Number(u16),
}

const IFNAMSIZ: usize = 16;

impl Kind {
    /// By `nft`'s name for it.
    pub fn by_name(name: &str) -> Option<Self> {
        Some(match name {
            "ifname" => Kind::IfName,
            "ether_addr" => Kind::Ether,
            "ipv4_addr" => Kind::Ipv4,
            "ipv6_addr" => Kind::Ipv6,
            "inet_proto" => Kind::Protocol,
            "inet_service" => Kind::Port,
            _ => return None,
        })
    }

    fn name(self) -> &'static str {
        match self {
            Kind::IfName => "interface name",
            Kind::Ether => "MAC address",
            Kind::Ipv4 => "IPv4 address",
            Kind::Ipv6 => "IPv6 address",
            Kind::Protocol => "protocol number",
            Kind::Port => "port",
        }
    }

    /// Width in bytes, without padding.
    pub(crate) fn width(self) -> usize {
        match self {
            Kind::IfName => IFNAMSIZ,
            Kind::Ether => 6,
            Kind::Ipv4 => 4,
            Kind::Ipv6 => 16,
            Kind::Protocol => 1,
            Kind::Port => 2,
        }
    }

    /// The number `nft` has for the type (`enum datatypes` in its `include/datatype.h`); the
    /// kernel only stores it, so that `nft list` knows how to print the elements.
    fn datatype(self) -> u32 {
        match self {
            Kind::Ipv4 => 7,
            Kind::Ipv6 => 8,
            Kind::Ether => 9,
            Kind::Protocol => 12,
            Kind::Port => 13,
            Kind::IfName => 41,
        }
    }

    /// The field's bytes.
    fn encode(self, value: &Value, out: &mut Vec<u8>) -> Result<()> {
        match (self, value) {
            (Kind::IfName, Value::Text(name)) if name.len() < IFNAMSIZ && !name.is_empty() => {
                let start = out.len();
                out.extend(name.as_bytes());
                out.resize(start + IFNAMSIZ, 0);
            }
            (Kind::Ether, Value::Ether(address)) => out.extend(address),
            (Kind::Ipv4, Value::Ipv4(address)) => out.extend(address.octets()),
            (Kind::Ipv6, Value::Ipv6(address)) => out.extend(address.octets()),
            (Kind::Protocol, Value::Number(number)) if *number < 256 => out.push(*number as u8),
            (Kind::Port, Value::Number(number)) => out.extend(number.to_be_bytes()),
            _ => {
                return Err(Error::Value {
                    value: format!("{value:?}"),
                    kind: self.name(),
                })
            }
        }
        Ok(())
    }
}

/// The number of a concatenation: six bits a field.
pub(crate) fn datatype(kinds: &[Kind]) -> u32 {
    kinds.iter().fold(0, |all, kind| all << 6 | kind.datatype())
}

/// The width of a key: each field of a concatenation fills whole 32-bit registers.
pub(crate) fn width(kinds: &[Kind]) -> usize {
    match kinds {
        [one] => one.width(),
        many => many.iter().map(|kind| padded(kind.width())).sum(),
    }
}

pub(crate) fn padded(width: usize) -> usize {
    (width + 3) & !3
}

/// The bytes of a key or of a map's data.
pub(crate) fn encode(set: &str, kinds: &[Kind], values: &[Value]) -> Result<Vec<u8>> {
    if kinds.len() != values.len() {
        return Err(Error::Arity {
            set: set.to_string(),
            got: values.len(),
            wanted: kinds.len(),
        });
    }
    let mut out = Vec::with_capacity(width(kinds));
    for (kind, value) in kinds.iter().zip(values) {
        kind.encode(value, &mut out)?;
        if kinds.len() > 1 {
            out.resize(padded(out.len()), 0);
        }
    }
    Ok(out)
}
