//! Links on their way out: out of use at once, deleted when somebody has time to wait for it.
//!
//! RTM_DELLINK lets its caller wait for RCU callbacks, 20 to 50 ms. What matters of a removal takes
//! less than one: the link is down, in no bridge, without addresses of the host, and has a name
//! that says what it is. `sweep` deletes what has such a name.

use netyard_netlink::{self as netlink, Batch, LinkInfo, Protocol, Socket};
use pyo3::prelude::*;

use crate::convert::borrow_fd;
use crate::errors::Outcome;
use crate::links::remove;

const PREFIX: &str = "nx-";
/// "NX" beside the drivers' "NY": the name alone could be somebody's own.
const GROUP: u32 = 0x4E58;

/// Whether a link is only waiting for its deletion.
pub(crate) fn is_retired(link: &LinkInfo) -> bool {
    link.group == GROUP && link.name == name_of(link.index)
}

fn name_of(index: u32) -> String {
    format!("{PREFIX}{index}")
}

/// Takes pairs out of use, by the host's end and the namespace of the other; `sweep` deletes them.
///
/// Missing ones are no error, nor is a far end that somebody has moved elsewhere.
#[pyfunction]
pub(crate) fn retire_pairs(py: Python<'_>, pairs: Vec<(String, Option<i32>)>) -> PyResult<()> {
    let pairs = pairs
        .into_iter()
        .map(|(name, fd)| Ok((name, fd.map(borrow_fd).transpose()?)))
        .collect::<PyResult<Vec<_>>>()?;
    py.detach(|| -> Outcome<()> {
        let mut socket = Socket::open(Protocol::Route)?;
        let mut batch = Batch::new();
        let (mut names, mut far_ends) = (Vec::new(), Vec::new());
        for (name, namespace) in pairs {
            let Some(near) = netlink::find_link(&mut socket, &name)? else {
                continue;
            };
            retire(&mut batch, &near);
            names.push(name);
            far_ends.extend(
                namespace
                    .zip(near.parent)
                    .map(|(fd, far)| (fd, far, near.index)),
            );
        }
        run(&mut socket, batch, &names)?;
        let namespaces: Vec<_> = far_ends.iter().map(|(namespace, ..)| *namespace).collect();
        netyard_netns::inside_each(&namespaces, |at| {
            let (_, far, near) = far_ends[at];
            retire_far_end(far, near)
        })??;
        Ok(())
    })?;
    Ok(())
}

/// Takes links of the host out of use, with their addresses; `sweep` deletes them.
#[pyfunction]
pub(crate) fn retire_links(py: Python<'_>, names: Vec<String>) -> PyResult<()> {
    py.detach(|| -> Outcome<()> {
        let mut socket = Socket::open(Protocol::Route)?;
        let mut batch = Batch::new();
        let addresses = netlink::list_addresses(&mut socket)?;
        for name in &names {
            let Some(link) = netlink::find_link(&mut socket, name)? else {
                continue;
            };
            for each in addresses.iter().filter(|each| each.index == link.index) {
                let (address, prefix) = (each.address, each.prefix);
                netlink::delete_address(&mut batch, link.index, name, address, prefix);
            }
            retire(&mut batch, &link);
        }
        run(&mut socket, batch, &names)
    })?;
    Ok(())
}

/// Deletes what has been taken out of use, waiting for the kernel once; how much there was.
#[pyfunction]
pub(crate) fn sweep(py: Python<'_>) -> PyResult<usize> {
    let count = py.detach(|| -> Outcome<usize> {
        let mut socket = Socket::open(Protocol::Route)?;
        let names: Vec<_> = netlink::list_links_without_master(&mut socket)?
            .into_iter()
            .filter(is_retired)
            .map(|link| link.name)
            .collect();
        remove(&mut socket, &names)?;
        Ok(names.len())
    })?;
    Ok(count)
}

/// Down first: an interface that is up may not be renamed, and its bridge forgets it at once.
fn retire(batch: &mut Batch, link: &LinkInfo) {
    netlink::set_link_up(batch, link.index, &link.name, false);
    if link.master.is_some() {
        netlink::leave_bridge(batch, link.index, &link.name);
    }
    netlink::set_group(batch, &link.name, GROUP);
    netlink::rename_link(batch, link.index, &name_of(link.index));
}

/// In its namespace: only if what has that index there is the other end of our pair.
///
/// What is refused there is left: the container may have taken the name, and the pair goes anyway.
fn retire_far_end(index: u32, near: u32) -> Outcome<()> {
    let mut socket = Socket::open_apart(Protocol::Route)?;
    let found = netlink::find_link_by_index(&mut socket, index)?;
    let Some(far) = found.filter(|link| link.kind == "veth" && link.parent == Some(near)) else {
        return Ok(());
    };
    let mut batch = Batch::new();
    retire(
        &mut batch,
        &LinkInfo {
            master: None,
            ..far
        },
    );
    socket.run_each(batch)?;
    Ok(())
}

/// What is gone meanwhile is no error. Where the name that says what it is is somebody's, links are
/// deleted at once.
fn run(socket: &mut Socket, batch: Batch, names: &[String]) -> Outcome<()> {
    let gone = [Some(libc::ENODEV), Some(libc::EADDRNOTAVAIL)];
    let failed = socket.run_each(batch)?.into_iter().flatten();
    let failed: Vec<_> = failed
        .filter(|error| !gone.contains(&error.errno()))
        .collect();
    if failed
        .iter()
        .any(|error| error.errno() == Some(libc::EEXIST))
    {
        return remove(socket, names);
    }
    match failed.into_iter().next() {
        Some(error) => Err(error.into()),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_alone_does_not_retire_a_link() {
        let link = |name: &str, group| LinkInfo {
            index: 17,
            name: name.to_string(),
            group,
            ..LinkInfo::default()
        };
        assert!(is_retired(&link("nx-17", GROUP)));
        assert!(!is_retired(&link("nx-17", 0)));
        assert!(!is_retired(&link("nx-18", GROUP)));
        assert!(!is_retired(&link("ny-17", GROUP)));
    }
}
