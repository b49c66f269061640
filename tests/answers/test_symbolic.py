import gc
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from dynasor.answers.symbolic import SymbolicChecker, SymbolicLimits
from dynasor.answers.symbolic_worker import Pair, math_verify_comparison
from dynasor.errors import EngineError, MissingExtra

FAKE = r"""
import json, os, signal, sys
print(json.dumps({"installed": True}), flush=True)
asked = 0
for line in sys.stdin:
    pair = json.loads(line)["left"] + json.loads(line)["right"]
    if "h" in pair:
        signal.pause()
    if "d" in pair:
        os._exit(1)
    print("{" if "g" in pair else json.dumps({"same": asked == 0}), flush=True)
    asked += 1
"""  # hangs, dies, writes garbage; otherwise the first pair that it is asked is equal and the later ones are not


def python(script: str) -> tuple[str, ...]:
    return (sys.executable, "-I", "-S", "-c", script)


def worker_pid(checker: SymbolicChecker) -> int:
    assert checker._worker is not None
    return checker._worker._process.pid


def is_child(pid: int) -> bool:
    try:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


@pytest.fixture
def checker() -> Iterator[SymbolicChecker]:
    with SymbolicChecker(SymbolicLimits(pair_s=20.0), python(FAKE)) as checker:
        yield checker


def test_equal_forms_need_no_worker(checker: SymbolicChecker) -> None:
    assert checker.same("1/2", r"\frac{2}{4}")
    assert checker._worker is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1/3", "0.333333"), ("east", "seat"), ("52_8", "52"), ("1, 2", "(2, 1)"), ("C", "D"), ("x%", "x/100"),
        ("", "x+1"), ("0.333...", "0.333"), ("x+" * 300 + "1", "x+1"),
        ("x+\ud800", "x+1"), ("'x'", "x+1"), ("x\ny", "x+y"),
    ],
)  # fmt: skip
def test_what_is_no_formula_is_never_asked(checker: SymbolicChecker, one: str, other: str) -> None:
    assert not checker.same(one, other)
    assert checker._worker is None


def test_a_verdict_is_remembered_whatever_the_order(checker: SymbolicChecker) -> None:
    assert checker.same("x+1", "1+x")
    assert checker.same("1 + x", "x + 1")
    assert not checker.same("x+2", "2+x")  # the fake's second pair


def test_the_memory_is_bounded() -> None:
    with SymbolicChecker(SymbolicLimits(pair_s=20.0, cached_pairs=1), python(FAKE)) as checker:
        assert [checker.same("x+1", other) for other in ("1+x", "2+x", "1+x")] == [True, False, False]


def test_a_pair_that_kills_its_worker_is_not_equal(checker: SymbolicChecker) -> None:
    assert not checker.same("x+d", "x+1")
    assert checker.same("x+1", "1+x")


def test_a_reply_that_is_none_is_not_equal(checker: SymbolicChecker) -> None:
    assert not checker.same("x+g", "x+1")
    assert checker.same("x+1", "1+x")


def test_a_worker_killed_between_questions_is_replaced(checker: SymbolicChecker) -> None:
    assert checker.same("x+1", "1+x")
    first = worker_pid(checker)
    os.kill(first, signal.SIGKILL)
    assert checker.same("x+2", "2+x")
    assert worker_pid(checker) != first


def test_a_pair_beyond_its_limit_is_not_equal_and_is_remembered() -> None:
    with SymbolicChecker(SymbolicLimits(wall_s=0.05), python(FAKE)) as checker:
        assert not checker.same("x+h", "x+1")
        assert not checker.same("x+1", "x+h")
        assert checker._worker is not None
        assert not checker._worker.is_alive()  # not started again for a pair that is known


def test_close_leaves_no_process_and_may_be_followed_by_questions(checker: SymbolicChecker) -> None:
    assert checker.same("x+1", "1+x")
    first = worker_pid(checker)
    checker.close()
    checker.close()
    assert not is_child(first)
    assert checker.same("x+2", "2+x")


def test_a_forgotten_checker_leaves_no_process() -> None:
    checker = SymbolicChecker(SymbolicLimits(pair_s=20.0), python(FAKE))
    assert checker.same("x+1", "1+x")
    first = worker_pid(checker)
    del checker
    gc.collect()
    assert not is_child(first)


def test_threads_share_a_worker(checker: SymbolicChecker) -> None:
    verdicts: list[bool] = []
    threads = [
        threading.Thread(target=lambda k=k: verdicts.append(checker.same(f"x+{k}", f"{k}+x"))) for k in range(1, 9)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(verdicts) == [False] * 7 + [True]


def test_a_missing_library_is_told_every_time() -> None:
    checker = SymbolicChecker(command=python("""print('{"installed": false}')"""))
    for _ in range(2):
        with pytest.raises(
            MissingExtra, match=r"symbolic equality needs an extra: pip install 'dynasor-serve\[symbolic\]'"
        ):
            checker.same("x+1", "1+x")
    assert checker._worker is None


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (python("import signal; signal.pause()"), "was not ready within 0.05 s"),
        (python("raise SystemExit(1)"), "was not ready within"),
        (python("print('hello')"), "was not ready within"),
        (("/no/such/program",), "cannot start a worker"),
    ],
)
def test_a_worker_that_does_not_start_is_an_engine_error(command: tuple[str, ...], message: str) -> None:
    with SymbolicChecker(SymbolicLimits(start_s=0.05), command) as checker, pytest.raises(EngineError, match=message):
        checker.same("x+1", "1+x")


