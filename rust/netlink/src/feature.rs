//! Parts of the kernel that it may have been built without, or whose module is not loaded.

/// What a request needs of the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feature {
    NfTables,
    Bridge,
    Veth,
    Vlan,
    Dummy,
    Macvlan,
    Ipvlan,
    Vxlan,
    WireGuard,
}
