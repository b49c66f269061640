"""The gateway's benchmark: the mock backend, the load generator, and what rows come to."""

from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from dynasor.bench.gateway_arms import DIRECT, KEY, own_arms, rival_arms
from dynasor.bench.gateway_endurance import Held, Look, Segment, gateways_for, growth_mib_per_minute, hold
from dynasor.bench.gateway_figures import GOALS, Figures
from dynasor.bench.gateway_load import Found, Load, Spread, spread
from dynasor.bench.gateway_mock import FAULTS, Told, told
from dynasor.bench.gateway_overhead import Row, overhead
from dynasor.bench.gateway_page import ROWS, SOAK, STREAMS, write_lines, write_page
from dynasor.bench.gateway_processes import Cores, generate, get, mock
from dynasor.cli import main
from dynasor.errors import EngineError
from support.raw_http import ask, completion

ANYWHERE = Cores(None, None)


def found(requests: int = 100, tokens: int = 0, p50: float = 0.0) -> Found:
    many = Spread(p50, 2 * p50, 3 * p50)
    return Found(
        requests=requests, failed=0, fault="", tokens=tokens, seconds=2.0, latency=many, first=many, delay=many,
        beat=many, cpu_s=0.1,
    )  # fmt: skip


def row(arm: str, load: str, number: int, p50: float = 1.0, **more: float) -> Row:
    of_row = {"cpu_s": 0.02, "idle_mib": 50.0, "peak_mib": 80.0} | more
    return Row(arm=arm, load=load, round=number, found=found(1000, 2000, p50=p50), **of_row)


def test_directives_are_read_from_a_prompt() -> None:
    assert told(b" tokens=64 every=0.02 ") == Told(tokens=64, every=0.02)
    assert told(b"fail=rate_limit of=10") == Told(fail="rate_limit", of=10)
    assert Load(port=1, mock="tokens=3").request(0).count(b"[[mock: tokens=3]]") == 1


def test_a_request_carries_a_key_and_a_program_where_it_is_to() -> None:
    bare = Load(port=1).request(7)
    assert b"authorization" not in bare
    assert b"x-session-id" not in bare
    named = Load(port=1, key="k", program="agent").request(7)
    assert b"authorization: Bearer k\r\nx-session-id: agent-7\r\n" in named
    assert int(named.partition(b"content-length: ")[2].split()[0]) == len(named.partition(b"\r\n\r\n")[2])


def test_a_spread_is_of_the_values_in_milliseconds() -> None:
    assert spread([]) == Spread()
    assert spread([n / 1000 for n in range(1, 101)]) == Spread(51.0, 100.0, 100.0)


@pytest.mark.slow
async def test_the_mock_answers_fails_and_counts() -> None:
    async with mock(None) as port:
        for name, (status, kind) in FAULTS.items():
            text = f"[[mock: fail={name}]]"
            answer = await ask(port, completion({"messages": [{"role": "user", "content": text}]}))
            assert (answer.status, answer.error["type"], answer.error["code"]) == (status, kind, name)
        answer = await ask(port, completion({"messages": [{"role": "user", "content": "[[mock: tokens=5]]"}]}))
        assert answer.json["usage"]["completion_tokens"] == 5
        streamed = {"messages": [{"role": "user", "content": "[[mock: tokens=5 every=0.001]]"}], "stream": True}
        events = (await ask(port, completion(streamed))).body.split(b"\n\n")
        assert [event[:6] for event in events] == [b"data: "] * 6 + [b""]
        assert b'"id":"mock"' in await get(port, "/v1/models")
        assert msgspec.json.decode((await get(port, "/seen")).partition(b"\r\n\r\n")[2]) == {
            "requests": 8, "active": 0, "aborted": 0,
        }  # fmt: skip


@pytest.mark.slow
async def test_the_generator_tells_what_it_sent_and_when_tokens_came() -> None:
    async with mock(None) as port:
        closed = await generate(Load(port=port, seconds=0.3, connections=4), None)
        assert closed.requests > 4
        assert (closed.failed, closed.tokens) == (0, 0)
        assert 0 < closed.latency.p50 <= closed.latency.p99 <= closed.latency.most
        waiting = await generate(Load(port=port, seconds=0.5, connections=1, rate=40.0, mock="first=0.05"), None)
        assert 5 < waiting.requests < 50
        assert waiting.latency.p50 >= 50.0
        streams = Load(port=port, seconds=0.1, connections=3, stream=True, mock="tokens=7 every=0.002", beats=True)
        streamed = await generate(streams, None)
        assert streamed.tokens == 7 * streamed.requests
        assert streamed.delay.p50 > 0
        failing = await generate(Load(port=port, seconds=0.1, connections=1, mock="fail=server_error"), None)
        assert (failing.requests, failing.fault[:4]) == (0, "503:")
        held = await generate(
            Load(port=port, seconds=0.3, connections=5, stream=True, holds=True, mock="tokens=1000 every=0.05"), None
        )
        assert (held.requests, held.failed) == (5, 0)


