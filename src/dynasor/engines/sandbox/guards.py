"""The limits of one process that will run a program, and the guards that it puts up before it does.

The guards are tried in turn, and each tells whether it holds: the kernel's cannot be taken down again; Python's own
audit hook stands everywhere, and holds against programs that are wrong rather than against those that are clever.
"""

import os
import resource
import sys
from collections.abc import Mapping
from typing import Any

from dynasor.engines.sandbox import kernel

FILES, CALLS, NETWORK, HOOK = "landlock", "seccomp", "network namespace", "audit hook"
GUARDS = (FILES, CALLS, NETWORK, HOOK)

_OPEN_FILES = 64
_CHANGES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_REFUSED = (
    "socket.", "subprocess.", "ctypes.", "pty.", "shutil.", "os.system", "os.exec", "os.posix_spawn", "os.spawn",
    "os.fork", "os.kill", "os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate",
    "os.chmod", "os.chown", "os.chflags", "os.utime", "os.setxattr", "os.removexattr", "os.startfile", "resource.",
    "signal.pthread_kill", "sys.remote_exec",
)  # fmt: skip
_REFUSED_MODULES = frozenset({"_posixsubprocess", "_ctypes", "_socket"})


def limit(limits: Mapping[str, Any]) -> None:
    """Set the hard limits of this process: `cpu_s`, `memory_bytes`, `file_bytes`."""
    cpu_s = max(1, int(limits["cpu_s"]))
    wanted = {
        resource.RLIMIT_CPU: (cpu_s, cpu_s + 1),  # the soft one can be ignored, the hard one kills
        resource.RLIMIT_AS: (limits["memory_bytes"],) * 2,
        resource.RLIMIT_FSIZE: (limits["file_bytes"],) * 2,
        resource.RLIMIT_NOFILE: (_OPEN_FILES,) * 2,
        resource.RLIMIT_CORE: (0, 0),
    }
    for kind, (soft, hard) in wanted.items():
        _, most = resource.getrlimit(kind)
        bound = hard if most == resource.RLIM_INFINITY else min(hard, most)
        try:
            resource.setrlimit(kind, (min(soft, bound), bound))
        except (OSError, ValueError):  # a system that has no such limit: macOS, for memory
            continue


def put_up(directory: str, withheld: frozenset[str] = frozenset()) -> dict[str, bool]:
    """Put up every guard that this machine has, and tell which hold.

    Args:
        directory: the only one in which the program may write.
        withheld: guards to go without, so that the others can be tested.
    """
    holds = dict.fromkeys(GUARDS, False)
    if FILES not in withheld:
        holds[FILES] = kernel.only_files_in(directory)
    if CALLS not in withheld:
        holds[CALLS] = kernel.no_processes_or_sockets()
    if not holds[CALLS]:
        _no_processes()
        holds[NETWORK] = NETWORK not in withheld and kernel.no_network()
    if HOOK not in withheld:
        _hook(os.path.realpath(directory))
        holds[HOOK] = True
    return holds


def _no_processes() -> None:
    """Not for root, whom this limit does not bind. It counts threads too."""
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))


def _hook(directory: str) -> None:
    real, inside = os.path.realpath, directory.rstrip(os.sep) + os.sep
    refused, modules, changes, null = _REFUSED, _REFUSED_MODULES, _CHANGES, os.devnull

    def audit(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, mode, flags = arguments
            writes = flags & changes if isinstance(flags, int) else set(mode or "") & set("wax+")
            if writes and not isinstance(path, int) and not (real(path) + os.sep).startswith(inside) and path != null:
                raise PermissionError(f"a program under test may not write {path!r}")
        elif event == "import":
            if arguments[0] in modules:
                raise ImportError(f"a program under test may not import {arguments[0]}")
        elif event.startswith(refused):
            raise PermissionError(f"a program under test may not ask for {event}")

    sys.addaudithook(audit)