@pytest.mark.slow
def test_the_worker_tells_that_math_verify_is_missing() -> None:
    script = """
import sys
sys.modules["math_verify"] = None
from dynasor.answers.symbolic_worker import main
main(sys.argv[1:])
"""
    with SymbolicChecker(command=(sys.executable, "-c", script)) as checker, pytest.raises(MissingExtra):
        checker.same("x+1", "1+x")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the limit of address space")
def test_the_worker_limits_its_memory() -> None:
    script = """
import resource
from dynasor.answers.symbolic_worker import _limit_memory
_limit_memory(1 << 30)
print(resource.getrlimit(resource.RLIMIT_AS)[0])
"""
    shown = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert shown.stdout == f"{1 << 30}\n"


@pytest.fixture(scope="module")
def real_checker() -> Iterator[SymbolicChecker]:
    pytest.importorskip("math_verify")
    with SymbolicChecker(SymbolicLimits(pair_s=20.0)) as checker:
        yield checker


@pytest.mark.slow
@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (r"\frac{1}{\sqrt{3}}", r"\frac{\sqrt{3}}{3}", True),
        ("(x+1)^2", "x^2+2x+1", True),
        (r"2 \times 5! \times 5!", "28800", True),
        (r"1 \pm \sqrt{2}", r"1+\sqrt2, 1-\sqrt2", True),
        (r"\begin{pmatrix} \frac{2}{4} \\ \sqrt{4} \end{pmatrix}", r"\begin{pmatrix} 1/2 \\ 2 \end{pmatrix}", True),
        ("x < 2", r"(-\infty, 2)", True),
        ("x+1", "x+2", False),
        (r"7\pi", "7", False),
        ("(1, x)", "(x, 1)", False),
        ("[1, x]", "(1, x)", False),
        (r"\frac{1", "x+1", False),
    ],
)
def test_math_verify(real_checker: SymbolicChecker, one: str, other: str, same: bool) -> None:
    assert real_checker.same(one, other) == same
    assert real_checker.same(other, one) == same


@pytest.mark.slow
def test_math_verify_within_this_process() -> None:
    pytest.importorskip("math_verify")
    same = math_verify_comparison()
    assert same(Pair("x+1", "1+x"))
    assert not same(Pair("x+1", "x"))


@pytest.mark.slow
def test_what_counts_is_the_time_of_the_processor(tmp_path: Path) -> None:
    """A machine with much else to do must not make answers differ: one waits, one computes, and one start each."""
    starts = tmp_path / "starts"
    script = f"""
import io, sys
sys.path[:0] = {[*map(str, sys.path)]!r}
open({str(starts)!r}, "a").write("x")
from dynasor.answers.symbolic_worker import Hello, _serve, _write
def same(pair):
    if "w" in pair.left + pair.right:
        import select
        select.select([], [], [], 0.4)
        return True
    while True:
        pass
_write(sys.stdout.buffer, Hello(installed=True))
_serve(same, sys.stdin.buffer, sys.stdout.buffer, float(sys.argv[2]))
"""
    with SymbolicChecker(SymbolicLimits(pair_s=0.2), (sys.executable, "-c", script)) as checker:
        assert checker.same("x+w", "x+1")
        assert not checker.same("x+c", "x+1")
        assert not checker.same("x+c", "x+2")
    assert starts.read_text() == "xx"


@pytest.mark.slow
def test_a_hostile_formula_ends_at_its_limit_and_the_next_question_works_from_any_thread() -> None:
    pytest.importorskip("math_verify")
    verdicts: list[bool] = []

    def ask() -> None:
        with SymbolicChecker(SymbolicLimits(pair_s=1.0)) as checker:
            verdicts.append(checker.same("9^{9^{9}}", "x+3"))
            verdicts.append(checker.same(r"\sqrt{8}", r"2\sqrt{2}"))

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    assert verdicts == [False, True]


def test_a_worker_that_stops_listening_is_replaced_once_and_then_gives_no_verdict(tmp_path: Path) -> None:
    starts = tmp_path / "starts"
    deaf = f"""
import os, time
open({str(starts)!r}, "a").write("x")
os.close(0)
os.write(1, b'{{"installed":true}}\\n')
time.sleep(60)
"""
    with SymbolicChecker(SymbolicLimits(pair_s=5.0), (sys.executable, "-c", deaf)) as checker:
        assert not checker.same("x+1", "1+x")
    assert starts.read_text() == "xx"


@pytest.mark.slow
def test_the_worker_serves_until_its_input_ends() -> None:
    command = [sys.executable, "-m", "dynasor.answers.symbolic_worker"]
    done = subprocess.run(command, input=b'{"left":"x+1","right":"1+x"}\n', capture_output=True, check=True)
    assert done.stdout.splitlines() == [b'{"installed":true}', b'{"same":true}']
    hidden = "import sys; sys.modules['math_verify'] = None; from dynasor.answers.symbolic_worker import main; main([])"
    done = subprocess.run([sys.executable, "-c", hidden], input=b"", capture_output=True, check=True)
    assert done.stdout.splitlines() == [b'{"installed":false}']