@pytest.mark.slow
async def test_arms_are_measured_in_turn() -> None:
    asked = {"plain": Load(port=0, seconds=0.2, connections=2)}
    arms = [DIRECT, *own_arms()]
    rows = [one async for one in overhead(arms, 1, asked, ANYWHERE, pytest.fail)]
    assert [one.arm for one in rows] == [arm.name for arm in arms]
    assert all(one.found.requests and not one.found.failed for one in rows)
    assert all((one.idle_mib > 10) == (one.arm != "direct") for one in rows)
    assert own_arms()[0].key == KEY
    assert [arm.is_rival for arm in (DIRECT, *own_arms(), *rival_arms())] == [False] * 4 + [True] * 2


@pytest.mark.slow
async def test_streams_are_held_and_let_go() -> None:
    held = await hold(own_arms()[0], 30, 1.0, 230, ANYWHERE)
    assert held.gateways == 2  # a process may have but 230 descriptors, 200 of which are spared
    assert [one.requests for one in held.founds] == [15, 15]
    assert held.left_s >= 0
    assert held.descriptors_after <= held.descriptors_before + 2
    assert held.peak_mib >= held.idle_mib > 10


def test_streams_are_spread_over_as_many_processes_as_descriptors_ask_for() -> None:
    assert gateways_for(10_000, 65_536) == 1
    assert gateways_for(10_000, 20_000) == 2
    with pytest.raises(EngineError, match="descriptors"):
        gateways_for(10_000, 4096)


def test_figures_are_medians_and_latencies_are_against_no_gateway_in_the_same_round() -> None:
    rows = [row("direct", "waiting", number, p50=500.0 + number) for number in range(3)]
    rows += [row("dynasor", "waiting", number, p50=501.0 + 3 * number) for number in range(3)]
    rows += [row("dynasor", "plain", 0, cpu_s=0.2), row("bare", "plain", 0, cpu_s=0.1)]
    figures = Figures(rows)
    added = figures.figure("dynasor", "added_p50")
    assert added is not None
    assert (added.value, added.low, added.high) == (3.0, 1.0, 5.0)
    cost = figures.figure("dynasor", "cpu_request")
    assert cost is not None
    assert cost.value == pytest.approx(200.0)
    assert figures.times("dynasor", "cpu_request") == pytest.approx(2.0)
    assert figures.figure("litellm", "rate") is None
    assert GOALS["rate"].holds(5000.0)
    assert not GOALS["cpu_token"].holds(45.1)


def test_a_soak_grows_by_its_slope_once_settled() -> None:
    looks = [Look(60.0 * n, 50.0 if n < 2 else 60.0 + 0.5 * n, 20, 1.0, 0) for n in range(10)]
    segments = [Segment(plain=found(), streams=found(), look=look) for look in looks]
    assert growth_mib_per_minute(segments) == pytest.approx(0.5)
    assert growth_mib_per_minute(segments[:1]) == 0.0


def test_the_page_holds_what_was_measured(tmp_path: Path) -> None:
    names = ("held", "plain", "waiting", "streams", "streams at once", "fast streams")
    rows = [row(arm, load, 0) for arm in ("direct", "bare", "dynasor") for load in names]
    write_lines(tmp_path / ROWS, {"commit": "abc"}, rows)
    looks = [Look(float(n), 50.0, 20, 1.0, 0) for n in range(3)]
    held = Held(
        streams=100, gateways=1, founds=[found(100)], idle_mib=50.0, peak_mib=53.0, looks=looks, left_s=0.2,
        descriptors_before=15, descriptors_after=15,
    )  # fmt: skip
    write_lines(tmp_path / STREAMS, {"commit": "abc"}, [held])
    write_lines(tmp_path / SOAK, {}, [Segment(plain=found(), streams=found(), look=look) for look in looks])
    write_page(tmp_path, tmp_path / "gateway.md", tmp_path / "gateway-cpu.png")
    page = (tmp_path / "gateway.md").read_text()
    assert "It grew most, by 0.0 MiB, in the part that ended at 1 s" in page
    for told_there in ("| dynasor | 500 | 20 |", "## 100 streams at one time", "31.5 kB a stream", "- commit: `abc`"):
        assert told_there in page


def test_an_unheard_of_arm_is_refused() -> None:
    result = CliRunner().invoke(main, ["bench", "gateway", "--arms", "nobody"])
    assert result.exit_code == 2
    assert "nobody" in result.output
