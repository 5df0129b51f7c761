//! Chains of everybody, read from the kernel: who else filters here.

use netyard_netlink::{attributes, Protocol, Socket};

use crate::consts::{NFNL_SUBSYS_NFTABLES, NFT_MSG_GETCHAIN, NFT_MSG_GETGEN};
use crate::{Error, Result};

/// A chain as the kernel describes it.
#[derive(Debug, Clone, Default)]
pub struct ChainInfo {
    /// As `nft` says it: `ip`, `ip6`, `inet`, …
    pub family: &'static str,
    pub table: String,
    pub name: String,
    /// Where it is hooked in, as the kernel numbers hooks; `None` for one that is jumped to.
    pub hook: Option<u32>,
    /// Packets that reach its end are dropped.
    pub drops: bool,
}

/// Lists the chains of the calling thread's namespace. Same as `nft list chains`.
pub fn list_chains() -> Result<Vec<ChainInfo>> {
    let mut socket = Socket::open(Protocol::Netfilter)?;
    let mut chains = Vec::new();
    let kind = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETCHAIN;
    socket.dump("list chains", kind, &[0; 4], |_, payload| {
        chains.extend(describe(payload));
        Ok(())
    })?;
    Ok(chains)
}

/// The number of changes there have been in the calling thread's namespace, anybody's (32 bits, which
/// wrap). Two reads that agree: nothing has changed between them.
pub fn generation() -> Result<u32> {
    const GEN_ID: u16 = 1;
    let mut socket = Socket::open(Protocol::Netfilter)?;
    let kind = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETGEN;
    let answer = socket.ask("read generation", kind, &[0; 4])?;
    let found = attributes(
        answer
            .as_deref()
            .and_then(|all| all.get(4..))
            .unwrap_or(&[]),
    )
    .find(|(kind, _)| *kind == GEN_ID)
    .and_then(|(_, value)| value.try_into().ok())
    .map(u32::from_be_bytes);
    found.ok_or_else(|| {
        Error::Netlink(netyard_netlink::Error::Malformed {
            operation: "read generation",
            detail: "no number in the answer".to_string(),
        })
    })
}

pub(crate) fn describe(payload: &[u8]) -> Option<ChainInfo> {
    const TABLE: u16 = 1;
    const NAME: u16 = 3;
    const HOOK: u16 = 4;
    const POLICY: u16 = 5;
    let mut chain = ChainInfo {
        family: family_name(*payload.first()?)?,
        ..ChainInfo::default()
    };
    for (kind, value) in attributes(payload.get(4..)?) {
        match kind {
            TABLE => chain.table = text(value),
            NAME => chain.name = text(value),
            HOOK => {
                chain.hook = attributes(value)
                    .find(|(inner, _)| *inner == 1)
                    .and_then(|(_, number)| Some(u32::from_be_bytes(number.try_into().ok()?)));
            }
            POLICY => chain.drops = u32::from_be_bytes(value.try_into().ok()?) == 0,
            _ => {}
        }
    }
    Some(chain)
}

fn family_name(number: u8) -> Option<&'static str> {
    Some(match number {
        1 => "inet",
        2 => "ip",
        3 => "arp",
        5 => "netdev",
        7 => "bridge",
        10 => "ip6",
        _ => return None,
    })
}

fn text(value: &[u8]) -> String {
    let end = value.iter().position(|byte| *byte == 0);
    String::from_utf8_lossy(&value[..end.unwrap_or(value.len())]).into_owned()
}
