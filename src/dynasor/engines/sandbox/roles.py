"""What a sandboxed process does: it serves a program's functions, runs a program on a text, or checks another's.

A program and the tests of it never share a process. The tests call its functions by messages, so that nothing the
program does to its own process, or knows of it, can make a test pass.

Messages are lines of JSON. The standard library alone is used, as the worker has no other.
"""

import ast
import builtins
import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Callable
from itertools import islice
from types import ModuleType, TracebackType
from typing import IO, Any

from dynasor.engines.sandbox.values import Foreign, decoded, encoded

OUT_OF_MEMORY = 83
"""The exit status of a program that could get no more memory."""

FAULT = 84
"""The exit status of a program that ended by an exception."""

_TESTS = "<tests>"


class ProgramGone(BaseException):
    """The program ended before it was asked everything; no test may catch this."""


class ForeignError(Exception):
    """An exception of the program's own kind."""


def serve(questions: IO[bytes], answers: IO[bytes]) -> None:
    """Execute the program of the first line, then answer a line for each call or expression until the lines end.

    In: `{"code"}`, then `{"function", "call"}`, with encoded arguments, or `{"evaluate": text}`.
    Out: `{"ready": true}`, then `{"value"}`, or at any time `{"error", "message"}`.
    """
    job = json.loads(questions.readline())
    namespace = _module("program")
    loaded = _answer(answers, lambda: _execute(job["code"], "<program>", namespace))
    functions: dict[str, Callable[..., Any]] = {}
    for line in questions if loaded else ():
        question = json.loads(line)
        if "evaluate" in question:
            _answer(answers, lambda text=question["evaluate"]: eval(text, namespace))  # type: ignore[misc]  # noqa: S307
            continue
        _answer(answers, lambda question=question: _called(question, namespace, functions))  # type: ignore[misc]


def stream(job: IO[bytes], output: IO[bytes]) -> int:
    """Execute the program of `{"code"}`, its standard output into `output`; return its exit status."""
    read = json.loads(job.readline())
    os.dup2(output.fileno(), 1)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", errors="surrogateescape")
    try:
        _execute(read["code"], "<program>", _module("__main__"))
    except SystemExit:
        pass  # programs of contests end by it, with all kinds of status
    except MemoryError:
        return OUT_OF_MEMORY
    except BaseException:  # noqa: BLE001  (whatever a program raises ends it)
        return FAULT
    finally:
        with contextlib.suppress(OSError, ValueError):  # the program may have closed it
            sys.stdout.flush()
    return 0


def input_file(text: str) -> IO[bytes]:
    """A file that holds what a program is to read, without a name; made before the limits are set."""
    file = tempfile.TemporaryFile(dir=".")  # noqa: SIM115  (it becomes the standard input)
    file.write(text.encode("utf-8", "surrogateescape"))
    file.seek(0)
    return file


def check(job: IO[bytes], verdict: IO[bytes], answers: IO[bytes], questions: IO[bytes]) -> None:
    """Execute `{"prompt", "source", "functions"}` against the program at the other end, and write the verdict.

    The functions are the program's; `check`, where the source defines it, is called with the first of them.

    Out: `{"passed": true}`, or `{"test", "error", "message"}` with the number of the assertion, from 1; `error` is
    null where it does not hold, and "gone" where the program ended first.
    """
    read = json.loads(job.readline())
    namespace = _module("check")
    try:
        _said(answers)
        _execute(read["prompt"], "<prompt>", namespace)
        functions = {name: _Remote(name, questions, answers) for name in read["functions"]}
        namespace |= functions
        _execute(read["source"], _TESTS, namespace)
        if namespace.get("check") not in (None, *functions.values()):
            namespace["check"](functions[read["functions"][0]])
        _write(verdict, {"passed": True})
    except ProgramGone:
        _write(verdict, {"error": "gone"})
    except AssertionError as fault:
        _write(verdict, {"test": _test_number(read["source"], fault.__traceback__), "error": None})
    except BaseException as fault:  # noqa: BLE001  (whatever it raises, the tests did not pass)
        test = _test_number(read["source"], fault.__traceback__)
        _write(verdict, {"test": test, **_told(fault)})


