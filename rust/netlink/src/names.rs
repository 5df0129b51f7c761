//! The kernel's names for the attributes that netyard sends, for the errors that point at one.

/// A kernel name for an attribute number, and the names one level down.
pub(crate) struct AttributeName {
    pub kind: u16,
    pub name: &'static str,
    pub nested: &'static [AttributeName],
}

macro_rules! names {
    ($($kind:literal $name:literal),* $(,)?) => {
        &[$(AttributeName { kind: $kind, name: $name, nested: &[] }),*]
    };
}

/// `IFLA_*` of `include/uapi/linux/if_link.h`, as far as we send them.
pub(crate) const LINK: &[AttributeName] = &[
    AttributeName {
        kind: 1,
        name: "IFLA_ADDRESS",
        nested: &[],
    },
    AttributeName {
        kind: 3,
        name: "IFLA_IFNAME",
        nested: &[],
    },
    AttributeName {
        kind: 4,
        name: "IFLA_MTU",
        nested: &[],
    },
    AttributeName {
        kind: 10,
        name: "IFLA_MASTER",
        nested: &[],
    },
    AttributeName {
        kind: 18,
        name: "IFLA_LINKINFO",
        nested: names![
        1 "IFLA_INFO_KIND", 2 "IFLA_INFO_DATA", 4 "IFLA_INFO_SLAVE_KIND", 5 "IFLA_INFO_SLAVE_DATA"],
    },
    AttributeName {
        kind: 27,
        name: "IFLA_GROUP",
        nested: &[],
    },
    AttributeName {
        kind: 28,
        name: "IFLA_NET_NS_FD",
        nested: &[],
    },
];

/// `IFA_*` of `include/uapi/linux/if_addr.h`.
pub(crate) const ADDRESS: &[AttributeName] =
    names![1 "IFA_ADDRESS", 2 "IFA_LOCAL", 4 "IFA_BROADCAST", 8 "IFA_FLAGS"];

/// `RTA_*` of `include/uapi/linux/rtnetlink.h`.
pub(crate) const ROUTE: &[AttributeName] =
    names![1 "RTA_DST", 4 "RTA_OIF", 5 "RTA_GATEWAY", 6 "RTA_PRIORITY"];
