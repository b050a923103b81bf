"""System calls by what they are for: what programs may use, and what is refused to them on purpose."""

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

_REFUSED = """
ptrace process_vm_readv process_vm_writev kcmp pidfd_getfd process_madvise mount umount2 mount_setattr
move_mount open_tree fsopen fsconfig fsmount fspick unshare setns pivot_root chroot keyctl add_key
request_key bpf perf_event_open userfaultfd name_to_handle_at open_by_handle_at fanotify_init fanotify_mark
msgget msgsnd msgrcv msgctl shmget shmat shmctl shmdt semget semop semctl semtimedop mq_open mq_unlink
mq_timedsend mq_timedreceive mq_notify mq_getsetattr personality modify_ldt adjtimex clock_adjtime
clock_settime settimeofday reboot kexec_load kexec_file_load init_module finit_module delete_module ioperm
iopl swapon swapoff acct quotactl sethostname setdomainname syslog vhangup mbind set_mempolicy
move_pages migrate_pages
"""

ALLOWED = tuple(" ".join((FILES, EVENTS, MEMORY, PROCESSES, TIME, SOCKETS, SYSTEM)).split())
REFUSED = tuple(_REFUSED.split())