class _Remote:
    """A function of the program, called by a message. Its name is as it was, for tests that print it."""

    def __init__(self, name: str, questions: IO[bytes], answers: IO[bytes]) -> None:
        self.__name__ = name
        self._questions = questions
        self._answers = answers

    def __call__(self, *given: object) -> Any:
        arguments = [_copied(argument) for argument in given]
        try:
            _write(self._questions, {"function": self.__name__, "call": list(map(encoded, arguments))})
        except OSError as fault:
            raise ProgramGone from fault
        return _said(self._answers)


def _said(answers: IO[bytes]) -> Any:
    line = answers.readline()
    try:
        answer = json.loads(line)
        if "error" in answer:
            raise _same_error(str(answer["error"]), str(answer.get("message", "")))
        return decoded(answer.get("value"))
    except (ValueError, TypeError, RecursionError) as fault:
        if isinstance(fault, _Raised):
            raise
        raise ProgramGone from fault


class _Raised:
    """Marks the errors that the program raised, among those of reading what it said."""


def _same_error(name: str, message: str) -> Exception:
    """An exception of that name, for tests that expect one; of Python's own kind where there is such a kind."""
    kind = getattr(builtins, name, None)
    base: Any = kind if isinstance(kind, type) and issubclass(kind, Exception) else ForeignError
    if issubclass(base, UnicodeError):  # made of five arguments
        base = ValueError
    return type(name, (base, _Raised), {})(message)  # type: ignore[no-any-return]


def _copied(argument: object) -> Any:
    if isinstance(argument, Foreign) or callable(argument):
        raise TypeError(f"cannot hand {type(argument).__name__} to a program in another process")
    return argument


def _module(name: str) -> dict[str, Any]:
    module = ModuleType(name)
    sys.modules[name] = module  # dataclasses and pickles look their module up
    return module.__dict__


def _execute(source: str, name: str, namespace: dict[str, Any]) -> None:
    exec(compile(source, name, "exec", dont_inherit=True), namespace)  # noqa: S102


def _called(question: dict[str, Any], namespace: dict[str, Any], functions: dict[str, Callable[..., Any]]) -> object:
    name = question["function"]
    if name not in functions:
        functions[name] = _entry_point(namespace, name)
    return functions[name](*map(decoded, question["call"]))


def _entry_point(namespace: dict[str, Any], name: str) -> Callable[..., Any]:
    """A function, or a method of a class `Solution`."""
    solution = namespace.get("Solution")
    if isinstance(solution, type) and hasattr(solution, name):
        return getattr(solution(), name)  # type: ignore[no-any-return]
    if name not in namespace:
        raise NameError(f"name '{name}' is not defined")
    return namespace[name]  # type: ignore[no-any-return]


def _answer(answers: IO[bytes], ask: Callable[[], object]) -> bool:
    try:
        message = {"value": encoded(ask())}
    except BaseException as fault:  # noqa: BLE001  (whatever a program raises is its answer)
        message = _told(fault)
    _write(answers, message)
    return "error" not in message


def _told(fault: BaseException) -> dict[str, Any]:
    message = ""
    with contextlib.suppress(BaseException):  # the program's own exceptions may not bear being printed
        message = str(fault)[:200]
    return {"error": type(fault).__name__, "message": message}


def _write(out: IO[bytes], message: dict[str, Any]) -> None:
    out.write(json.dumps(message).encode() + b"\n")
    out.flush()


def _test_number(source: str, trace: TracebackType | None) -> int | None:
    """Which assertion of the tests a traceback comes from, from 1; None where it does not."""
    line = None
    for entry in islice(_frames(trace), 100):
        if entry.tb_frame.f_code.co_filename == _TESTS:
            line = entry.tb_lineno
    if line is None:
        return None
    with contextlib.suppress(SyntaxError):
        starts = sorted(node.lineno for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Assert))
        return sum(start <= line for start in starts) or None
    return None


def _frames(trace: TracebackType | None) -> Any:
    while trace is not None:
        yield trace
        trace = trace.tb_next
