//! The names of one network: an immutable snapshot, replaced when an endpoint comes or goes. Copies
//! share what has not changed, so that one more of a hundred thousand is cheap.

use std::net::IpAddr;
use std::sync::Arc;

use crate::sharded::Sharded;
use crate::wire::{encode_name, encode_name_as_is};
use crate::{Error, Result};

/// What one endpoint is called and where it is.
#[derive(Debug, Clone)]
pub struct EndpointNames {
    /// Any id that is unique within the network.
    pub id: String,
    /// Names and aliases; the first is the one a reverse lookup gives.
    pub names: Vec<String>,
    pub addresses: Vec<IpAddr>,
}

/// The names of one network.
#[derive(Clone, Default)]
pub struct Zone {
    /// The network's own name as labels, without the root's: what may follow a container's name.
    suffix: Box<[u8]>,
    network: String,
    subnets: Vec<(IpAddr, u8)>,
    endpoints: Sharded<String, Arc<EndpointNames>>,
    names: Sharded<Arc<[u8]>, Arc<[IpAddr]>>,
    reverse: Sharded<IpAddr, Arc<[u8]>>,
}

impl Zone {
    /// An empty zone of the network of this name and these subnets.
    pub fn new(network: &str, subnets: Vec<(IpAddr, u8)>) -> Result<Self> {
        let wire = encode_name(network).ok_or_else(|| Error::Name(network.to_string()))?;
        Ok(Zone {
            suffix: wire[..wire.len() - 1].into(),
            network: network.to_string(),
            subnets,
            ..Zone::default()
        })
    }

    /// A copy without the endpoints of `removed` and with those of `added`.
    pub fn updated(&self, removed: &[String], added: Vec<EndpointNames>) -> Result<Self> {
        let mut zone = self.clone();
        for id in removed {
            zone.remove(id);
        }
        for endpoint in added {
            zone.remove(&endpoint.id);
            zone.insert(endpoint)?;
        }
        Ok(zone)
    }

    fn insert(&mut self, endpoint: EndpointNames) -> Result<()> {
        for name in &endpoint.names {
            let wire = encode_name(name).ok_or_else(|| Error::Name(name.clone()))?;
            let slot = self.names.piece(&*wire).entry(wire.into()).or_default();
            let mut all = slot.to_vec();
            all.extend(
                endpoint
                    .addresses
                    .iter()
                    .filter(|address| !slot.contains(address)),
            );
            *slot = all.into();
        }
        if let Some(first) = endpoint.names.first() {
            let full = format!("{first}.{}", self.network);
            let wire: Arc<[u8]> = encode_name_as_is(&full)
                .ok_or_else(|| Error::Name(full.clone()))?
                .into();
            for address in &endpoint.addresses {
                self.reverse.piece(address).insert(*address, wire.clone());
            }
        }
        self.endpoints
            .piece(endpoint.id.as_str())
            .insert(endpoint.id.clone(), Arc::new(endpoint));
        Ok(())
    }

    fn remove(&mut self, id: &str) {
        if self.endpoints.get(id).is_none() {
            return;
        }
        let Some(endpoint) = self.endpoints.piece(id).remove(id) else {
            return;
        };
        for name in &endpoint.names {
            let Some(wire) = encode_name(name) else {
                continue;
            };
            let names = self.names.piece(&*wire);
            let Some(slot) = names.get_mut(&*wire) else {
                continue;
            };
            let left: Vec<IpAddr> = slot
                .iter()
                .filter(|a| !endpoint.addresses.contains(a))
                .copied()
                .collect();
            if left.is_empty() {
                names.remove(&*wire);
            } else {
                *slot = left.into();
            }
        }
        for address in &endpoint.addresses {
            self.reverse.piece(address).remove(address);
        }
    }

    /// Addresses of a name given in wire format, lower case.
    pub(crate) fn lookup(&self, name: &[u8]) -> Option<&[IpAddr]> {
        self.names.get(name).map(|addresses| &**addresses)
    }

    /// The full name of an address, in wire format.
    pub(crate) fn name_of(&self, address: &IpAddr) -> Option<&[u8]> {
        self.reverse.get(address).map(|name| &**name)
    }

    pub(crate) fn suffix(&self) -> &[u8] {
        &self.suffix
    }

    /// Whether the address belongs to this network, known or not.
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        self.subnets
            .iter()
            .any(|(base, prefix)| within(address, *base, *prefix))
    }
}

fn within(address: IpAddr, base: IpAddr, prefix: u8) -> bool {
    match (address, base) {
        (IpAddr::V4(a), IpAddr::V4(b)) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            (u32::from(a) ^ u32::from(b)) & mask == 0
        }
        (IpAddr::V6(a), IpAddr::V6(b)) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
            (u128::from(a) ^ u128::from(b)) & mask == 0
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(id: &str, names: &[&str], address: &str) -> EndpointNames {
        EndpointNames {
            id: id.into(),
            names: names.iter().map(ToString::to_string).collect(),
            addresses: vec![address.parse().unwrap()],
        }
    }

    #[test]
    fn shared_aliases_come_and_go_one_by_one() {
        let empty = Zone::new("my-net", vec![("10.1.0.0".parse().unwrap(), 24)]).unwrap();
        let added = vec![
            endpoint("1", &["Web1", "web"], "10.1.0.2"),
            endpoint("2", &["web2", "web"], "10.1.0.3"),
        ];
        let both = empty.updated(&[], added).unwrap();
        assert_eq!(both.lookup(b"\x03web\x00").unwrap().len(), 2);
        assert_eq!(
            both.name_of(&"10.1.0.2".parse().unwrap()).unwrap(),
            b"\x04Web1\x06my-net\x00"
        );
        let one = both.updated(&["1".into()], vec![]).unwrap();
        assert_eq!(
            one.lookup(b"\x03web\x00").unwrap(),
            ["10.1.0.3".parse::<IpAddr>().unwrap()]
        );
        assert!(one.lookup(b"\x04web1\x00").is_none());
        assert!(one.name_of(&"10.1.0.2".parse().unwrap()).is_none());
        assert!(one.contains("10.1.0.77".parse().unwrap()));
        assert!(!one.contains("10.1.1.2".parse().unwrap()));
    }
}
