//! User data: what the kernel keeps for `nft` and never looks at (comments, byte order of keys).
//!
//! Numbers from libnftnl's `include/libnftnl/udata.h`.

const RULE_COMMENT: u8 = 0;
const SET_KEYBYTEORDER: u8 = 0;
const SET_DATABYTEORDER: u8 = 1;
const ELEM_COMMENT: u8 = 0;
const BYTEORDER_HOST_ENDIAN: u32 = 1;
const BYTEORDER_BIG_ENDIAN: u32 = 2;
/// What `nft` accepts for a comment.
const COMMENT_MAX: usize = 127;

fn entry(out: &mut Vec<u8>, kind: u8, value: &[u8]) {
    out.push(kind);
    out.push(value.len() as u8);
    out.extend(value);
}

fn comment(kind: u8, text: &str) -> Vec<u8> {
    let mut cut = text.len().min(COMMENT_MAX);
    while !text.is_char_boundary(cut) {
        cut -= 1;
    }
    let mut value = text.as_bytes()[..cut].to_vec();
    value.push(0);
    let mut out = Vec::new();
    entry(&mut out, kind, &value);
    out
}

/// The comment of a rule.
pub(crate) fn rule_comment(text: &str) -> Vec<u8> {
    comment(RULE_COMMENT, text)
}

/// The comment of an element.
pub(crate) fn element_comment(text: &str) -> Vec<u8> {
    comment(ELEM_COMMENT, text)
}

/// Tells `nft` how to read keys (and data): names as they are, all else in network order.
pub(crate) fn set_byte_order(is_name: bool, is_map: bool) -> Vec<u8> {
    let mut out = Vec::new();
    let key_order = if is_name {
        BYTEORDER_HOST_ENDIAN
    } else {
        BYTEORDER_BIG_ENDIAN
    };
    entry(&mut out, SET_KEYBYTEORDER, &key_order.to_ne_bytes());
    if is_map {
        entry(
            &mut out,
            SET_DATABYTEORDER,
            &BYTEORDER_BIG_ENDIAN.to_ne_bytes(),
        );
    }
    out
}
