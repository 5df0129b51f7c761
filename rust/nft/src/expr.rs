//! The expressions that the kernel knows, one function each.

use crate::consts::*;
use crate::wire::Writer;

/// A register is 16 bytes wide, and 32-bit pieces of it have numbers of their own.
pub(crate) fn register(offset: usize) -> u32 {
    const NFT_REG_1: usize = 1;
    const NFT_REG32_00: usize = 8;
    (match offset % 16 {
        0 => NFT_REG_1 + offset / 16,
        _ => NFT_REG32_00 + offset / 4,
    }) as u32
}

/// One expression: its name, and the attributes `fill` writes.
pub(crate) fn expression(out: &mut Writer, name: &str, fill: impl FnOnce(&mut Writer)) {
    out.nest(NFTA_LIST_ELEM, |out| {
        out.text(NFTA_EXPR_NAME, name);
        out.nest(NFTA_EXPR_DATA, fill);
    });
}

pub(crate) fn meta(out: &mut Writer, key: u32, into: u32) {
    expression(out, "meta", |out| {
        out.be32(2, key);
        out.be32(1, into);
    });
}

pub(crate) fn conntrack(out: &mut Writer, key: u32) {
    expression(out, "ct", |out| {
        out.be32(2, key);
        out.be32(1, register(0));
    });
}

/// Whether the connection is in one of these states.
pub(crate) fn conntrack_state(out: &mut Writer, states: u32) {
    conntrack(out, NFT_CT_STATE);
    and(out, &states.to_ne_bytes());
    compare(out, true, &[0; 4]);
}

pub(crate) fn payload(out: &mut Writer, base: u32, offset: u32, length: u32, into: u32) {
    expression(out, "payload", |out| {
        out.be32(1, into);
        out.be32(2, base);
        out.be32(3, offset);
        out.be32(4, length);
    });
}

pub(crate) fn bytes_are(out: &mut Writer, base: u32, offset: u32, value: &[u8]) {
    payload(out, base, offset, value.len() as u32, register(0));
    compare(out, false, value);
}

/// Writes the first register into the packet, and what that changes about a checksum.
pub(crate) fn set_payload(
    out: &mut Writer,
    (base, offset, length): (u32, u32, u32),
    checksum: Option<u32>,
) {
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

pub(crate) fn fib(out: &mut Writer, result: u32, flags: u32) {
    expression(out, "fib", |out| {
        out.be32(3, flags);
        out.be32(2, result);
        out.be32(1, register(0));
    });
}

/// Compares the first register with a value.
pub(crate) fn compare(out: &mut Writer, negate: bool, value: &[u8]) {
    expression(out, "cmp", |out| {
        out.be32(1, register(0));
        out.be32(2, if negate { NFT_CMP_NEQ } else { NFT_CMP_EQ });
        out.nest(3, |out| out.raw(NFTA_DATA_VALUE, value));
    });
}

/// Masks the first register.
pub(crate) fn and(out: &mut Writer, mask: &[u8]) {
    bitwise(out, mask, &vec![0; mask.len()]);
}

/// Masks the first register, then flips bits of it.
pub(crate) fn bitwise(out: &mut Writer, mask: &[u8], flip: &[u8]) {
    expression(out, "bitwise", |out| {
        out.be32(1, register(0));
        out.be32(2, register(0));
        out.be32(3, mask.len() as u32);
        out.nest(4, |out| out.raw(NFTA_DATA_VALUE, mask));
        out.nest(5, |out| out.raw(NFTA_DATA_VALUE, flip));
    });
}

/// Looks the first registers up in a set, or in a map whose data then fills them.
pub(crate) fn lookup(out: &mut Writer, set: &str, negate: bool, is_map: bool) {
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
pub(crate) fn nat(out: &mut Writer, kind: u32, ipv6: bool, port_register: Option<u32>) {
    expression(out, "nat", |out| {
        out.be32(1, kind);
        out.be32(2, u32::from(if ipv6 { NFPROTO_IPV6 } else { NFPROTO_IPV4 }));
        out.be32(3, register(0));
        if let Some(port_register) = port_register {
            out.be32(5, port_register);
        }
    });
}

pub(crate) fn immediate(out: &mut Writer, into: u32, value: &[u8]) {
    expression(out, "immediate", |out| {
        out.be32(1, into);
        out.nest(2, |out| out.raw(NFTA_DATA_VALUE, value));
    });
}

pub(crate) fn verdict_immediate(out: &mut Writer, code: i32, chain: Option<&str>) {
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
pub(crate) fn forward_to_loopback(out: &mut Writer, index: u32) {
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
