"""Keys: kept as hashes, compared in constant time, and none that everybody knows."""

import itertools
from hashlib import sha256

import pytest

from dynasor.errors import UsageError
from dynasor.gateway.keys import Everybody, Keys, hash_of, is_loopback, new_key
from dynasor.gateway.refusals import Refused
from dynasor.gateway.tenants import Tenant

FIRST, SECOND, THIRD = new_key(), new_key(), new_key()
TEAM = Tenant(name="team", key_hashes=(hash_of(FIRST), hash_of(SECOND)))
OTHER = Tenant(name="other", key_hashes=(hash_of(THIRD),))


def bearing(value: bytes) -> dict[bytes, bytes]:
    return {b"authorization": value}


def test_every_key_of_a_tenant_opens() -> None:
    keys = Keys([TEAM, OTHER])
    assert keys.tenant(bearing(b"Bearer " + FIRST.encode())) is TEAM
    assert keys.tenant(bearing(b"bearer  " + SECOND.encode() + b" ")) is TEAM
    assert keys.tenant(bearing(b"Bearer " + THIRD.encode())) is OTHER


@pytest.mark.parametrize(
    "value",
    [
        b"", b"Bearer", b"Bearer ", FIRST.encode(), b"Basic " + FIRST.encode(), b"Bearer " + FIRST[:-1].encode(),
        b"Bearer " + FIRST.encode() + b"x", b"Bearer \xff\xfe\xe9", b"Bearer " + b"x" * 8192, b"Bearer ' OR '1'='1' --",
        b"Bearer " + TEAM.key_hashes[0].encode(), b"Bearer \";DROP TABLE keys;--", b"Bearer ${jndi:ldap://x/y}",
        b"Bearer %s%s%n", b"Bearer \x00",
    ],
    ids=itertools.count(),  # new keys every time are no names of tests
)  # fmt: skip
def test_everything_else_is_401(value: bytes) -> None:
    with pytest.raises(Refused) as told:
        Keys([TEAM]).tenant(bearing(value))
    assert (told.value.status, told.value.code) == (401, "invalid_api_key")
    assert FIRST not in told.value.told


def test_keys_are_nowhere_kept() -> None:
    keys = Keys([TEAM])
    keys.tenant(bearing(b"Bearer " + FIRST.encode()))
    assert FIRST not in repr(vars(keys))


@pytest.mark.parametrize("key", ["sk-1234", "EMPTY", "changeme", "", "token-abc123"])
def test_a_key_that_everybody_knows_is_refused(key: str) -> None:
    with pytest.raises(UsageError, match="everybody knows"):
        Keys([Tenant(name="a", key_hashes=(sha256(key.encode()).hexdigest(),))])
    with pytest.raises(UsageError, match="32 or more"):
        hash_of(key)


def test_a_short_key_is_refused() -> None:
    with pytest.raises(UsageError, match="has 31 characters"):
        hash_of("x" * 31)


def test_two_tenants_with_one_key_are_refused() -> None:
    with pytest.raises(UsageError, match="team and copy have the same key"):
        Keys([TEAM, Tenant(name="copy", key_hashes=(hash_of(FIRST),))])


def test_new_keys_differ_and_are_long() -> None:
    assert len({new_key() for _ in range(100)}) == 100
    assert len(FIRST) > 40


def test_a_hash_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError, match="no SHA-256"):
        Tenant(name="a", key_hashes=("sk-the-key-itself",))


@pytest.mark.parametrize("field", ["share", "requests_per_minute", "tokens_per_minute", "concurrency", "max_branches"])
def test_a_tenant_with_nothing_is_refused(field: str) -> None:
    with pytest.raises(UsageError, match=f"{field} is 0"):
        Tenant(name="a", **{field: 0})  # type: ignore[arg-type]


def test_a_tenant_without_a_sound_name_or_queue_is_refused() -> None:
    with pytest.raises(UsageError, match="no name of a tenant"):
        Tenant(name="a/b")
    with pytest.raises(UsageError, match="queue is -1"):
        Tenant(name="a", queue=-1)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:80", "127.0.0.1", "127.9.9.9:8080", "[::1]", "[::1]:8080"])
def test_everybody_on_this_machine_may_ask(host: str) -> None:
    assert Everybody("127.0.0.1").tenant({b"host": host.encode()}).name == "everybody"


def test_loopback_is_told_from_the_rest() -> None:
    assert [is_loopback(host) for host in ("::1", "127.0.0.1", "0.0.0.0", "::", "10.0.0.1", "gpu1")] == [
        True, True, False, False, False, False,
    ]  # fmt: skip
