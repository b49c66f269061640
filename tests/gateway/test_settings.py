"""The settings of a gateway: what is wrong with them is told before it serves."""

from pathlib import Path

import pytest

from dynasor.errors import UsageError
from dynasor.gateway.keys import hash_of, new_key
from dynasor.gateway.settings import GatewaySettings, read_settings
from dynasor.gateway.tenants import Tenant

HASH = hash_of(new_key())
FILE = f"""
port = 9000
running = 64
ordering = "fcfs"

[[backends]]
url = "http://gpu1:8000/v1"
api_key_variable = "GPU_KEY"

[limits]
choices = 16

[timeouts]
idle_s = 5

[[tenants]]
name = "team"
key_hashes = ["{HASH}"]
share = 2
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "gateway.toml"
    path.write_text(FILE)
    return path


def test_a_file_is_read(file: Path) -> None:
    settings = read_settings(file, {})
    assert (settings.port, settings.running, settings.limits.choices, settings.timeouts.idle_s) == (9000, 64, 16, 5)
    assert settings.tenants == (Tenant(name="team", key_hashes=(HASH,), share=2.0),)
    assert settings.backends[0].api_key_variable == "GPU_KEY"
    assert settings.limits.messages == 2048


def test_what_is_given_goes_before_the_file(file: Path) -> None:
    settings = read_settings(file, {"port": 9001, "host": None}, [Tenant(name="more")])
    assert (settings.port, settings.host) == (9001, "127.0.0.1")
    assert [tenant.name for tenant in settings.tenants] == ["team", "more"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("prot = 1", "unknown setting 'prot'; did you mean 'port'"),
        ("[limits]\nchoises = 1", "unknown setting in limits 'choises'; did you mean 'choices'"),
        ("[timeouts]\nx = 1", "unknown setting in timeouts 'x'"),
        ("[[tenants]]\nname = 'a'\nshares = 1", "unknown setting in tenants 'shares'; did you mean 'share'"),
        ("[[backends]]\naddress = 'x'", "unknown setting in backends 'address'"),
        ("[[backends]]\n", "missing required field `url`"),
        ("port = 'http'", "Expected `int`, got `str` - at `$.port`"),
        ("port = 70000", "port is 70000"),
        ("running = 0", "more than 0"),
        ("grace_s = -1", "grace_s"),
        ("[limits]\nchoices = 0", "limits.choices is 0"),
        ("[[tenants]]\nname = 'a'\n[[tenants]]\nname = 'a'", "two tenants called a"),
        ("[[tenants]]\nname = 'a'\nkey_hashes = ['x']", "no SHA-256"),
        ("limits = 3", "Expected `object`, got `int` - at `$.limits`"),
        ("tenants = 3", "Expected `array`, got `int` - at `$.tenants`"),
        ("log_format = 'xml'", "log_format is 'xml'; it must be one of text, json, none"),
        ("port =", "is not TOML"),
        ("host = '0.0.0.0'", "there are no keys"),
        ("host = 'gpu1'", "there are no keys"),
        ("host = '::'", "there are no keys"),
    ],
)
def test_what_cannot_be_is_told(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text(text)
    with pytest.raises(UsageError) as fault:
        read_settings(file, {})
    assert told in str(fault.value)
    assert "\n" not in str(fault.value).replace(str(file), "")


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read"):
        read_settings(tmp_path / "none.toml", {})


def test_with_keys_it_may_listen_to_all() -> None:
    assert GatewaySettings(host="0.0.0.0", tenants=(Tenant(name="a", key_hashes=(HASH,)),)).host == "0.0.0.0"
