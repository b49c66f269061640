"""Two real servers, started once for all tests of this folder."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from dynasor.bench.vllm_options import ENVIRONMENT, ServerOptions
from dynasor.bench.vllm_server import VLLMServer
from dynasor.engines.builtin import policy_folder
from support.process_groups import living
from support.reward_folder import make_reward_folder

ROOT = Path(__file__).parents[2]
POLICY = policy_folder()
sys.path.append(str(ROOT))  # for `training`, which is a folder of the repository and not of the package


START_S = 300.0
"""Generous: other work may share the machine, and a real model computes."""


class Servers(NamedTuple):
    policy: VLLMServer
    reward: VLLMServer


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Both start side by side, which takes less time than one after the other."""
    if not ENVIRONMENT.exists() and not os.environ.get("CI"):
        pytest.skip(f"there is no {ENVIRONMENT.name}; make it with scripts/vllm-environment")
    folder = tmp_path_factory.mktemp("vllm")
    reward_model = make_reward_folder(POLICY, folder / "reward", likelier="1", than="7")
    # A client that is starved for seconds must not find its long requests done.
    policy = ServerOptions(model=POLICY, log=folder / "policy.log", core=0, context_tokens=65536)
    reward = ServerOptions(model=reward_model, log=folder / "reward.log", core=1, runner="pooling")
    pair = Servers(VLLMServer(policy), VLLMServer(reward))
    try:
        groups = [server.start().pid for server in pair]
        for server in pair:
            server.wait_until_ready(START_S)
        yield pair
    finally:
        for server in pair:
            server.stop()
    assert [living(group) for group in groups if group is not None] == [[], []]


@pytest.fixture(scope="session")
def policy_server(servers: Servers) -> VLLMServer:
    return servers.policy


@pytest.fixture(scope="session")
def reward_server(servers: Servers) -> VLLMServer:
    return servers.reward
