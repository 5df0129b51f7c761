//! Failures as Python exceptions: the only place that makes them.
//!
//! The classes live in `netyard.errors`, because an abi3 module for Python 3.10 cannot subclass
//! exceptions itself.

use netyard_netlink::Feature;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// What kind of failure it is: `netyard.errors` makes a class and a hint of it.
#[pyclass(
    frozen,
    eq,
    hash,
    module = "netyard._core",
    rename_all = "SCREAMING_SNAKE_CASE"
)]
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum FailureKind {
    Other,
    NotPermitted,
    /// The kernel cannot do that; nobody knows what it lacks.
    NotSupported,
    NoNftables,
    NoBridge,
    NoVeth,
    NoVlan,
    NoDummy,
    NoMacvlan,
    NoIpvlan,
    NoVxlan,
    NoWireguard,
}

impl FailureKind {
    fn of(errno: Option<i32>, feature: Option<Feature>) -> Self {
        match errno {
            Some(libc::EPERM | libc::EACCES) => FailureKind::NotPermitted,
            Some(libc::EOPNOTSUPP | libc::EPROTONOSUPPORT | libc::EAFNOSUPPORT) => {
                feature.map_or(FailureKind::NotSupported, FailureKind::without)
            }
            _ => FailureKind::Other,
        }
    }

    fn without(feature: Feature) -> Self {
        match feature {
            Feature::NfTables => FailureKind::NoNftables,
            Feature::Bridge => FailureKind::NoBridge,
            Feature::Veth => FailureKind::NoVeth,
            Feature::Vlan => FailureKind::NoVlan,
            Feature::Dummy => FailureKind::NoDummy,
            Feature::Macvlan => FailureKind::NoMacvlan,
            Feature::Ipvlan => FailureKind::NoIpvlan,
            Feature::Vxlan => FailureKind::NoVxlan,
            Feature::WireGuard => FailureKind::NoWireguard,
        }
    }
}

/// A failure of the kernel's, on its way to Python.
pub(crate) struct Failure {
    kind: FailureKind,
    operation: String,
    subject: String,
    errno: Option<i32>,
    message: Option<String>,
    attribute: Option<String>,
}

/// The result of kernel work.
pub(crate) type Outcome<T> = Result<T, Failure>;

impl Failure {
    /// What no system call has refused.
    pub(crate) fn new(operation: &str, subject: &str, detail: &str) -> Self {
        Failure {
            message: Some(detail.to_string()),
            ..Failure::system(operation, subject, None)
        }
    }

    /// What a system call has refused.
    pub(crate) fn system(operation: &str, subject: &str, errno: Option<i32>) -> Self {
        Failure {
            kind: FailureKind::of(errno, None),
            operation: operation.to_string(),
            subject: subject.to_string(),
            errno,
            message: None,
            attribute: None,
        }
    }
}

impl From<netyard_netlink::Error> for Failure {
    fn from(error: netyard_netlink::Error) -> Self {
        use netyard_netlink::Error;
        let (errno, feature) = (error.errno(), error.feature());
        let failure = match error {
            Error::Refused {
                operation,
                subject,
                message,
                attribute,
                ..
            } => Failure {
                message,
                attribute,
                ..Failure::system(operation, &subject, errno)
            },
            Error::Socket { operation, .. } => Failure::system(operation, "", errno),
            Error::Malformed { operation, detail } => Failure::new(operation, "", &detail),
        };
        Failure {
            kind: FailureKind::of(errno, feature),
            ..failure
        }
    }
}

impl From<netyard_dhcp::Error> for Failure {
    fn from(error: netyard_dhcp::Error) -> Self {
        match error {
            netyard_dhcp::Error::Namespace(inner) => inner.into(),
            netyard_dhcp::Error::System(source) => {
                Failure::system("start DHCP client", "", source.raw_os_error())
            }
        }
    }
}

impl From<netyard_nft::Error> for Failure {
    fn from(error: netyard_nft::Error) -> Self {
        match error {
            netyard_nft::Error::Netlink(inner) => inner.into(),
            netyard_nft::Error::NoNfTables(inner) => Failure {
                kind: FailureKind::NoNftables,
                ..inner.into()
            },
            other => Failure::new("build ruleset", "", &other.to_string()),
        }
    }
}

impl From<netyard_netns::Error> for Failure {
    fn from(error: netyard_netns::Error) -> Self {
        let errno = error.source.raw_os_error();
        Failure::system(error.operation, &error.subject, errno)
    }
}

impl From<netyard_dns::Error> for Failure {
    fn from(error: netyard_dns::Error) -> Self {
        match error {
            netyard_dns::Error::Name(name) => {
                Failure::new("serve name", &name, "not a domain name")
            }
            netyard_dns::Error::System { operation, source } => {
                Failure::system(operation, "", source.raw_os_error())
            }
        }
    }
}

impl From<Failure> for PyErr {
    fn from(failure: Failure) -> Self {
        Python::attach(|py| match build(py, &failure) {
            Ok(error) => error,
            Err(error) => error,
        })
    }
}

fn build(py: Python<'_>, failure: &Failure) -> PyResult<PyErr> {
    let make = py.import("netyard.errors")?.getattr("kernel_error")?;
    let details = PyDict::new(py);
    details.set_item("kind", failure.kind)?;
    details.set_item("operation", &failure.operation)?;
    details.set_item("subject", &failure.subject)?;
    details.set_item("errno", failure.errno)?;
    details.set_item("message", &failure.message)?;
    details.set_item("attribute", &failure.attribute)?;
    Ok(PyErr::from_value(make.call((), Some(&details))?))
}
