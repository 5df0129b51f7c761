//! Failures as Python exceptions: the only place that makes them.
//!
//! The classes live in `netyard.errors`, because an abi3 module for Python 3.10 cannot subclass
//! exceptions itself.

use pyo3::prelude::*;
use pyo3::types::PyDict;

/// A failure of the kernel's, on its way to Python.
#[derive(Default)]
pub(crate) struct Failure {
    pub(crate) operation: String,
    pub(crate) subject: String,
    pub(crate) errno: Option<i32>,
    pub(crate) message: Option<String>,
    pub(crate) attribute: Option<String>,
    pub(crate) request: Option<usize>,
}

/// The result of kernel work.
pub(crate) type Outcome<T> = Result<T, Failure>;

impl Failure {
    pub(crate) fn new(operation: &str, subject: &str, detail: &str) -> Self {
        Failure {
            operation: operation.to_string(),
            subject: subject.to_string(),
            message: Some(detail.to_string()),
            ..Failure::default()
        }
    }
}

impl From<netyard_netlink::Error> for Failure {
    fn from(error: netyard_netlink::Error) -> Self {
        use netyard_netlink::Error;
        match error {
            Error::Refused {
                operation,
                subject,
                errno,
                message,
                attribute,
                request,
            } => Failure {
                operation: operation.to_string(),
                subject,
                errno: Some(errno),
                message,
                attribute,
                request: Some(request),
            },
            Error::Socket { operation, source } => Failure {
                operation: operation.to_string(),
                errno: source.raw_os_error(),
                ..Failure::default()
            },
            Error::Malformed { operation, detail } => Failure::new(operation, "", &detail),
        }
    }
}

impl From<netyard_dhcp::Error> for Failure {
    fn from(error: netyard_dhcp::Error) -> Self {
        match error {
            netyard_dhcp::Error::Namespace(inner) => inner.into(),
            netyard_dhcp::Error::System(source) => Failure {
                operation: "start DHCP client".to_string(),
                errno: source.raw_os_error(),
                ..Failure::default()
            },
        }
    }
}

impl From<netyard_nft::Error> for Failure {
    fn from(error: netyard_nft::Error) -> Self {
        match error {
            netyard_nft::Error::Netlink(inner) => inner.into(),
            other => Failure::new("build ruleset", "", &other.to_string()),
        }
    }
}

impl From<netyard_netns::Error> for Failure {
    fn from(error: netyard_netns::Error) -> Self {
        Failure {
            operation: error.operation.to_string(),
            subject: error.subject,
            errno: error.source.raw_os_error(),
            ..Failure::default()
        }
    }
}

impl From<netyard_dns::Error> for Failure {
    fn from(error: netyard_dns::Error) -> Self {
        match error {
            netyard_dns::Error::Name(name) => {
                Failure::new("serve name", &name, "not a domain name")
            }
            netyard_dns::Error::System { operation, source } => Failure {
                operation: operation.to_string(),
                errno: source.raw_os_error(),
                ..Failure::default()
            },
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
    details.set_item("operation", &failure.operation)?;
    details.set_item("subject", &failure.subject)?;
    details.set_item("errno", failure.errno)?;
    details.set_item("message", &failure.message)?;
    details.set_item("attribute", &failure.attribute)?;
    details.set_item("request", failure.request)?;
    Ok(PyErr::from_value(make.call((), Some(&details))?))
}
