"""The launcher, with a stand-in for vLLM that does as it is told; tests/vllm starts the real one."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dynasor.bench.vllm_options import ServerOptions
from dynasor.bench.vllm_server import VLLMServer
from dynasor.errors import EngineError, UsageError
from support.process_groups import all_gone, living

Options = Callable[..., ServerOptions]

SERVING = f"""#!{sys.executable}
import subprocess, sys
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        if self.path == "/metrics":
            for engine, count in ((0, 2.0), (1, 1.0)):
                self.wfile.write(b'vllm:num_requests_running{{engine="%d"}} %.1f\\n' % (engine, count))

subprocess.Popen(["sleep", "60"])
HTTPServer(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])), Handler).serve_forever()
"""


@pytest.fixture
def options(tmp_path: Path) -> Options:
    """Options of a server whose vLLM is this script."""

    def make(script: str, **changes: object) -> ServerOptions:
        python = tmp_path / "environment" / "bin" / "python"
        python.parent.mkdir(parents=True, exist_ok=True)
        python.write_text(script)
        python.chmod(0o755)
        (tmp_path / "config.json").write_text("{}")
        given = {"model": tmp_path, "log": tmp_path / "log", "environment": tmp_path / "environment"}
        return ServerOptions(**(given | changes))  # type: ignore[arg-type]

    return make


def test_no_vllm(tmp_path: Path) -> None:
    options = ServerOptions(model=tmp_path, log=tmp_path / "log", environment=tmp_path / "none")
    with pytest.raises(UsageError, match=r"^there is no vLLM in .*none; make it with scripts/vllm-environment$"):
        VLLMServer(options).start()


def test_no_model(options: Options, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"/none holds no config\.json; give the folder of a model$"):
        VLLMServer(options("", model=tmp_path / "none")).start()


def test_a_port_in_use(options: Options) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=rf"^port {port}: .*in use; name another, or 0 for any that is free$"):
            VLLMServer(options("", port=port)).start()


def test_a_server_that_dies_tells_its_last_words(options: Options) -> None:
    server = VLLMServer(options("#!/bin/sh\nprintf 'one\\ntwo\\n\\nthree\\nno memory\\n'; exit 3\n"))
    with pytest.raises(EngineError, match=r"^vLLM ended before it was ready; .*log ends: two \| three \| no memory$"):
        server.__enter__()
    assert server.pid is None


async def test_a_server_that_never_answers_is_stopped(options: Options) -> None:
    server = VLLMServer(options("#!/bin/sh\nexec sleep 60\n")).start()
    group = server.pid
    assert group is not None
    with pytest.raises(EngineError, match=r"^vLLM did not answer within 0 s; its log .*log ends: before it began$"):
        server.wait_until_ready(0)
    assert await all_gone(group)


@pytest.mark.slow
async def test_a_server_is_ready_on_entry_and_gone_on_exit(options: Options) -> None:
    with VLLMServer(options(SERVING)) as server:
        group = server.pid
        assert group is not None
        assert (server.is_healthy(), server.running_count()) == (True, 3)
        with pytest.raises(EngineError, match=r"/metrics tells no vllm:nothing$"):
            server.metric("vllm:nothing")
        assert len(living(group)) == 2
    server.stop()
    assert (server.pid, living(group), server.is_healthy()) == (None, [], False)
    with pytest.raises(EngineError, match="/metrics does not answer"):
        server.running_count()


@pytest.mark.slow
async def test_a_server_ends_with_its_parent(options: Options) -> None:
    made = options("#!/bin/sh\nexec sleep 60\n")
    program = (
        "from pathlib import Path; from dynasor.bench.vllm_options import ServerOptions;"
        "from dynasor.bench.vllm_server import VLLMServer; import os, signal;"
        f"options = ServerOptions(model=Path({str(made.model)!r}), log=Path({str(made.log)!r}),"
        f" environment=Path({str(made.environment)!r}));"
        "print(VLLMServer(options).start().pid, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=subprocess.PIPE)
    out, _ = await parent.communicate()
    assert parent.returncode == -signal.SIGKILL
    assert await all_gone(int(out))


def test_the_environment_of_the_caller_changes_nothing(options: Options) -> None:
    outer = {"PATH": os.defpath, "VLLM_API_KEY": "secret", "OMP_NUM_THREADS": "64", "PYTHONPATH": "elsewhere"}
    given = options("", core=1).environ(outer)
    assert given.keys() & outer.keys() == {"PATH"}
    assert (given["VLLM_CPU_OMP_THREADS_BIND"], given["HF_HUB_OFFLINE"]) == ("1", "1")
