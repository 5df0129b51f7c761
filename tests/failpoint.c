/* Disturb a program at its n-th system call that changes something, counted over all its threads.
 *
 *   failpoint POINT ACTION COMMAND [ARG...]
 *
 * ACTION is "before" or "after" (the program is killed then, by SIGKILL), or the number of an error
 * that the call fails with instead of being made. With POINT 0 nothing is disturbed. How many calls there were, and which was disturbed, is written
 * to the file FAILPOINT_REPORT. Programs that the command starts are not traced: only its own threads are.
 */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define CALL(name) {SYS_##name, #name}
static const struct {
    long number;
    const char *name;
} CHANGING[] = {
    CALL(sendto), CALL(sendmsg), CALL(sendmmsg), CALL(write), CALL(writev), CALL(pwrite64),
    CALL(mount), CALL(umount2), CALL(open_tree), CALL(move_mount), CALL(mount_setattr), CALL(setns),
    CALL(unshare), CALL(mkdirat), CALL(unlinkat), CALL(renameat2), CALL(symlinkat), CALL(linkat),
    CALL(mknodat), CALL(fchmodat), CALL(fchmod), CALL(fchownat), CALL(ftruncate), CALL(fallocate),
    CALL(fsync), CALL(fdatasync), CALL(clone), CALL(clone3), CALL(socket), CALL(bind), CALL(connect),
    CALL(kill), CALL(pidfd_send_signal), CALL(pivot_root),
#ifdef SYS_unlink
    CALL(mkdir), CALL(rmdir), CALL(unlink), CALL(rename), CALL(symlink), CALL(link), CALL(chmod),
    CALL(chown), CALL(fork), CALL(vfork), CALL(open), CALL(creat),
#endif
    CALL(openat),
};

static const char *changing(const struct __ptrace_syscall_info *info) {
    long number = (long)info->entry.nr;
    /* What is said to the user changes nothing. */
    if ((number == SYS_write || number == SYS_writev) && info->entry.args[0] <= STDERR_FILENO)
        return NULL;
    if (number == SYS_openat && !(info->entry.args[2] & (O_WRONLY | O_RDWR | O_CREAT)))
        return NULL;
#ifdef SYS_open
    if (number == SYS_open && !(info->entry.args[1] & (O_WRONLY | O_RDWR | O_CREAT)))
        return NULL;
#endif
    for (size_t at = 0; at < sizeof CHANGING / sizeof *CHANGING; at++)
        if (CHANGING[at].number == number)
            return CHANGING[at].name;
    return NULL;
}

/* No call has this number: the kernel does nothing. */
static void skip(pid_t thread) {
#if defined(__x86_64__)
    ptrace(PTRACE_POKEUSER, thread, offsetof(struct user_regs_struct, orig_rax), -1L);
#elif defined(__aarch64__)
    int none = -1;
    struct iovec part = {&none, sizeof none};
    ptrace(PTRACE_SETREGSET, thread, NT_ARM_SYSTEM_CALL, &part);
#else
#error "not written for this architecture"
#endif
}

static void give_back(pid_t thread, long error) {
#if defined(__x86_64__)
    ptrace(PTRACE_POKEUSER, thread, offsetof(struct user_regs_struct, rax), -error);
#else
    struct user_regs_struct registers;
    struct iovec all = {&registers, sizeof registers};
    ptrace(PTRACE_GETREGSET, thread, NT_PRSTATUS, &all);
    registers.regs[0] = (unsigned long)-error;
    ptrace(PTRACE_SETREGSET, thread, NT_PRSTATUS, &all);
#endif
}

int main(int count, char **words) {
    if (count < 4)
        return 2;
    long point = atol(words[1]), calls = 0, error = atol(words[2]);
    int is_after = !strcmp(words[2], "after");
    const char *path = getenv("FAILPOINT_REPORT");
    int report = path ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : STDERR_FILENO;
    const char *hit = "nothing";
    pid_t program = fork(), disturbed = 0;
    if (!program) {
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        raise(SIGSTOP);
        execvp(words[3], words + 3);
        _exit(127);
    }
    int status;
    waitpid(program, &status, 0);
    ptrace(PTRACE_SETOPTIONS, program, 0,
           PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL | PTRACE_O_TRACEEXEC);
    ptrace(PTRACE_SYSCALL, program, 0, 0);
    for (;;) {
        pid_t thread = waitpid(-1, &status, __WALL);
        if (thread < 0)
            return 1;
        if (WIFEXITED(status) || WIFSIGNALED(status)) {
            if (thread != program)
                continue;
            dprintf(report, "%ld %s\n", calls, hit);
            return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        }
        int signal = WSTOPSIG(status), passed = 0;
        if (signal == (SIGTRAP | 0x80)) {
            struct __ptrace_syscall_info info;
            if (ptrace(PTRACE_GET_SYSCALL_INFO, thread, sizeof info, &info) <= 0)
                continue;
            const char *name;
            if (info.op == PTRACE_SYSCALL_INFO_ENTRY && (name = changing(&info)) && ++calls == point) {
                hit = name;
                disturbed = thread;
                if (error)
                    skip(thread);
                else if (!is_after)
                    kill(program, SIGKILL);
            } else if (info.op == PTRACE_SYSCALL_INFO_EXIT && thread == disturbed) {
                disturbed = 0;
                if (error)
                    give_back(thread, error);
                else if (is_after)
                    kill(program, SIGKILL);
            }
        } else if (signal == SIGSTOP) {
            /* How a new thread begins, unless somebody else has sent it. */
        } else if (signal != SIGTRAP) {
            passed = signal;
        }
        ptrace(PTRACE_SYSCALL, thread, 0, passed);
    }
}
