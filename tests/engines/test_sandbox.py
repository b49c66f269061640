import os
import signal
import socket
import tempfile
import threading
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dynasor.engines.sandbox import guards
from dynasor.engines.sandbox.process import ProgramLimits
from dynasor.engines.sandbox.sandbox import GONE, MEMORY, OUTPUT, TIME, Checked, Given, Sandbox
from dynasor.engines.sandbox.values import Foreign, decoded, encoded
from dynasor.errors import UsageError

SHORT = ProgramLimits(wall_s=0.3, cpu_s=1)
SMALL = ProgramLimits(memory_bytes=1 << 28, output_bytes=1 << 16)
KERNEL = frozenset({guards.FILES, guards.CALLS, guards.NETWORK})
TESTS = "def check(candidate):\n    assert candidate(1) == 2\n    assert candidate(2) == 3\n"
RIGHT = "def f(x):\n    return x + 1\n"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        sandbox.guards()  # starts a worker
        yield sandbox


@pytest.fixture(scope="module")
def short() -> Iterator[Sandbox]:
    with Sandbox(SHORT) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def small() -> Iterator[Sandbox]:
    with Sandbox(SMALL) as sandbox:
        sandbox.guards()
        yield sandbox


@pytest.fixture(scope="module")
def hooked() -> Iterator[Sandbox]:
    """A sandbox on a machine whose kernel has no guards."""
    with Sandbox(withheld=KERNEL) as sandbox:
        sandbox.guards()
        yield sandbox


def checked(sandbox: Sandbox, program: str, source: str = TESTS) -> Checked:
    return sandbox.check(program, ["f"], source)


def fault_of(sandbox: Sandbox, body: str) -> str | None:
    """What comes of calling a function with this body: the fault, or None for a value."""
    program = "def f():\n" + "".join(f"    {line}\n" for line in body.split("\n"))
    return next(given.fault for given in list(sandbox.call(program, "f", [[]])))


@pytest.mark.slow
def test_the_guards_of_this_machine_are_told(sandbox: Sandbox, hooked: Sandbox) -> None:
    told = sandbox.guards()
    assert set(told) == set(guards.GUARDS)
    assert told[guards.HOOK]
    assert hooked.guards() == dict.fromkeys(guards.GUARDS, False) | {guards.HOOK: True}


def test_a_right_program_passes(sandbox: Sandbox) -> None:
    assert checked(sandbox, RIGHT) == Checked(passed=True)


def test_the_failing_assertion_is_told(sandbox: Sandbox) -> None:
    assert checked(sandbox, "def f(x): return 2") == Checked(passed=False, test=2)


def test_an_exception_is_told_with_its_test(sandbox: Sandbox) -> None:
    found = checked(sandbox, "def f(x): return [2][x - 1]")
    assert found == Checked(False, 2, "IndexError", "list index out of range")


def test_a_program_that_does_not_load(sandbox: Sandbox) -> None:
    assert checked(sandbox, "def f(x: return").fault == "SyntaxError"


def test_a_function_that_is_not_there(sandbox: Sandbox) -> None:
    assert checked(sandbox, "g = 1") == Checked(False, 1, "NameError", "name 'f' is not defined")


def test_tests_may_expect_an_exception(sandbox: Sandbox) -> None:
    source = "try:\n    f(1)\n    assert False\nexcept ValueError as fault:\n    assert str(fault) == 'no'\n"
    assert checked(sandbox, "def f(x): raise ValueError('no')", source).passed
    assert not checked(sandbox, "def f(x): raise KeyError('no')", source).passed


def test_several_functions_and_what_the_prompt_defines(sandbox: Sandbox) -> None:
    found = sandbox.check(
        "def f(x): return x\ndef g(x): return -x", ["f", "g"], "assert f(1) == -g(1) == one", "one = 1"
    )
    assert found.passed


