"""Untrusted programs under limits: what their functions give, what they write, and whether tests hold for them.

It tells what happened; what that is worth is told by `verdicts`. May be used from several threads at a time, each of
which then waits for a process of its own.
"""

import contextlib
import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, NamedTuple, Self

from dynasor.engines.sandbox.process import Ended, Pipe, ProgramLimits, TooMuchOutput, Worker
from dynasor.engines.sandbox.roles import OUT_OF_MEMORY
from dynasor.engines.sandbox.values import encoded

TIME, MEMORY, OUTPUT, GONE = "time limit", "memory limit", "output limit", "ended early"
"""Why there is no value, beside the names of exceptions."""


class Given(NamedTuple):
    """What a call gave: an encoded value, or why there is none (an exception's name, or one of those above)."""

    value: Any = None
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """What tests came to: `fault` is why they did not pass, "" for an assertion that does not hold."""

    passed: bool
    test: int | None = None
    fault: str = ""
    message: str = ""


class Sandbox:
    """Runs programs in workers, which start when they are needed and are used again.

    Args:
        limits: of every program.
        withheld: guards to go without, for tests of the others.
    """

    def __init__(self, limits: ProgramLimits | None = None, *, withheld: frozenset[str] = frozenset()) -> None:
        self.limits = limits or ProgramLimits()
        self._withheld = withheld
        self._lock = threading.Lock()
        self._idle: list[Worker] = []

    def guards(self) -> dict[str, bool]:
        """Which guards hold on this machine, by name."""
        ours, theirs = _pipes(2)
        with self._worker() as worker:
            answers = Pipe(ours[1], self.limits)
            os.close(ours[0])
            with worker.job([("probe", theirs)], self.limits, self._withheld) as job:
                told = answers.line()
                job.ended()
        answers.close()
        return dict(told or {})

    def call(self, code: str, entry_point: str, calls: Sequence[Sequence[object]]) -> Iterator[Given]:
        """What a function of a program gives for the arguments of each call, as far as it is asked.

        After a fault that ends the program there is nothing more.
        """
        return self._asked(code, [{"function": entry_point, "call": list(map(encoded, given))} for given in calls])

    def evaluate(self, code: str, expressions: Sequence[str]) -> Iterator[Given]:
        """What expressions give among a program's names; likewise."""
        return self._asked(code, [{"evaluate": text} for text in expressions])

    def stream(self, code: str, given: str) -> Given:
        """What a program writes when it reads `given`; undecodable bytes are replaced."""
        ours, theirs = _pipes(2)
        with self._worker() as worker, worker.job([("stream", theirs)], self.limits, self._withheld) as job:
            to_program, output = (Pipe(file, self.limits) for file in ours)
            to_program.write({"stdin": given})
            to_program.write({"code": code})
            try:
                written = output.all()
            except TooMuchOutput:
                output.close()  # the program ends by writing on, or by its time
                worker.end()
                return Given(fault=OUTPUT)
            finally:
                to_program.close()
            output.close()
            ended = job.ended()
        fault = _end_of(ended) or (None if ended.statuses == (0,) else "error")
        return Given(written.decode(errors="replace"), fault) if fault is None else Given(fault=fault)

    def check(self, code: str, functions: Sequence[str], source: str, prompt: str = "") -> Checked:
        """Whether assertions about functions of a program hold.

        They run in a process of their own, and the program in another, which is told arguments and nothing else.

        Args:
            code: the program.
            functions: those that the assertions may call.
            source: the assertions; if they define `check`, it is called with the first function.
            prompt: what they may use besides, executed before them.
        """
        ours, theirs = _pipes(4)  # to the program, from it; to the tests, from them
        question_end, answer_end = os.dup(ours[0]), os.dup(ours[1])
        roles = [("serve", theirs[:2]), ("check", [*theirs[2:], answer_end, question_end])]
        with self._worker() as worker, worker.job(roles, self.limits, self._withheld) as job:
            pipes = [Pipe(file, self.limits) for file in ours]
            pipes[0].write({"code": code})
            pipes[0].close()
            pipes[1].close()
            pipes[2].write({"prompt": prompt, "source": source, "functions": list(functions)})
            told = pipes[3].line()
            ended = job.ended()
        return _checked(told, ended)

    def close(self) -> None:
        """End the workers; a later question starts others."""
        with self._lock:
            idle, self._idle = self._idle, []
        for worker in idle:
            worker.end()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _asked(self, code: str, questions: Sequence[dict[str, object]]) -> Iterator[Given]:
        ours, theirs = _pipes(2)
        with self._worker() as worker, worker.job([("serve", theirs)], self.limits, self._withheld) as job:
            to_program, from_program = (Pipe(file, self.limits) for file in ours)
            to_program.write({"code": code})
            answers = _answers(to_program, from_program, questions)
            fault = None
            try:
                for given in answers:
                    if given.fault is not GONE:
                        yield given
                    fault = given.fault
                    if fault in (GONE, OUTPUT):
                        break
            finally:
                to_program.close()
                from_program.close()
                ended = job.ended()
            if fault is GONE:
                yield Given(fault=_end_of(ended) or GONE)

    @contextlib.contextmanager
    def _worker(self) -> Iterator[Worker]:
        with self._lock:
            worker = self._idle.pop() if self._idle else None
        worker = worker or Worker()
        try:
            yield worker
        except GeneratorExit:  # nobody asks on, and the job has been waited for
            pass
        except BaseException:
            worker.end()  # what it is at is not known
            raise
        if worker.end.alive:
            with self._lock:
                self._idle.append(worker)


def _answers(to_program: Pipe, from_program: Pipe, questions: Sequence[dict[str, object]]) -> Iterator[Given]:
    try:
        loaded = _given(from_program.line())
        if loaded.fault is not None:
            yield from [loaded] * len(questions)
            return
        for question in questions:
            to_program.write(question)
            yield _given(from_program.line())
    except TooMuchOutput:
        yield Given(fault=OUTPUT)


def _given(told: Any) -> Given:
    if not isinstance(told, dict):
        return Given(fault=GONE)
    if "error" in told:
        return Given(fault=MEMORY if told["error"] == "MemoryError" else str(told["error"]))
    return Given(told.get("value"))


def _checked(told: Any, ended: Ended) -> Checked:
    if not isinstance(told, dict) or told.get("error") == "gone":
        return Checked(passed=False, fault=_end_of(ended) or GONE)
    if told.get("passed") is True:
        return Checked(passed=True)
    fault = told.get("error") or ""
    return Checked(False, told.get("test"), MEMORY if fault == "MemoryError" else fault, told.get("message") or "")


def _end_of(ended: Ended) -> str | None:
    """The limit that processes ended at; None for any other end."""
    if ended.out_of_time:
        return TIME
    return MEMORY if OUT_OF_MEMORY in ended.statuses else None


def _pipes(count: int) -> tuple[list[int], list[int]]:
    """Pipes, alternately to and from a sandboxed process: the host's ends, and the other ones."""
    ours, theirs = [], []
    for place in range(count):
        reading, writing = os.pipe()
        ours.append(reading if place % 2 else writing)
        theirs.append(writing if place % 2 else reading)
    return ours, theirs
