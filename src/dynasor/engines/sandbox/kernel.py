"""What the Linux kernel refuses a process that asked for it, for good and for all its threads: Landlock and seccomp.

Both need no privilege and no other program. Each function tells whether its guard holds now; other systems have none.
The standard library alone is used, as the worker has no other.
"""

import contextlib
import ctypes
import os
import platform
import signal
import struct
import sysconfig
from collections.abc import Sequence
from pathlib import Path

_LIBRARY = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 1, 38, 22, 2
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446  # the same on every machine

_READ_FILE, _READ_DIR, _EXECUTE, _WRITE_FILE = 1 << 2, 1 << 3, 1 << 0, 1 << 1
_REMOVE_DIR, _REMOVE_FILE, _MAKE_DIR, _MAKE_REGULAR, _TRUNCATE = 1 << 4, 1 << 5, 1 << 7, 1 << 8, 1 << 14
_IN_DIRECTORY = _READ_FILE | _READ_DIR | _WRITE_FILE | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REGULAR

_MACHINES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}  # how seccomp calls them
_EPERM, _ENOSYS = 0x00050000 | 1, 0x00050000 | 38
_ALLOW, _KILL = 0x7FFF0000, 0x80000000
_LOAD, _EQUAL, _AT_LEAST, _HAS, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_CLONE_THREAD = 0x00010000
_CLONE = {"x86_64": 56, "aarch64": 220}
_CLONE3 = 435
_X32 = 0x40000000

_REFUSED = {
    # processes: fork vfork execve execveat kill tkill tgkill *sigqueueinfo ptrace process_vm_* kcmp pidfd_*
    # sockets: socket socketpair
    # names and privileges: unshare setns mount umount2 pivot_root chroot prlimit64 setrlimit setpriority
    # owners and modes: *chmod* *chown* *xattr* *utime*
    # what outlives a process: shmget msgget semget mq_open memfd_create keys
    # the rest of the machine: bpf perf_event_open userfaultfd kexec modules clocks reboot syslog quota swap acct
    "x86_64": (
        57, 58, 59, 322, 62, 200, 234, 129, 297, 101, 310, 311, 312, 41, 53, 272, 308, 165, 166, 155, 161, 302, 160,
        141, 90, 91, 268, 92, 93, 94, 260, 188, 189, 190, 197, 198, 199, 132, 235, 261, 280, 29, 68, 64, 240, 319, 248,
        249, 250, 321, 298, 323, 246, 320, 175, 176, 313, 164, 227, 305, 159, 169, 103, 179, 167, 168, 163, 170, 171,
        172, 173, 304,
    ),
    "aarch64": (
        221, 281, 129, 130, 131, 138, 240, 117, 270, 271, 272, 198, 199, 97, 268, 40, 39, 41, 51, 261, 164, 140, 52, 53,
        54, 55, 5, 6, 7, 14, 15, 16, 88, 194, 186, 190, 180, 279, 217, 218, 219, 280, 241, 282, 104, 294, 105, 106, 273,
        170, 112, 266, 171, 142, 116, 60, 224, 225, 89, 161, 162, 265,
    ),
}  # fmt: skip
_REFUSED_EVERYWHERE = (424, 434, 438, 425, 426, 427, 452, 463, 466)  # pidfd_*, io_uring_*, fchmodat2, *xattrat


def end_with_parent() -> bool:
    """Be killed when the process that made this one ends."""
    with contextlib.suppress(AttributeError):
        return not _LIBRARY.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    return False


def only_files_in(directory: str) -> bool:
    """Write in this directory only, and read besides it only what Python itself reads (Landlock, Linux 5.13)."""
    version = _system_call(_LANDLOCK_CREATE, None, 0, 1)
    if version < 1 or not _no_new_privileges():
        return False
    handled = (1 << 13) - 1 | (1 << 13 if version >= 2 else 0) | (_TRUNCATE if version >= 3 else 0)
    handled |= 1 << 15 if version >= 5 else 0  # ioctl on devices
    rules = _system_call(_LANDLOCK_CREATE, struct.pack("=Q", handled), 8, 0)
    if rules < 0:
        return False
    allowed = [(directory, (_IN_DIRECTORY | _TRUNCATE) & handled), (os.devnull, _READ_FILE | _WRITE_FILE)]
    allowed += [(path, _READ_FILE | _EXECUTE) for path in ("/dev/urandom", "/etc/ld.so.cache", "/etc/localtime")]
    allowed += [(path, _READ_FILE | _READ_DIR | _EXECUTE) for path in _of_python()]
    for path, rights in allowed:
        _allow(rules, path, rights)
    holds = _system_call(_LANDLOCK_RESTRICT, rules, 0) == 0
    os.close(rules)
    return holds


def no_processes_or_sockets() -> bool:
    """Refuse system calls to make processes, signal others, open sockets or change the machine (seccomp)."""
    machine = platform.machine()
    if machine not in _MACHINES or not _no_new_privileges():
        return False
    steps = b"".join(_filter(machine))
    buffer = ctypes.create_string_buffer(steps, len(steps))
    program = ctypes.create_string_buffer(struct.pack("@HP", len(steps) // 8, ctypes.addressof(buffer)))
    return not _LIBRARY.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, program, 0, 0)


def no_network() -> bool:
    """Move into a network without any device, where the kernel lets users make one: for machines without seccomp."""
    new_user, new_network = 0x10000000, 0x40000000
    with contextlib.suppress(AttributeError):
        return not _LIBRARY.unshare(new_user | new_network)
    return False


def _system_call(*arguments: object) -> int:
    try:
        return int(_LIBRARY.syscall(*arguments)) if platform.system() == "Linux" else -1
    except AttributeError:
        return -1


def _no_new_privileges() -> bool:
    return not _LIBRARY.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def _of_python() -> list[str]:
    paths = sysconfig.get_paths()
    own = [paths["stdlib"], paths["platstdlib"], str(sysconfig.get_config_var("LIBDIR"))]
    return [*own, "/usr/lib", "/usr/lib64", "/lib", "/lib64", "/usr/share/zoneinfo"]


def _allow(rules: int, path: str, rights: int) -> None:
    if not Path(path).exists():
        return
    opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
    if not Path(path).is_dir():
        rights &= ~_READ_DIR
    _system_call(_LANDLOCK_ADD, rules, 1, struct.pack("=Qi", rights, opened), 0)
    os.close(opened)


def _filter(machine: str) -> Sequence[bytes]:
    """Berkeley packet filter over `struct seccomp_data`: the call's number at 0, the machine at 4, arguments at 16."""
    steps = [_step(_LOAD, 4), _step(_EQUAL, _MACHINES[machine], 1, 0), _step(_RETURN, _KILL), _step(_LOAD, 0)]
    steps += [_step(_AT_LEAST, _X32, 0, 1), _step(_RETURN, _EPERM)]
    for number in (*_REFUSED[machine], *_REFUSED_EVERYWHERE):
        steps += [_step(_EQUAL, number, 0, 1), _step(_RETURN, _EPERM)]
    steps += [_step(_EQUAL, _CLONE3, 0, 1), _step(_RETURN, _ENOSYS)]  # the C library then asks clone, which is read
    steps += [_step(_EQUAL, _CLONE[machine], 0, 3), _step(_LOAD, 16), _step(_HAS, _CLONE_THREAD, 1, 0)]
    return [*steps, _step(_RETURN, _EPERM), _step(_RETURN, _ALLOW)]


def _step(code: int, operand: int, if_so: int = 0, if_not: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_so, if_not, operand)
