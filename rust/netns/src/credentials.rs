//! Who a process is: ids, groups and capabilities, and the giving up of what it may not have.

use crate::error::last_errno;

/// Capabilities a container keeps unless told otherwise: Docker's default set.
///
/// CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID, SETPCAP, NET_BIND_SERVICE, NET_RAW,
/// SYS_CHROOT, MKNOD, AUDIT_WRITE, SETFCAP (`include/uapi/linux/capability.h`).
pub const DEFAULT_CAPABILITIES: u64 = 1 << 0
    | 1 << 1
    | 1 << 3
    | 1 << 4
    | 1 << 5
    | 1 << 6
    | 1 << 7
    | 1 << 8
    | 1 << 10
    | 1 << 13
    | 1 << 18
    | 1 << 27
    | 1 << 29
    | 1 << 31;

/// Who the process runs as.
#[derive(Default)]
pub struct Credentials {
    pub uid: u32,
    pub gid: u32,
    pub groups: Vec<u32>,
    /// A bit per capability that may be held.
    pub capabilities: u64,
}

#[repr(C)]
struct CapabilityHeader {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct CapabilityData {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// Bounding set, groups, ids and the three sets, in the order that still allows each step.
pub(crate) fn drop_privileges(credentials: &Credentials) -> rustix::io::Result<()> {
    let check = |status: libc::c_long| match status {
        0 => Ok(()),
        _ => Err(last_errno()),
    };
    for capability in 0..64u64 {
        if credentials.capabilities >> capability & 1 == 0 {
            // SAFETY: integers only. EINVAL past the last capability the kernel knows is fine.
            unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) };
        }
    }
    let is_root = credentials.uid == 0;
    // SAFETY: the pointers are to live values of the sizes the calls are told; plain integers else.
    unsafe {
        libc::prctl(libc::PR_SET_KEEPCAPS, 0, 0, 0, 0);
        let groups = &credentials.groups;
        check(libc::syscall(
            libc::SYS_setgroups,
            groups.len(),
            groups.as_ptr(),
        ))?;
        let (uid, gid) = (credentials.uid, credentials.gid);
        check(libc::syscall(libc::SYS_setresgid, gid, gid, gid))?;
        check(libc::syscall(libc::SYS_setresuid, uid, uid, uid))?;
        const VERSION_3: u32 = 0x2008_0522;
        let header = CapabilityHeader {
            version: VERSION_3,
            pid: 0,
        };
        let kept = if is_root { credentials.capabilities } else { 0 };
        let mut held = [CapabilityData {
            effective: 0,
            permitted: 0,
            inheritable: 0,
        }; 2];
        check(libc::syscall(
            libc::SYS_capget,
            &raw const header,
            held.as_mut_ptr(),
        ))?;
        for (half, data) in held.iter_mut().enumerate() {
            data.permitted &= (kept >> (32 * half)) as u32;
            data.effective = data.permitted;
            data.inheritable = 0;
        }
        check(libc::syscall(
            libc::SYS_capset,
            &raw const header,
            held.as_ptr(),
        ))
    }
}
