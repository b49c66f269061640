"""What a run's journal says of how it was made."""

import platform
import shlex
import sys
from pathlib import Path

import msgspec

from dynasor import __version__
from dynasor.clock import utc_timestamp
from dynasor.engines.builtin import place_of
from dynasor.engines.embedded_model import EmbeddedModel
from dynasor.engines.endpoint import Endpoint
from dynasor.errors import UsageError
from dynasor.journal.records import Setting
from dynasor.launch.fingerprint import algorithm_name, digest
from dynasor.launch.options import RunOptions
from dynasor.programs.program import Program
from dynasor.wiring import ALGORITHMS, algorithm_setting

_LONGEST_NAME = 180  # bytes; file systems take 255, and what writes there adds to it


def settings_of(options: RunOptions, algorithm: type[Program], policy: str) -> dict[str, Setting]:
    """Whatever changes an answer, apart from where problems and answers come from."""
    settings: dict[str, Setting] = {
        "algorithm": _algorithm(options.algorithm, algorithm),
        "policy": policy,
        "in_flight": options.in_flight,
        "cap": options.cap,
        "signal": options.signal,
        "grouping": options.grouping,
        "scorer": options.scorer,
        "seed": options.seed,
        "offset": options.offset,
        **({"embedding": options.embedding, "similarity": options.similarity} if semantic(options) else {}),
        **({"judge_code": True} if options.judge_code else {}),
        **({"deadline_s": options.deadline_s} if options.deadline_s is not None else {}),
    }
    if options.trace:
        return settings
    sampling = options.sampling
    return settings | {
        "extract": options.extract,
        "prompt": digest(f"{options.system}\0{options.prompt}"),
        "seeded_requests": options.seeded_requests,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "max_tokens": sampling.max_tokens,
        "stop": "\n".join(sampling.stop),
        "logprobs": sampling.logprobs,
        **_extra_body(options.endpoint or options.model),
        **({"reward": options.reward.identity} if options.reward else {}),
    }


def semantic(options: RunOptions) -> bool:
    """Whether answers are grouped by meaning."""
    return options.grouping == "semantic"


def _algorithm(asked: str | type[Program], algorithm: type[Program]) -> str:
    if not isinstance(asked, str):
        return algorithm_name(algorithm)
    if asked.partition(":")[0] in ALGORITHMS:
        return algorithm_setting(asked)
    module, colon, _ = asked.rpartition(":")
    return algorithm_name(algorithm) if colon and not module.endswith(".py") else algorithm_setting(asked)


def _extra_body(answers: Endpoint | EmbeddedModel | None) -> dict[str, Setting]:
    """It may hold anything that is JSON, and a key among it: a digest tells it apart and gives nothing away."""
    if answers is None or not answers.extra_body:
        return {}
    try:
        canonical = msgspec.json.encode(dict(answers.extra_body), order="deterministic")
    except (TypeError, ValueError) as fault:
        raise UsageError(f"extra_body cannot be written as JSON: {fault}") from fault
    return {"extra_body": digest(canonical.decode())}


def circumstances_of(options: RunOptions) -> dict[str, Setting]:
    """Whatever changes no answer, but belongs on the record."""
    return {
        "date": utc_timestamp(),
        "dynasor": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "command": shlex.join(sys.argv),
        "endpoint": ",".join(e.url for e in (options.endpoint, *options.replicas) if e) or None,
        "concurrency": options.concurrency,
        "ordering": options.ordering,
        "priority": options.endpoint.priority if options.endpoint else None,
        "outage_s": options.outage_s,
        **({"reward_place": options.reward.place} if options.reward else {}),
        **({"model_file": place_of(options.model.file), "threads": options.model.threads} if options.model else {}),
    }


def directory_name(source: str, policy: str, options: RunOptions) -> str:
    """The same command resumes the same run, so the name tells runs apart that people make side by side."""
    words = [Path(source).name.partition(".")[0], policy, *(["in-flight"] if options.in_flight else [])]
    if options.algorithm != "sc":
        algorithm = options.algorithm
        words.append(algorithm.rpartition(":")[2] if isinstance(algorithm, str) else algorithm.__qualname__)
    words += [f"shadow{options.shadow:g}"] if options.shadow is not None else []
    words += [f"tokens{options.token_budget}"] if options.token_budget is not None else []
    words += [f"deadline{options.deadline_s:g}"] if options.deadline_s is not None else []
    text = "-".join([*words, f"cap{options.cap}", f"seed{options.seed}"])
    name = "".join(c if c.isalnum() or c in "-.=+" else "_" for c in text)
    return name if len(name.encode()) <= _LONGEST_NAME else f"{name[:40]}-{digest(text)}"
