"""What the gateway says of itself at /openapi.json is true: the routes are those, and a fuzzer finds them so."""

import asyncio
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from dynasor.bench.gateway_processes import mock
from dynasor.gateway.openapi import PATH, document
from dynasor.gateway.settings import read_settings
from dynasor.launch.serving import prepare
from support.gateways import KEY, Recorder, gateway, serving_at
from support.raw_http import ask, request
from support.serve_thread import served

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,ignored_auth"
EXAMPLES = 25
OPEN = {"/health", "/ready", "/metrics", PATH}


def operations(keys: bool = True) -> dict[tuple[str, str], dict[str, Any]]:
    """All that is described, by method and path."""
    return {
        (method.upper(), path): operation
        for path, methods in document(keys=keys)["paths"].items()
        for method, operation in methods.items()
    }


def test_it_describes_every_route_and_no_other(tmp_path: Path) -> None:
    told = {"backends": [{"url": "http://localhost:9"}], "batches": {"store": f"sqlite:{tmp_path}/batches"}}
    app = prepare(read_settings(None, told), {}).gateway
    listed = {*app._exact, *(key for key, _ in app._below)}
    routes = {(method, path) for method, path in listed if not path.startswith("/dashboard")}
    described = {
        (method, found[1] if (found := re.match(r"(/[^{]*/)\{", path)) else path) for method, path in operations()
    }
    assert described == routes | {("GET", "/v1/files/"), ("GET", "/v1/batches/")}


async def test_it_is_served_without_a_key_and_says_whether_there_are_keys(tmp_path: Path) -> None:
    async with serving_at(Recorder().app()) as url, gateway(url) as here:
        answer = await ask(here.port, request("GET", PATH))
        assert (answer.status, answer.json) == (200, document(keys=False))
    assert document(keys=True)["security"] == [{"key": []}]


def test_only_what_tells_nothing_needs_no_key() -> None:
    assert {path for (_, path), operation in operations().items() if operation.get("security") == []} == OPEN
    assert all("401" in operation["responses"] for (_, path), operation in operations().items() if path not in OPEN)


def test_operations_have_names_of_their_own_and_references_lead_somewhere() -> None:
    names = [operation["operationId"] for operation in operations().values()]
    assert len(set(names)) == len(names)
    described = document(keys=True)
    referred = set(re.findall(r"'#/components/schemas/(\w+)'", str(described)))
    assert referred == set(described["components"]["schemas"])


@pytest.mark.slow
async def test_a_fuzzer_finds_it_true_and_no_fault_of_ours(tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("schemathesis")
    async with mock(None) as backend:
        options = ("--backend", f"http://127.0.0.1:{backend}/v1", "--batch-store", f"sqlite:{tmp_path}/batches")
        with served(tmp_path / "log", *options, "--log-format", "json", environ={"DYNASOR_API_KEY": KEY}) as gateway:
            process = await asyncio.create_subprocess_exec(
                *(program, "run", f"http://127.0.0.1:{gateway.port}{PATH}", "--header", f"Authorization: Bearer {KEY}"),
                *("--checks", CHECKS, "--phases", "coverage,fuzzing", "--max-examples", str(EXAMPLES), "--seed", "1"),
                *("--exclude-path", PATH, "--request-timeout", "30", "--no-color"),
                stdout=asyncio.subprocess.PIPE,
                cwd=tmp_path,
            )
            said, _ = await process.communicate()
            assert process.returncode == 0, said.decode()
            assert gateway.process.poll() is None
            assert '"level":"error"' not in gateway.written
    assert f"Tested: {len(operations()) - 1}" in said.decode()
