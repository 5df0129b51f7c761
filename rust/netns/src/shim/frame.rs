//! What supervisor and attached clients say to each other: one packet of a SOCK_SEQPACKET socket,
//! its first byte the kind, the rest the payload.

/// Payload of one packet.
pub(crate) const CHUNK: usize = 16 << 10;

/// Client: bytes for the container's input.
pub(crate) const INPUT: u8 = 0;
/// Supervisor: bytes of the container's output.
pub(crate) const OUTPUT: u8 = 1;
/// Supervisor: bytes of the container's error output.
pub(crate) const ERROR_OUTPUT: u8 = 2;
/// Client: rows and columns of its terminal, two big-endian 16-bit numbers.
pub(crate) const RESIZE: u8 = 3;
/// Client: no more input will come.
pub(crate) const INPUT_END: u8 = 4;
/// Supervisor: the container ended with this status (one byte). The last packet.
pub(crate) const ENDED: u8 = 5;
/// Client: "I clean up after the container"; then the supervisor does not, unless I vanish. Such
/// a client is sent no output, only the end.
pub(crate) const CLAIM: u8 = 6;
/// Client: end the container.
pub(crate) const KILL: u8 = 8;
/// Client: cleaned up.
pub(crate) const CLEANED: u8 = 7;
