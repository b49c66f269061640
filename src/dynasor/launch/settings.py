"""What a run's journal says of how it was made."""

import platform
import sys
from hashlib import sha256
from pathlib import Path

from dynasor import __version__
from dynasor.clock import utc_timestamp
from dynasor.journal.records import Setting
from dynasor.launch.options import RunOptions
from dynasor.wiring import algorithm_setting


def settings_of(options: RunOptions, policy: str) -> dict[str, Setting]:
    """Whatever changes an answer, apart from where problems and answers come from."""
    algorithm = options.algorithm
    settings: dict[str, Setting] = {
        "algorithm": algorithm_setting(algorithm) if isinstance(algorithm, str) else algorithm.__qualname__,
        "policy": policy,
        "in_flight": options.in_flight,
        "cap": options.cap,
        "signal": options.signal,
        "grouping": options.grouping,
        "scorer": options.scorer,
        "seed": options.seed,
    }
    if options.trace:
        return settings
    sampling = options.sampling
    return settings | {
        "extract": options.extract,
        "prompt": sha256(f"{options.system}\0{options.prompt}".encode()).hexdigest()[:12],
        "seeded_requests": options.seeded_requests,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "max_tokens": sampling.max_tokens,
        "stop": "\n".join(sampling.stop),
        "logprobs": sampling.logprobs,
    }


def circumstances_of(options: RunOptions) -> dict[str, Setting]:
    """Whatever changes no answer, but belongs on the record."""
    return {
        "date": utc_timestamp(),
        "dynasor": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "command": " ".join(sys.argv),
        "endpoint": options.endpoint.url if options.endpoint else None,
        "concurrency": options.concurrency,
    }


def directory_name(source: str, policy: str, options: RunOptions) -> str:
    """The same command resumes the same run, so the name tells runs apart that people make side by side."""
    words = [Path(source).name.partition(".")[0], policy, *(["in-flight"] if options.in_flight else [])]
    if options.algorithm != "sc":
        algorithm = options.algorithm
        words.append(algorithm.rpartition(":")[2] if isinstance(algorithm, str) else algorithm.__qualname__)
    text = "-".join([*words, f"cap{options.cap}", f"seed{options.seed}"])
    return "".join(c if c.isalnum() or c in "-.=+" else "_" for c in text)
