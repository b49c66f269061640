"""Who sends a request: keys are known by their hashes alone, and compared in constant time.

Without keys everybody on this machine may ask, but no web page that happens to be open on it.
"""

import hmac
import secrets
from collections.abc import Iterable, Mapping
from hashlib import sha256
from ipaddress import ip_address
from typing import Protocol

from dynasor.errors import UsageError
from dynasor.gateway.refusals import Refused
from dynasor.gateway.tenants import OPEN, Tenant

SHORTEST_KEY = 32  # characters
_BEGINS = "sk-dynasor-"
_WELL_KNOWN = (
    *("sk-1234", "sk-12345", "sk-123456", "1234", "123456", "12345678", "EMPTY", "empty", "none", "None", "null", ""),
    *("test", "sk-test", "key", "api-key", "your-api-key", "YOUR_API_KEY", "sk-xxx", "changeme", "change-me", "token"),
    *("secret", "password", "admin", "root", "default", "token-abc123", "sk-no-key-required", "dummy", "sk-dummy"),
    *("fake-key", "sk-fake", "abc123", "local", "ollama", "vllm", "dynasor", "sk-dynasor", "lm-studio", "litellm"),
)
_WEAK = {sha256(key.encode()).hexdigest(): key for key in _WELL_KNOWN}


class Doorkeeper(Protocol):
    """Tells whose request it is."""

    def tenant(self, headers: Mapping[bytes, bytes]) -> Tenant:
        """By a request's headers, with their names in small letters.

        Raises:
            Refused: it is nobody's.
        """
        ...


class Keys:
    """The keys of all tenants."""

    def __init__(self, tenants: Iterable[Tenant]) -> None:
        """Learn the hashes.

        Raises:
            UsageError: two tenants have one key, or a key is one that everybody knows.
        """
        self._tenants: dict[bytes, tuple[bytes, Tenant]] = {}
        for tenant in tenants:
            for digest in tenant.key_hashes:
                self._learn(bytes.fromhex(digest), tenant)

    def tenant(self, headers: Mapping[bytes, bytes]) -> Tenant:
        """By the key in `Authorization: Bearer KEY`.

        Only digests are looked up and compared: how long that takes tells nothing about a key.

        Raises:
            Refused: 401.
        """
        kind, _, key = headers.get(b"authorization", b"").partition(b" ")
        if kind.lower() != b"bearer" or not key:
            raise Refused(401, "this needs a key; send the header Authorization: Bearer KEY", "invalid_api_key")
        digest = sha256(key.strip()).digest()
        known = self._tenants.get(digest)
        if known is None or not hmac.compare_digest(known[0], digest):
            raise Refused(401, "this key is not known here; ask for another one", "invalid_api_key")
        return known[1]

    def _learn(self, digest: bytes, tenant: Tenant) -> None:
        if (weak := _WEAK.get(digest.hex())) is not None:
            raise UsageError(
                f"tenant {tenant.name}: its key is '{weak}', which everybody knows; make another one with dynasor serve"
                f" --new-key {tenant.name}"
            )
        if digest in self._tenants:
            raise UsageError(f"tenants {self._tenants[digest][1].name} and {tenant.name} have the same key")
        self._tenants[digest] = (digest, tenant)


class Everybody:
    """No keys: for a server that only this machine reaches."""

    def __init__(self, host: str) -> None:
        """For a server that listens at such a host."""
        self._hosts = frozenset({host.lower(), "localhost"})
        self._tenant = Tenant(name=OPEN)

    def tenant(self, headers: Mapping[bytes, bytes]) -> Tenant:
        """The only one.

        Raises:
            Refused: 403, for a page of another site: by its Origin, or by a name that leads here by rebinding.
        """
        host = headers.get(b"host", b"").decode("latin-1")
        if not self._is_local(host):
            raise Refused(403, "without keys this answers requests to localhost only", "wrong_host")
        origin = headers.get(b"origin")
        if origin is not None and origin.decode("latin-1").partition("://")[2] != host:
            raise Refused(403, "without keys this answers no pages of other sites", "wrong_origin")
        return self._tenant

    def _is_local(self, host: str) -> bool:
        name = host[: host.find("]") + 1] if host.startswith("[") else host.partition(":")[0]
        return name.lower() in self._hosts or is_loopback(name)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens at a host."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def new_key() -> str:
    """A key of 256 random bits."""
    return _BEGINS + secrets.token_urlsafe(32)


def hash_of(key: str) -> str:
    """What is kept of a key.

    Raises:
        UsageError: it is too short, or one that everybody knows.
    """
    digest = sha256(key.encode()).hexdigest()
    if digest in _WEAK or len(key) < SHORTEST_KEY:
        raise UsageError(
            f"the key has {len(key)} characters or is well known; it must have {SHORTEST_KEY} or more: make one with"
            " dynasor serve --new-key NAME"
        )
    return digest
