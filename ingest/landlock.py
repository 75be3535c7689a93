"""Landlock: a process gives up the files that it will not need, the network and signals, without being root for it.

See landlock(7). The numbers of its system calls are the same on every machine.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterable
from pathlib import Path

LIBC = ctypes.CDLL(None, use_errno=True)
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
VERSION = 1  # flag of CREATE_RULESET
PATH_BENEATH = 1
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1, 2, 4, 8
FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}  # how many rights each version knows; 16 from 5 on
BIND_AND_CONNECT = 3  # TCP, from 4 on
SOCKETS_AND_SIGNALS = 3  # to processes outside, from 6 on


def version() -> int:
    """What the kernel offers, from 1. Raises ``OSError`` where it has no Landlock, or has it switched off."""
    return _call(CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(VERSION))


def restrict(readable: Iterable[Path], executable: Iterable[Path] = ()) -> int:
    """Leave this thread, and whatever it starts from here on, these files and folders to read; no file to write.

    ``executable``: folders whose programs it may start. What does not exist is passed over; files that are open stay
    open. Returns `version`. For good; needs no_new_privs. Raises ``OSError``.
    """
    abi = version()
    rights = (1 << FILE_RIGHTS.get(abi, 16)) - 1
    network = BIND_AND_CONNECT if abi >= 4 else 0
    scoped = SOCKETS_AND_SIGNALS if abi >= 6 else 0
    attributes = struct.pack("=QQQ", rights, network, scoped)[: 8 if abi < 4 else 16 if abi < 6 else 24]
    ruleset = _call(CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), ctypes.c_uint32(0))
    try:
        for path in readable:
            _allow(ruleset, path, READ_FILE | READ_DIR)
        for path in executable:
            _allow(ruleset, path, READ_FILE | READ_DIR | EXECUTE)
        _call(RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint32(0))
    finally:
        os.close(ruleset)
    return abi


def _allow(ruleset: int, path: Path, rights: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:  # it is not there, or out of reach: then there is nothing to allow
        return
    try:
        if not path.is_dir():
            rights &= ~READ_DIR
        beneath = struct.pack("=Qi", rights, place)
        _call(ADD_RULE, ctypes.c_int(ruleset), ctypes.c_int(PATH_BENEATH), beneath, ctypes.c_uint32(0))
    finally:
        os.close(place)


def _call(number: int, *arguments: object) -> int:
    result: int = LIBC.syscall(ctypes.c_long(number), *arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result
