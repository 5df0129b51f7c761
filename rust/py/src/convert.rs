//! Small conversions every binding needs.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::BorrowedFd;

use pyo3::exceptions::PyValueError;
use pyo3::PyResult;

/// A MAC address out of six bytes.
pub(crate) fn mac(bytes: &[u8]) -> PyResult<[u8; 6]> {
    <[u8; 6]>::try_from(bytes)
        .map_err(|_| PyValueError::new_err(format!("a MAC has 6 bytes, not {}", bytes.len())))
}

/// A descriptor that Python keeps open during the call.
pub(crate) fn borrow_fd(fd: i32) -> PyResult<BorrowedFd<'static>> {
    if fd < 0 {
        return Err(PyValueError::new_err(format!("{fd} is no open descriptor")));
    }
    // SAFETY: every caller is a Python function that holds the object the number came from until
    // the call returns; the borrow never leaves the call.
    Ok(unsafe { BorrowedFd::borrow_raw(fd) })
}

/// An address that must be IPv4.
pub(crate) fn ipv4(address: IpAddr) -> PyResult<Ipv4Addr> {
    match address {
        IpAddr::V4(v4) => Ok(v4),
        IpAddr::V6(v6) => Err(PyValueError::new_err(format!("{v6} is no IPv4 address"))),
    }
}

/// An address that must be IPv6.
pub(crate) fn ipv6(address: IpAddr) -> PyResult<Ipv6Addr> {
    match address {
        IpAddr::V6(v6) => Ok(v6),
        IpAddr::V4(v4) => Err(PyValueError::new_err(format!("{v4} is no IPv6 address"))),
    }
}
