"""A seccomp filter for processes that only compute: no network, no change to a file, no hold on another process.

The kernel answers a denied call with an error and goes on; a program that copes with "not permitted" copes with this.
A list of what is denied, not of what is allowed, for a parser's libraries call what they like; calls newer than the
list don't exist for the process, which is what libraries expect of an older kernel. See seccomp(2), bpf(4).
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct

LIBC = ctypes.CDLL(None, use_errno=True)
SET_MODE_FILTER = 1
NEWEST = 456  # calls above it came with Linux 6.8 and later
WRITING = 0o3 | os.O_CREAT | os.O_TRUNC  # open flags
THREAD = 0x10000  # clone flags
NAMESPACES = 0x7E020000

# By machine: the audit number of its kind of system call, the column in the tables below, the number of seccomp(2).
MACHINES = {"x86_64": (0xC000003E, 0, 317), "aarch64": (0xC00000B7, 1, 277)}

# Name, number on x86-64, number on aarch64; - where there is none.
NETWORK = """socket 41 198; socketpair 53 199; connect 42 203; bind 49 200; listen 50 201; accept 43 202;
accept4 288 242"""
PROCESSES = """ptrace 101 117; process_vm_readv 310 270; process_vm_writev 311 271; process_madvise 440 440;
process_mrelease 448 448; pidfd_open 434 434; pidfd_getfd 438 438; pidfd_send_signal 424 424; kcmp 312 272;
tkill 200 130; rt_sigqueueinfo 129 138; rt_tgsigqueueinfo 297 240; setpriority 141 140; ioprio_set 251 30;
sched_setscheduler 144 119; sched_setparam 142 118; sched_setattr 314 274; migrate_pages 256 238; move_pages 279 239;
setsid 112 157; setpgid 109 154; shmget 29 194; shmat 30 196; shmctl 31 195; msgget 68 186; msgsnd 69 189;
msgrcv 70 188; msgctl 71 187; semget 64 190; semop 65 193; semtimedop 220 192; semctl 66 191; mq_open 240 180;
mq_unlink 241 181"""
FILES = """creat 85 -; truncate 76 45; ftruncate 77 46; mkdir 83 -; mkdirat 258 34; rmdir 84 -; unlink 87 -;
unlinkat 263 35; rename 82 -; renameat 264 38; renameat2 316 276; link 86 -; linkat 265 37; symlink 88 -;
symlinkat 266 36; mknod 133 -; mknodat 259 33; chmod 90 -; fchmod 91 52; fchmodat 268 53; fchmodat2 452 452;
chown 92 -; fchown 93 55; lchown 94 -; fchownat 260 54; utime 132 -; utimes 235 -; futimesat 261 -;
utimensat 280 88; setxattr 188 5; lsetxattr 189 6; fsetxattr 190 7; removexattr 197 14; lremovexattr 198 15;
fremovexattr 199 16; name_to_handle_at 303 264; open_by_handle_at 304 265; inotify_init 253 -;
inotify_init1 294 26; fanotify_init 300 262"""
KERNEL = """mount 165 40; umount2 166 39; pivot_root 155 41; chroot 161 51; unshare 272 97; setns 308 268;
open_tree 428 428; move_mount 429 429; fsopen 430 430; fsconfig 431 431; fsmount 432 432; fspick 433 433;
mount_setattr 442 442; bpf 321 280; perf_event_open 298 241; userfaultfd 323 282; add_key 248 217;
request_key 249 218; keyctl 250 219; io_uring_setup 425 425; io_uring_enter 426 426; io_uring_register 427 427;
init_module 175 105; finit_module 313 273; delete_module 176 106; kexec_load 246 104; kexec_file_load 320 294;
reboot 169 142; swapon 167 224; swapoff 168 225; acct 163 89; quotactl 179 60; quotactl_fd 443 443;
sethostname 170 161; setdomainname 171 162; settimeofday 164 170; clock_settime 227 112; adjtimex 159 171;
clock_adjtime 305 266; syslog 103 116; iopl 172 -; ioperm 173 -; modify_ldt 154 -"""
PROGRAMS = "execve 59 221; execveat 322 281; fork 57 -; vfork 58 -"
ABSENT = "clone3 435 435; openat2 437 437"  # their flags lie in memory, where no filter sees them: the older ones do
LOOKED_AT = "open 2 -; openat 257 56; kill 62 129; tgkill 234 131; prlimit64 302 261; clone 56 220"

Instruction = tuple[int, int, int, int]  # code, jumps if true and if not, operand
LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
KILL, ALLOW = 0x80000000, 0x7FFF0000
NUMBER, ARCHITECTURE = 0, 4  # where they lie in what the filter sees


def restrict(*, programs: bool) -> None:
    """Put this thread, and whatever it starts from here on, under the filter, for good. Needs no_new_privs.

    ``programs``: whether it may start programs, which are then under the filter, too. Raises ``OSError`` where the
    kernel has no seccomp or forbids it, ``NotImplementedError`` for a machine whose calls are not in the table.
    """
    machine = platform.machine()
    if machine not in MACHINES or struct.calcsize("P") != 8:
        raise NotImplementedError(f"there is no filter for {8 * struct.calcsize('P')}-bit programs on {machine}")
    install(program(machine, os.getpid(), programs=programs))


def numbers(table: str, machine: str) -> dict[str, int]:
    """Name -> number of the calls of a table that the machine has."""
    rows = [entry.split() for entry in table.split(";")]
    column = 1 + MACHINES[machine][1]
    return {row[0]: int(row[column]) for row in rows if row[column] != "-"}


def program(machine: str, pid: int, *, programs: bool) -> list[Instruction]:
    """The filter of process ``pid``."""
    denied = NETWORK, PROCESSES, FILES, KERNEL, *(() if programs else (PROGRAMS,))
    looked_at = numbers(LOOKED_AT, machine)
    filter_ = [
        (LOAD, 0, 0, ARCHITECTURE),
        (EQUAL, 1, 0, MACHINES[machine][0]),
        (RETURN, 0, 0, KILL),
        (LOAD, 0, 0, NUMBER),
        (AT_LEAST, 0, 1, NEWEST + 1),
        (RETURN, 0, 0, _error(errno.ENOSYS)),
    ]
    for number in numbers(ABSENT, machine).values():
        filter_ += [(EQUAL, 0, 1, number), (RETURN, 0, 0, _error(errno.ENOSYS))]
    for table in denied:
        for number in numbers(table, machine).values():
            filter_ += [(EQUAL, 0, 1, number), (RETURN, 0, 0, _error(errno.EPERM))]
    if "open" in looked_at:
        filter_ += _unless(looked_at["open"], 1, (ANY_BIT, 0, 1, WRITING))
    filter_ += _unless(looked_at["openat"], 2, (ANY_BIT, 0, 1, WRITING))
    # As if there were no other process: whoever kills what it started and finds nothing to kill goes on undisturbed.
    filter_ += _unless(looked_at["kill"], 0, (EQUAL, 1, 0, pid), errno.ESRCH)
    filter_ += _unless(looked_at["tgkill"], 0, (EQUAL, 1, 0, pid), errno.ESRCH)
    filter_ += _unless(looked_at["prlimit64"], 0, (EQUAL, 1, 0, 0))
    filter_ += _unless(looked_at["clone"], 0, (ANY_BIT, 0, 1, NAMESPACES))
    if not programs:
        filter_ += _unless(looked_at["clone"], 0, (ANY_BIT, 1, 0, THREAD))
    return [*filter_, (RETURN, 0, 0, ALLOW)]


def _error(number: int) -> int:
    return 0x00050000 | number


def _unless(call: int, argument: int, test: Instruction, error: int = errno.EPERM) -> list[Instruction]:
    """Deny ``call`` where ``test`` of the low half of an argument goes on with the next instruction."""
    return [
        (EQUAL, 0, 4, call),
        (LOAD, 0, 0, 16 + 8 * argument),
        test,
        (RETURN, 0, 0, _error(error)),
        (LOAD, 0, 0, NUMBER),
    ]


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def install(instructions: list[Instruction]) -> None:
    """Have the kernel apply a filter to this thread. Raises ``OSError``."""
    packed = b"".join(struct.pack("=HBBI", *instruction) for instruction in instructions)
    call = MACHINES[platform.machine()][2]
    filter_ = ctypes.byref(_Program(len(instructions), packed))
    if LIBC.syscall(ctypes.c_long(call), ctypes.c_long(SET_MODE_FILTER), ctypes.c_long(0), filter_) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
