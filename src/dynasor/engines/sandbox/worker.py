"""The process that makes sandboxed ones: it forks, waits, and kills at the limit. It reads no program and runs none.

What its children are to do comes through files that it passes on unread, so that nothing of one program is ever in the
memory of the next. A fork costs a few milliseconds where a new interpreter would cost a hundred. It works on one job at
a time, and ends when the process that started it does. The standard library alone is used.
"""

import gc
import importlib
import json
import os
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from dynasor.engines.sandbox import guards, kernel, roles

MOST_MESSAGE_BYTES = 1 << 14
MOST_FILES = 8

_WARM = (
    "bisect", "collections", "copy", "dataclasses", "datetime", "decimal", "fractions", "functools", "heapq", "io",
    "itertools", "json", "math", "operator", "random", "re", "statistics", "string", "typing", "typing_extensions",
)  # fmt: skip


def main(control: socket.socket) -> None:
    """Say which guards hold, then do one job a message until the other end closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that asks
    kernel.end_with_parent()
    for name in _WARM:
        if name in sys.stdlib_module_names:
            importlib.import_module(name)
    gc.collect()
    gc.freeze()  # so that collections in children leave these pages shared
    while True:
        message, files, _, _ = socket.recv_fds(control, MOST_MESSAGE_BYTES, MOST_FILES)
        if not message:
            return
        control.sendall(json.dumps(_done(json.loads(message), files, control)).encode())


def _done(job: Mapping[str, Any], files: list[int], control: socket.socket) -> dict[str, Any]:
    """Run the children of a job side by side until the last of them ends; the others are then killed."""
    children: list[int] = []
    timed_out = False

    def end(*_: object) -> None:
        nonlocal timed_out
        timed_out = True
        _kill(children)

    signal.signal(signal.SIGALRM, end)
    place = 0
    for role, count in job["children"]:
        own = files[place : place + count]
        place += count
        child = os.fork()
        if not child:
            control.close()
            _become(role, own, [file for file in files if file not in own], job)
        children.append(child)
    for file in files:
        os.close(file)
    signal.setitimer(signal.ITIMER_REAL, job["limits"]["wall_s"])
    os.waitid(os.P_PID, children[-1], os.WEXITED | os.WNOWAIT)
    signal.setitimer(signal.ITIMER_REAL, 0)
    _kill(children)
    statuses = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    return {"statuses": statuses, "timed_out": timed_out}


def _kill(children: Sequence[int]) -> None:
    """Each with all that it has started; none of them has been waited for, so that no number means another by now."""
    for child in children:
        for kill in (os.killpg, os.kill):
            try:
                kill(child, signal.SIGKILL)
            except OSError:  # it has no group of its own yet
                continue


def _become(role: str, own: Sequence[int], others: Sequence[int], job: Mapping[str, Any]) -> NoReturn:
    """Go on as a sandboxed process; never returns into the worker's code."""
    status = roles.FAULT
    try:
        os.setsid()
        kernel.end_with_parent()
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        for file in others:
            os.close(file)
        os.chdir(job["directory"])
        status = _played(role, own, job)
    except MemoryError:
        status = roles.OUT_OF_MEMORY
    finally:
        os._exit(status)


def _played(role: str, own: Sequence[int], job: Mapping[str, Any]) -> int:
    opened = [os.fdopen(file, "rb" if place % 2 == 0 else "wb") for place, file in enumerate(own)]
    if role == "probe":
        guards.limit(job["limits"])
        opened[1].write(json.dumps(guards.put_up(job["directory"], frozenset(job["withheld"]))).encode() + b"\n")
        opened[1].flush()
        return 0
    if role == "stream":
        with roles.input_file(json.loads(opened[0].readline())["stdin"]) as given:
            os.dup2(given.fileno(), 0)
        sys.stdin = os.fdopen(0, encoding="utf-8", errors="surrogateescape")
    guards.limit(job["limits"])
    guards.put_up(job["directory"], frozenset(job["withheld"]))
    if role == "stream":
        return roles.stream(opened[0], opened[1])
    getattr(roles, role)(*opened)
    return 0
