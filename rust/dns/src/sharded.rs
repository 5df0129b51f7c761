//! A map in pieces that copies share: changing a copy of a large one copies the pieces it touches.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

const SHARDS: usize = 256;

/// What says in which piece a key is. Only evenness depends on it: anybody may choose names.
pub(crate) trait Place {
    fn place(&self) -> usize;
}

impl Place for [u8] {
    /// FNV-1a.
    fn place(&self) -> usize {
        let hash = self.iter().fold(0x811c_9dc5_u32, |hash, byte| {
            (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
        });
        (hash ^ (hash >> 16)) as usize
    }
}

impl Place for str {
    fn place(&self) -> usize {
        self.as_bytes().place()
    }
}

impl Place for std::net::IpAddr {
    fn place(&self) -> usize {
        match self {
            std::net::IpAddr::V4(v4) => v4.octets().place(),
            std::net::IpAddr::V6(v6) => v6.octets().place(),
        }
    }
}

#[derive(Clone)]
pub(crate) struct Sharded<K, V> {
    shards: Box<[Arc<HashMap<K, V>>]>,
}

impl<K, V> Default for Sharded<K, V> {
    fn default() -> Self {
        // All of them one and the same as long as they are empty.
        Sharded {
            shards: vec![Arc::default(); SHARDS].into(),
        }
    }
}

impl<K: Eq + Hash + Clone, V: Clone> Sharded<K, V> {
    pub(crate) fn get<Q>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + Place + ?Sized,
    {
        self.shards[key.place() % SHARDS].get(key)
    }

    /// The piece a key is in, for changes: a copy of its own if others have it, too.
    pub(crate) fn piece<Q>(&mut self, key: &Q) -> &mut HashMap<K, V>
    where
        Q: Place + ?Sized,
    {
        Arc::make_mut(&mut self.shards[key.place() % SHARDS])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_changes_by_itself() {
        let mut one: Sharded<String, u32> = Sharded::default();
        for number in 0..1000 {
            let key = format!("key-{number}");
            one.piece(key.as_str()).insert(key.clone(), number);
        }
        let mut two = one.clone();
        two.piece("key-7").remove("key-7");
        assert_eq!(one.get("key-7"), Some(&7));
        assert_eq!(two.get("key-7"), None);
        let shared = one
            .shards
            .iter()
            .zip(&two.shards)
            .filter(|(a, b)| Arc::ptr_eq(a, b))
            .count();
        assert_eq!(shared, SHARDS - 1);
        let largest = one.shards.iter().map(|each| each.len()).max();
        assert!(largest < Some(20), "uneven: {largest:?}");
    }
}
