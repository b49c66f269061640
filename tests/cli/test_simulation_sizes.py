"""What a server's metrics tell of its memory."""

import pytest

from dynasor.cli.simulation_sizes import Sizes, sizes_of, told
from dynasor.errors import UsageError

METRICS = """# TYPE vllm:cache_config_info gauge
vllm:cache_config_info{block_size="32",enable_prefix_caching="%s",engine="0",num_gpu_blocks="%s"} 1.0
vllm:num_requests_running{engine="0"} 0.0
"""


@pytest.mark.parametrize(
    ("metrics", "sizes"),
    [
        (METRICS % ("True", "100"), Sizes(3200, 32)),
        (METRICS % ("False", "100"), Sizes(3200, 32, shares_prefixes=False)),
        (METRICS % ("True", "None"), Sizes()),
        ("llama:requests 3\n", Sizes()),
    ],
)
def test_blocks_are_read_where_they_are_told(metrics: str, sizes: Sizes) -> None:
    assert told(metrics) == sizes


def test_nobody_answers() -> None:
    with pytest.raises(UsageError, match="cannot reach"):
        sizes_of("http://127.0.0.1:1/v1")
