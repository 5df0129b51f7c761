//! Extended acknowledgements: the kernel's sentence about an error, and the attribute it means.
//!
//! Source: `Documentation/userspace-api/netlink/intro.rst`, "Extended ACK".

use crate::names::AttributeName;
use crate::subject::Subject;

const NLMSGERR_ATTR_MSG: u16 = 1;
const NLMSGERR_ATTR_OFFS: u16 = 2;
const NESTED_MASK: u16 = 0x3fff;

/// The text and the offset out of the attributes that follow an error message.
pub(crate) struct ExtAck {
    pub(crate) message: Option<String>,
    pub(crate) offset: Option<usize>,
}

impl ExtAck {
    /// Reads the attributes after the error header; unknown ones are passed over.
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let mut ack = ExtAck {
            message: None,
            offset: None,
        };
        for (kind, value) in attributes(bytes) {
            match kind {
                NLMSGERR_ATTR_MSG => {
                    let text = value.strip_suffix(&[0]).unwrap_or(value);
                    ack.message = Some(String::from_utf8_lossy(text).into_owned());
                }
                NLMSGERR_ATTR_OFFS if value.len() >= 4 => {
                    let raw = [value[0], value[1], value[2], value[3]];
                    ack.offset = Some(u32::from_ne_bytes(raw) as usize);
                }
                _ => {}
            }
        }
        ack
    }
}

/// Walks a run of netlink attributes, stopping at the first that does not fit.
pub fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        if bytes.len() < 4 {
            return None;
        }
        let length = usize::from(u16::from_ne_bytes([bytes[0], bytes[1]]));
        let kind = u16::from_ne_bytes([bytes[2], bytes[3]]) & NESTED_MASK;
        if length < 4 || length > bytes.len() {
            return None;
        }
        let value = &bytes[4..length];
        bytes = &bytes[((length + 3) & !3).min(bytes.len())..];
        Some((kind, value))
    })
}

/// Translates an offset into a request to the path of the attribute that starts there.
///
/// `request` is the whole message, header included, as it was sent.
pub(crate) fn attribute_path(request: &[u8], offset: usize, subject: &Subject) -> Option<String> {
    let first = 16 + subject.fixed_header;
    let mut path = Vec::new();
    let found = descend(
        request,
        first,
        request.len(),
        offset,
        subject.names,
        &mut path,
    );
    found.then(|| path.join("/"))
}

/// Looks for the attribute that starts at `wanted` within `start..end`.
fn descend(
    request: &[u8],
    start: usize,
    end: usize,
    wanted: usize,
    names: &'static [AttributeName],
    path: &mut Vec<String>,
) -> bool {
    let mut at = start;
    while at + 4 <= end {
        let length = usize::from(u16::from_ne_bytes([request[at], request[at + 1]]));
        let kind = u16::from_ne_bytes([request[at + 2], request[at + 3]]) & NESTED_MASK;
        if length < 4 || at + length > end {
            return false;
        }
        let known = names.iter().find(|entry| entry.kind == kind);
        path.push(known.map_or_else(|| format!("#{kind}"), |entry| entry.name.to_string()));
        if at == wanted {
            return true;
        }
        if wanted > at && wanted < at + length {
            let inner = known.map_or(&[][..], |entry| entry.nested);
            return descend(request, at + 4, at + length, wanted, inner, path);
        }
        path.pop();
        at += (length + 3) & !3;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let mut out = ((value.len() + 4) as u16).to_ne_bytes().to_vec();
        out.extend(kind.to_ne_bytes());
        out.extend(value);
        out.resize((out.len() + 3) & !3, 0);
        out
    }

    #[test]
    fn reads_text_and_offset() {
        let mut bytes = attribute(NLMSGERR_ATTR_OFFS, &40u32.to_ne_bytes());
        bytes.extend(attribute(NLMSGERR_ATTR_MSG, b"Invalid master device\0"));
        let ack = ExtAck::parse(&bytes);
        assert_eq!(ack.message.as_deref(), Some("Invalid master device"));
        assert_eq!(ack.offset, Some(40));
    }

    #[test]
    fn names_the_nested_attribute() {
        let inner = attribute(1, b"veth\0");
        let mut request = vec![0; 32];
        request.extend(attribute(3, b"eth0\0"));
        request.extend(attribute(18, &inner));
        let subject = Subject::link("create link", "eth0");
        let outer = 32 + attribute(3, b"eth0\0").len();
        let path = |offset| attribute_path(&request, offset, &subject);
        assert_eq!(path(32).as_deref(), Some("IFLA_IFNAME"));
        assert_eq!(
            path(outer + 4).as_deref(),
            Some("IFLA_LINKINFO/IFLA_INFO_KIND")
        );
        assert_eq!(path(outer + 7), None);
    }

    #[test]
    fn truncated_attributes_end_the_walk() {
        assert_eq!(attributes(&[9, 0, 1, 0, 5]).count(), 0);
        assert_eq!(attributes(&[3, 0, 1, 0]).count(), 0);
    }
}