VALUES: list[Any] = [
    None, True, 0, -(10**5000), 0.1, float("inf"), 1 + 2j, "a\nß\ud800", b"\0\xff", [1, [2]], (1,), {1, 2},
    frozenset({3}), {"a": [1], 2: None, (1, 2): {}}, deque([1, 2]),
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_values_come_back_as_they_were(value: object, sandbox: Sandbox) -> None:
    assert decoded(encoded(value)) == value
    (given,) = sandbox.call("def f(x): return x", "f", [[value]])
    assert decoded(given.value) == value
    assert type(decoded(given.value)) is type(value)


def test_iterators_and_views_are_read() -> None:
    assert list(decoded(encoded(iter("ab")))) == ["a", "b"]
    assert decoded(encoded({1: 2}.items())) == [(1, 2)]


def test_a_value_of_another_type_is_equal_to_nothing(sandbox: Sandbox) -> None:
    liar = "class Liar:\n    def __eq__(self, other): return True\ndef f(x): return Liar()"
    assert checked(sandbox, liar) == Checked(passed=False, test=1)
    foreign = decoded(encoded(object()))
    assert isinstance(foreign, Foreign)
    assert foreign != foreign
    assert repr(foreign) == "<object>"


@pytest.mark.parametrize("bad", [{}, [], 1, {"a": 1}, {"a": 1, "b": 2}])
def test_what_is_no_value_is_refused(bad: object) -> None:
    with pytest.raises(ValueError, match="encoded"):
        decoded(bad)


FAKES = [
    "import os\nos._exit(0)",
    "import sys\nsys.exit(0)",
    "raise SystemExit",
    "import os\ndef f(x): os._exit(0)",
    "import sys\ndef f(x): sys.exit(0)",
    "import builtins\nbuiltins.AssertionError = type('Never', (Exception,), {})\ndef f(x): return 0",
    "def f(x):\n    raise BaseException",
    "import builtins, sys\nbuiltins.exit = sys.exit = lambda *_: None\ndef f(x): return 0",
    "class int(int):\n    __eq__ = lambda *_: True\n    __hash__ = None\ndef f(x): return int(0)",
    """import os
for file in range(3, 64):
    try: os.write(file, b'{"passed": true}\\n')
    except OSError: pass
def f(x): return 0""",
    "def check(candidate): pass\ndef f(x): return 0",
    """import gc
def f(x):
    for held in gc.get_objects():
        if isinstance(held, dict) and 'passed' in held: held['passed'] = True
    return 0""",
    """import json
json.dumps = lambda *_: '{"passed": true}'
def f(x): return 0""",
]


@pytest.mark.parametrize("program", FAKES)
def test_success_cannot_be_faked(program: str, sandbox: Sandbox) -> None:
    assert not checked(sandbox, program).passed


def test_a_program_is_not_told_what_is_expected(sandbox: Sandbox) -> None:
    spy = (
        "import gc, sys\ndef f(x):\n    seen = [held for held in gc.get_objects() if isinstance(held, (list, dict))]\n"
        "    seen += [frame.f_locals for frame in sys._current_frames().values()]\n"
        "    assert 'the secret' not in repr(seen)\n    return 1\n"
    )
    assert checked(sandbox, spy, "assert f(1) == 1 != 'the secret'").passed


@pytest.mark.parametrize("body", ["while True: pass", "import time\ntime.sleep(1000)"])
@pytest.mark.slow
def test_an_endless_program_is_ended(body: str, short: Sandbox) -> None:
    assert fault_of(short, body) == TIME
    assert checked(short, f"def f(x):\n    {body.replace(chr(10), chr(10) + '    ')}").fault == TIME


@pytest.mark.slow
def test_one_that_heeds_no_signal_is_ended_too(short: Sandbox) -> None:
    deaf = "import signal\nfor number in set(signal.Signals) - {9, 19}:\n    signal.signal(number, signal.SIG_IGN)\n"
    assert fault_of(short, deaf + "while True: pass") == TIME


@pytest.mark.slow
def test_processor_time_is_limited_by_itself() -> None:
    with Sandbox(ProgramLimits(wall_s=60, cpu_s=1)) as sandbox:
        assert fault_of(sandbox, "while True: pass") == TIME


@pytest.mark.slow
def test_memory_is_limited(small: Sandbox) -> None:
    assert fault_of(small, "return len(bytearray(1 << 30))") == MEMORY
    assert small.stream("x = [0]\nwhile True: x += x", "").fault == MEMORY
    assert checked(small, "def f(x): return bytearray(1 << 30)").fault == MEMORY


@pytest.mark.slow
def test_output_is_limited(small: Sandbox) -> None:
    assert small.stream("while True: print('x' * 4096)", "").fault == OUTPUT
    assert fault_of(small, "return 'x' * (1 << 20)") == OUTPUT
    assert small.stream("print(1)", "") == Given("1\n")


def test_what_a_function_prints_goes_nowhere(sandbox: Sandbox) -> None:
    (given,) = sandbox.call("import sys\ndef f():\n    print('x')\n    sys.stderr.write('y')\n    return 1", "f", [[]])
    assert decoded(given.value) == 1


FORKS = [
    "import os\nos.fork()",
    "import subprocess\nsubprocess.run(['true'])",
    "import os\nos.system('true')",
    "import os\nos.posix_spawn('/bin/true', ['true'], {})",
    "import os\nos.execv('/bin/true', ['true'])",
]


@pytest.mark.parametrize("body", FORKS)
@pytest.mark.parametrize("which", ["sandbox", "hooked"])
def test_processes_are_refused(body: str, which: str, request: pytest.FixtureRequest) -> None:
    assert fault_of(request.getfixturevalue(which), body) in ("PermissionError", "ImportError")


def test_a_fork_bomb_makes_no_process(sandbox: Sandbox) -> None:
    bomb = "import os\nforks = 0\nfor _ in range(64):\n    try:\n        forks += os.fork() > -1\n"
    assert fault_of(sandbox, bomb + "    except OSError:\n        pass\nassert not forks") is None


def test_threads_are_allowed(sandbox: Sandbox) -> None:
    body = "import threading\nthread = threading.Thread(target=print)\nthread.start()\nthread.join()"
    assert fault_of(sandbox, body) is None


SOCKETS = ["import socket\nsocket.socket()", "import urllib.request\nurllib.request.urlopen('http://127.0.0.1')"]


@pytest.mark.parametrize("body", SOCKETS)
@pytest.mark.parametrize("which", ["sandbox", "hooked"])
def test_sockets_are_refused(body: str, which: str, request: pytest.FixtureRequest) -> None:
    assert fault_of(request.getfixturevalue(which), body) in ("PermissionError", "URLError", "ImportError")


def test_nothing_reaches_a_port_of_this_machine(sandbox: Sandbox) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        port = server.getsockname()[1]
        assert fault_of(sandbox, f"import socket\nsocket.create_connection(('127.0.0.1', {port}), 1)") is not None
        with pytest.raises(BlockingIOError):
            server.accept()


@pytest.mark.slow
@pytest.mark.parametrize("which", ["sandbox", "hooked"])
def test_files_elsewhere_are_not_written(which: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    old = tmp_path / "old"
    old.write_text("as it was")
    old.chmod(0o644)
    new, kept = repr(str(tmp_path / "new")), repr(str(old))
    tries = [f"open({new}, 'w')", f"open({kept}, 'a')"]
    tries += [f"__import__('os').{call}({kept})" for call in ("remove", "utime")]
    tries += [f"__import__('os').{call}({kept}, 0)" for call in ("chmod", "truncate")]
    tries += [f"__import__('os').{call}({kept}, 'x')" for call in ("rename", "symlink")] + [
        f"__import__('os').mkdir({new})"
    ]
    for attempt in tries:
        assert fault_of(request.getfixturevalue(which), attempt) is not None, attempt
    assert [path.name for path in tmp_path.iterdir()] == ["old"]
    assert old.read_text() == "as it was"
    assert old.stat().st_mode & 0o777 == 0o644


def test_files_of_the_user_are_not_read_where_the_kernel_helps(sandbox: Sandbox, tmp_path: Path) -> None:
    if not sandbox.guards()[guards.FILES]:
        pytest.skip("this kernel has no Landlock")
    (tmp_path / "secret").write_text("secret")
    assert fault_of(sandbox, f"open({str(tmp_path / 'secret')!r}).read()") == "PermissionError"
    assert fault_of(sandbox, f"open('/proc/{os.getpid()}/environ').read()") == "PermissionError"


@pytest.mark.slow
def test_a_file_of_its_own_is_bounded(sandbox: Sandbox) -> None:
    write = "open('mine', 'wb', buffering=0).write(b'x' * 10)\nreturn open('mine').read()"
    assert fault_of(sandbox, write) == "OSError"
    with Sandbox(ProgramLimits(file_bytes=10)) as roomy:
        assert fault_of(roomy, write) is None
        assert fault_of(roomy, write.replace("* 10", "* 11 + b'y'") + " + 1") is not None


def test_the_directory_is_empty_and_goes_with_the_program(sandbox: Sandbox) -> None:
    program = "import os\ndef f(): return [os.getcwd(), os.listdir()]"
    (first,) = sandbox.call(program, "f", [[]])
    place, files = decoded(first.value)
    assert files == []
    assert Path(place).parent == Path(tempfile.gettempdir()).resolve()
    assert not Path(place).exists()


@pytest.mark.slow
def test_the_environment_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "x")
    with Sandbox() as sandbox:
        (given,) = sandbox.call("import os\ndef f(): return sorted(os.environ)", "f", [[]])
    assert not {"SECRET_TOKEN", "PATH", "HOME"} & set(decoded(given.value))


def test_no_file_is_open_but_its_own(sandbox: Sandbox, tmp_path: Path) -> None:
    with (tmp_path / "ours").open("w") as ours:
        os.set_inheritable(ours.fileno(), True)
        program = "import os\ndef f():\n    for n in range(64):\n        try: yield n, os.fstat(n).st_mode & 0o170000\n"
        (given,) = sandbox.call(program + "        except OSError: pass", "f", [[]])
    kinds = dict(decoded(given.value))
    assert len(kinds) == 5  # three that lead nowhere, and two pipes
    assert 0o100000 not in kinds.values()


@pytest.mark.parametrize("which", ["sandbox", "hooked"])
@pytest.mark.parametrize("who", ["os.getppid()", "-1", "0", "1"])
def test_nobody_else_is_killed(which: str, who: str, request: pytest.FixtureRequest) -> None:
    sandbox = request.getfixturevalue(which)
    before = sandbox.guards()
    assert fault_of(sandbox, f"import os\nos.kill({who}, 0)") == "PermissionError"
    assert sandbox.guards() == before


@pytest.mark.slow
def test_a_worker_that_is_killed_is_replaced(sandbox: Sandbox) -> None:
    list(sandbox.call(RIGHT, "f", [[1]]))
    worker = sandbox._idle[-1]
    os.kill(worker._process.pid, signal.SIGKILL)
    worker._process.wait()
    assert fault_of(sandbox, "return 1") == GONE
    assert fault_of(sandbox, "return 1") is None


def test_a_program_after_another_finds_nothing_of_it(sandbox: Sandbox) -> None:
    list(sandbox.call("import builtins\nbuiltins.left = 1\ndef f(): pass", "f", [[]]))
    assert fault_of(sandbox, "left") == "NameError"


def test_only_the_standard_library_is_there(sandbox: Sandbox) -> None:
    assert fault_of(sandbox, "import json, heapq, typing") is None
    assert fault_of(sandbox, "import msgspec") == "ModuleNotFoundError"


@pytest.mark.slow
def test_the_kernel_guards_cannot_be_taken_down(sandbox: Sandbox) -> None:
    if not sandbox.guards()[guards.CALLS]:
        pytest.skip("this machine has no seccomp filter of ours")
    with Sandbox(withheld=frozenset({guards.HOOK})) as bare:
        raw = "import ctypes\nlibrary = ctypes.CDLL(None, use_errno=True)\n"
        for call in ("fork()", "socket(2, 1, 0)", "kill(1, 0)", "unshare(0x10000000)", "prlimit(0, 0, 0, 0)"):
            assert fault_of(bare, raw + f"assert library.{call} == -1\nassert ctypes.get_errno() == 1") is None, call


def test_a_program_that_reads_and_writes(sandbox: Sandbox) -> None:
    assert sandbox.stream("a, b = map(int, input().split())\nprint(a + b)", "1 2\n") == Given("3\n")
    assert sandbox.stream("import sys\nprint(len(sys.stdin.buffer.read()))", "ß" * 100_000) == Given("200000\n")
    assert sandbox.stream("if __name__ == '__main__':\n    print(1)\nraise SystemExit(3)", "") == Given("1\n")
    assert sandbox.stream("import os\nos.write(1, open(0).read().encode())", "x") == Given("x")
    assert sandbox.stream("1 / 0", "") == Given(fault="error")


def test_a_method_of_a_solution(sandbox: Sandbox) -> None:
    program = "class Solution:\n    def twice(self, x): return 2 * x"
    assert [decoded(given.value) for given in sandbox.call(program, "twice", [[1], ["a"]])] == [2, "aa"]


def test_asking_may_end_early(sandbox: Sandbox) -> None:
    answers = sandbox.call(RIGHT, "f", [[1], [2]])
    assert decoded(next(answers).value) == 2
    answers.close()  # type: ignore[attr-defined]
    assert fault_of(sandbox, "return 1") is None


def test_expressions_among_the_names_of_a_program(sandbox: Sandbox) -> None:
    given = list(sandbox.evaluate(RIGHT, ["f(1)", "f('a')", "f(2)"]))
    assert [one.fault for one in given] == [None, "TypeError", None]


@pytest.mark.slow
def test_threads_share_a_sandbox(sandbox: Sandbox) -> None:
    found: list[Checked] = []
    threads = [threading.Thread(target=lambda: found.append(checked(sandbox, RIGHT))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [Checked(passed=True)] * 4


def test_limits_that_cannot_be() -> None:
    with pytest.raises(UsageError, match=r"^wall_s is 0; a program needs some$"):
        ProgramLimits(wall_s=0)
