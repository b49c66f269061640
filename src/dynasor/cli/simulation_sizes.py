"""What a live server tells of its memory: vLLM does at /metrics, others do not. Nothing is measured here."""

import re
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

from dynasor.errors import UsageError

_INFO = re.compile(r"^vllm:cache_config_info\{(.*)\}", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')
_LIMIT_S = 10
_UNKNOWN_CACHE = 1 << 24


@dataclass(frozen=True, slots=True)
class Sizes:
    """Of a server's memory for keys and values; where it does not tell, as good as endless, in the usual blocks."""

    cache_tokens: int = _UNKNOWN_CACHE
    block_tokens: int = 16
    shares_prefixes: bool = True


def sizes_of(url: str) -> Sizes:
    """What the server at an OpenAI address tells.

    Raises:
        UsageError: where nobody answers.
    """
    parts = urlsplit(url)
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    connection = kind(parts.netloc, timeout=_LIMIT_S)
    try:
        connection.request("GET", "/metrics")
        response = connection.getresponse()
        text = response.read().decode(errors="replace")
        return told(text) if response.status == 200 else Sizes()
    except (OSError, HTTPException) as fault:
        raise UsageError(f"cannot reach {url}: {fault}; is the server running?") from None
    finally:
        connection.close()


def told(metrics: str) -> Sizes:
    """What is in the text of /metrics; with several engines, of the first."""
    info = _INFO.search(metrics)
    labels = dict(_LABEL.findall(info.group(1))) if info else {}
    block, blocks = labels.get("block_size", ""), labels.get("num_gpu_blocks", "")
    if not (block.isdecimal() and blocks.isdecimal() and int(block) and int(blocks)):
        return Sizes()
    return Sizes(int(block) * int(blocks), int(block), labels.get("enable_prefix_caching") != "False")
