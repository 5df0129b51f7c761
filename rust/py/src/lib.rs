//! `netyard._core`: the kernel work behind netyard's Python.
//!
//! One call does one whole kernel job, takes plain data, lets other Python threads run, and
//! returns plain data or raises what `errors.rs` makes of a failure. Documented in `_core.pyi`.

mod bridges;
mod children;
mod conntrack;
mod convert;
mod dhcp;
mod dns;
mod endpoints;
mod errors;
mod files;
mod firewall;
mod links;
mod listing;
mod namespaces;
mod overlay;
mod retire;
mod routes;
mod wires;

use pyo3::prelude::*;

/// The program that stands beside containers.
static SHIM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/netyard-shim"));

/// The image of `netyard-shim`, an executable.
#[pyfunction]
fn shim_image() -> &'static [u8] {
    SHIM
}

#[pymodule(gil_used = false)]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let profile = if cfg!(debug_assertions) {
        "debug"
    } else {
        "release"
    };
    module.add("build_profile", profile)?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_function(wrap_pyfunction!(shim_image, module)?)?;
    module.add_class::<errors::FailureKind>()?;
    module.add_class::<listing::Link>()?;
    module.add_class::<listing::Route>()?;
    module.add_class::<firewall::ChainInfo>()?;
    module.add_class::<dns::NameServer>()?;
    module.add_class::<dhcp::DhcpClients>()?;
    for function in [
        wrap_pyfunction!(children::create_vlan, module)?,
        wrap_pyfunction!(children::create_dummy, module)?,
        wrap_pyfunction!(children::create_shim, module)?,
        wrap_pyfunction!(children::attach_children, module)?,
        wrap_pyfunction!(children::detach_children, module)?,
        wrap_pyfunction!(children::silence_children, module)?,
        wrap_pyfunction!(children::set_host_routes, module)?,
        wrap_pyfunction!(children::change_addresses, module)?,
        wrap_pyfunction!(children::knows_link_kind, module)?,
        wrap_pyfunction!(bridges::create_bridges, module)?,
        wrap_pyfunction!(links::set_aliases, module)?,
        wrap_pyfunction!(endpoints::attach, module)?,
        wrap_pyfunction!(links::delete_links, module)?,
        wrap_pyfunction!(retire::retire_pairs, module)?,
        wrap_pyfunction!(retire::retire_links, module)?,
        wrap_pyfunction!(retire::sweep, module)?,
        wrap_pyfunction!(bridges::restore_ports, module)?,
        wrap_pyfunction!(wires::create_wire, module)?,
        wrap_pyfunction!(routes::set_default_routes, module)?,
        wrap_pyfunction!(listing::list_links, module)?,
        wrap_pyfunction!(listing::list_addresses, module)?,
        wrap_pyfunction!(listing::list_routes, module)?,
        wrap_pyfunction!(conntrack::flush_flows, module)?,
        wrap_pyfunction!(overlay::create_vxlan, module)?,
        wrap_pyfunction!(overlay::change_remotes, module)?,
        wrap_pyfunction!(overlay::list_remotes, module)?,
        wrap_pyfunction!(overlay::ensure_tunnel, module)?,
        wrap_pyfunction!(overlay::change_peers, module)?,
        wrap_pyfunction!(overlay::knows_wireguard, module)?,
        wrap_pyfunction!(firewall::apply_nft, module)?,
        wrap_pyfunction!(firewall::list_chains, module)?,
        wrap_pyfunction!(firewall::nft_generation, module)?,
        wrap_pyfunction!(files::find_beneath, module)?,
        wrap_pyfunction!(files::open_read_only, module)?,
        wrap_pyfunction!(files::mount_small, module)?,
        wrap_pyfunction!(files::unmount, module)?,
        wrap_pyfunction!(namespaces::create_namespace, module)?,
        wrap_pyfunction!(namespaces::bind_namespace, module)?,
        wrap_pyfunction!(namespaces::release_namespace, module)?,
        wrap_pyfunction!(namespaces::namespace_identity, module)?,
        wrap_pyfunction!(namespaces::make_mount_point, module)?,
        wrap_pyfunction!(namespaces::set_loopback, module)?,
        wrap_pyfunction!(namespaces::write_sysctls, module)?,
        wrap_pyfunction!(namespaces::complaint_about_filter, module)?,
        wrap_pyfunction!(dns::remove_dns_redirect, module)?,
    ] {
        module.add_function(function)?;
    }
    Ok(())
}
