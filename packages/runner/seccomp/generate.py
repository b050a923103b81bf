"""Write the seccomp filters that jails load: `job.<machine>.bpf` in the runner's package.

    /usr/bin/python3 packages/runner/seccomp/generate.py [--check]

Needs libseccomp's own Python binding (Debian: python3-seccomp, for the system's interpreter). The
filters are committed, so that nothing needs the binding at run time; `--check` fails if what is
committed is not what this writes.

An allowlist. What a program asks for and is not on it is answered with ENOSYS, as by a kernel that
does not know the call, so that libraries fall back; what is known and refused on purpose, with EPERM.
"""

import errno
import sys
import tempfile
from pathlib import Path

import seccomp

PACKAGE = Path(__file__).resolve().parents[1] / "src" / "qrt_runner"
MACHINES = {"x86_64": seccomp.Arch.X86_64, "aarch64": seccomp.Arch.AARCH64}

FILES = """
access chdir chmod chown close close_range copy_file_range creat dup dup2 dup3 faccessat faccessat2
fadvise64 fallocate fchdir fchmod fchmodat fchmodat2 fchown fchownat fcntl fdatasync fgetxattr flistxattr
flock fremovexattr fsetxattr fstat fstatfs fsync ftruncate futimesat getcwd getdents getdents64 getxattr
inotify_add_watch inotify_init inotify_init1 inotify_rm_watch ioctl lchown lgetxattr link linkat listxattr
llistxattr lremovexattr lseek lsetxattr lstat mkdir mkdirat newfstatat open openat openat2 pipe pipe2
pread64 preadv preadv2 pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv removexattr
rename renameat renameat2 rmdir sendfile setxattr splice stat statfs statx symlink symlinkat sync
sync_file_range syncfs tee truncate umask unlink unlinkat utime utimensat utimes vmsplice write writev
"""
EVENTS = """
epoll_create epoll_create1 epoll_ctl epoll_pwait epoll_pwait2 epoll_wait eventfd eventfd2 poll ppoll
pselect6 select signalfd signalfd4 timerfd_create timerfd_gettime timerfd_settime
io_cancel io_destroy io_getevents io_pgetevents io_setup io_submit
"""
MEMORY = """
brk madvise membarrier mincore mlock mlock2 mlockall mmap mprotect mremap msync munlock munlockall munmap
pkey_alloc pkey_free pkey_mprotect get_mempolicy
"""
PROCESSES = """
alarm arch_prctl capget capset execve execveat exit exit_group fork futex futex_waitv get_robust_list
getcpu getegid geteuid getgid getgroups getitimer getpgid getpgrp getpid getppid getpriority getresgid
getresuid getrlimit getrusage getsid gettid getuid ioprio_get kill pause pidfd_open pidfd_send_signal
prctl prlimit64 process_mrelease restart_syscall rseq rt_sigaction rt_sigpending rt_sigprocmask
rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_tgsigqueueinfo sched_get_priority_max
sched_get_priority_min sched_getaffinity sched_getattr sched_getparam sched_getscheduler
sched_rr_get_interval sched_setaffinity sched_yield seccomp set_robust_list set_tid_address setfsgid
setfsuid setgid setgroups setitimer setpgid setpriority setregid setresgid setresuid setreuid setrlimit
setsid setuid sigaltstack tgkill tkill vfork wait4 waitid landlock_add_rule landlock_create_ruleset
landlock_restrict_self
"""
TIME = """
clock_getres clock_gettime clock_nanosleep gettimeofday nanosleep time timer_create timer_delete
timer_getoverrun timer_gettime timer_settime times
"""
SOCKETS = """
accept accept4 bind connect getpeername getsockname getsockopt listen recvfrom recvmmsg recvmsg sendmmsg
sendmsg sendto setsockopt shutdown
"""
SYSTEM = "getrandom sysinfo uname"

REFUSED = """
ptrace process_vm_readv process_vm_writev kcmp pidfd_getfd process_madvise mount umount2 mount_setattr
move_mount open_tree fsopen fsconfig fsmount fspick unshare setns pivot_root chroot keyctl add_key
request_key bpf perf_event_open userfaultfd name_to_handle_at open_by_handle_at fanotify_init fanotify_mark
msgget msgsnd msgrcv msgctl shmget shmat shmctl shmdt semget semop semctl semtimedop mq_open mq_unlink
mq_timedsend mq_timedreceive mq_notify mq_getsetattr personality modify_ldt adjtimex clock_adjtime
clock_settime settimeofday reboot kexec_load kexec_file_load init_module finit_module delete_module ioperm
iopl swapon swapoff acct quotactl sethostname setdomainname syslog vhangup mbind set_mempolicy
move_pages migrate_pages
"""
# Left to ENOSYS on purpose, since libraries have a way without: clone3, io_uring_*, memfd_create,
# memfd_secret.

NAMESPACES = 0x7E020000  # every CLONE_NEW* flag that clone(2) takes
FAMILIES = (1, 2, 10)  # AF_UNIX, AF_INET, AF_INET6
S_IFMT, S_IFIFO = 0o170000, 0o010000


def add(filter_, action, name, *arguments):
    """Add a rule if the machine has that call."""
    try:
        filter_.add_rule(action, name, *arguments)
    except (OSError, RuntimeError) as exc:
        if getattr(exc, "errno", None) not in (None, errno.EDOM, errno.EFAULT, errno.EINVAL):
            raise


def build(arch):
    """Return the filter for one machine."""
    made = seccomp.SyscallFilter(seccomp.ERRNO(errno.ENOSYS))
    if arch != seccomp.Arch():
        made.remove_arch(seccomp.Arch())
        made.add_arch(arch)
    for name in " ".join((FILES, EVENTS, MEMORY, PROCESSES, TIME, SOCKETS, SYSTEM)).split():
        add(made, seccomp.ALLOW, name)
    for name in REFUSED.split():
        add(made, seccomp.ERRNO(errno.EPERM), name)
    # On both machines the flags of clone are its first argument.
    add(made, seccomp.ALLOW, "clone", seccomp.Arg(0, seccomp.MASKED_EQ, NAMESPACES, 0))
    for family in FAMILIES:
        add(made, seccomp.ALLOW, "socket", seccomp.Arg(0, seccomp.EQ, family))
    add(made, seccomp.ALLOW, "socketpair", seccomp.Arg(0, seccomp.EQ, FAMILIES[0]))
    add(made, seccomp.ALLOW, "mknod", seccomp.Arg(1, seccomp.MASKED_EQ, S_IFMT, S_IFIFO))
    add(made, seccomp.ALLOW, "mknodat", seccomp.Arg(2, seccomp.MASKED_EQ, S_IFMT, S_IFIFO))
    return made


def exported(arch):
    """Return a filter as the bytes that the kernel takes."""
    with tempfile.TemporaryFile() as file:
        build(arch).export_bpf(file)
        file.seek(0)
        return file.read()


def main():
    """Write the filters, or compare them."""
    checking = sys.argv[1:] == ["--check"]
    for machine, arch in MACHINES.items():
        path, data = PACKAGE / f"job.{machine}.bpf", exported(arch)
        if not checking:
            path.write_bytes(data)
        elif path.read_bytes() != data:
            raise SystemExit(f"{path.name} is not what generate.py writes")
        print(f"{path.name}: {len(data) // 8} instructions")


if __name__ == "__main__":
    main()
