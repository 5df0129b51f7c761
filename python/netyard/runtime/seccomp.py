"""System calls a container may not make: netyard's own list, as rules that the shim compiles.

The list denies what Docker's default profile denies to a container of the same capabilities; calls
that are newer than the list do not exist there. The form of the rules is described in
``rust/netns/src/seccomp.rs``; Docker's profiles are read by `netyard.runtime.seccomp_profile`.
"""

from collections.abc import Iterator
from pathlib import Path

from netyard.runtime.capabilities import holds

UNCONFINED = "unconfined"
#: There if the kernel has filters.
_ACTIONS = Path("/proc/sys/kernel/seccomp/actions_avail")

#: The kernel's keys and rings, memory of other nodes, other kernels, and what is long given up.
_NEVER = (
    "_sysctl,add_key,afs_syscall,create_module,get_kernel_syms,getpmsg,io_uring_enter,"
    "io_uring_register,io_uring_setup,kexec_file_load,kexec_load,keyctl,migrate_pages,move_pages,"
    "nfsservctl,pivot_root,putpmsg,query_module,request_key,security,swapoff,swapon,sysfs,tuxcall,"
    "uselib,userfaultfd,ustat,vserver"
)
#: Programs try these and go on without.
_MISSING = "file_getattr,file_setattr,listns,open_tree_attr,uprobe"
#: Capabilities, any of which is enough, and the calls that need one.
_GATED = (
    (
        ("SYS_ADMIN",),
        "fanotify_init,fsconfig,fsmount,fsopen,fspick,lookup_dcookie,lsm_get_self_attr,"
        "lsm_list_modules,lsm_set_self_attr,mount,mount_setattr,move_mount,open_tree,quotactl,"
        "quotactl_fd,setdomainname,sethostname,setns,umount2,unshare",
    ),
    (("SYS_ADMIN", "BPF"), "bpf"),
    (("SYS_ADMIN", "PERFMON"), "perf_event_open"),
    (("SYS_ADMIN", "SYSLOG"), "syslog"),
    (("DAC_READ_SEARCH",), "open_by_handle_at"),
    (("SYS_BOOT",), "reboot"),
    (("SYS_CHROOT",), "chroot"),
    (("SYS_MODULE",), "delete_module,finit_module,init_module"),
    (("SYS_NICE",), "get_mempolicy,mbind,set_mempolicy,set_mempolicy_home_node"),
    (("SYS_PACCT",), "acct"),
    (("SYS_PTRACE",), "kcmp,pidfd_getfd,process_madvise"),
    (("SYS_RAWIO",), "ioperm,iopl"),
    (("SYS_TIME",), "clock_settime,settimeofday"),
    (("SYS_TTY_CONFIG",), "vhangup"),
)
#: Flags of ``clone`` that make namespaces. Those of ``clone3`` are in memory, where no filter
#: looks: libraries fall back on ``clone``.
_NEW_NAMESPACES = 0x7E020000
#: Linux, Linux with 32 bits or without randomised addresses, and the question which it is.
_PERSONALITIES = (0, 0x8, 0x20000, 0x20008, 0xFFFFFFFF)
#: DECnet, ALG and VSOCK, and others that hardly anything uses; from 46 on none is known.
_SOCKET_FAMILIES = (12, 19, 20, 23, 25, 34, 37, 38, 40)
_FIRST_UNKNOWN_FAMILY = 46


def is_available() -> bool:
    """Whether the kernel has filters of system calls."""
    return _ACTIONS.exists()


def rules(asked: str, *, privileged: bool, capabilities: int | None) -> str:
    """The filter of a container, as the shim takes it; empty for none.

    Args:
        asked: Empty for the default, ``unconfined``, or a profile in Docker's form.
        privileged: Then there is none by default.
        capabilities: What it may hold, ``None`` for the default set.
    """
    if asked == UNCONFINED or (not asked and (privileged or not is_available())):
        return ""
    if asked:
        from netyard.runtime.seccomp_profile import translate

        return translate(asked, privileged=privileged, capabilities=capabilities)
    return "\n".join(_default(capabilities))


def _default(capabilities: int | None) -> Iterator[str]:
    yield "default allow"
    yield "unknown errno:38"
    yield f"errno:1 {_NEVER}"
    yield f"errno:38 {_MISSING}"
    for names, calls in _GATED:
        if not any(holds(capabilities, name) for name in names):
            yield f"errno:1 {calls}"
    if not holds(capabilities, "SYS_ADMIN"):
        yield "errno:38 clone3"
        yield f"allow clone 0 & {_NEW_NAMESPACES} == 0"
        yield "errno:1 clone 0 >= 0"
    yield from (f"allow personality 0 == {persona}" for persona in _PERSONALITIES)
    yield "errno:1 personality 0 >= 0"
    yield from (f"errno:1 socket 0 == {family}" for family in _SOCKET_FAMILIES)
    yield f"errno:1 socket 0 >= {_FIRST_UNKNOWN_FAMILY}"
