"""What has nothing to read, or cannot be had from whoever answers, is refused before anything is paid for."""

from collections.abc import Iterable

from dynasor.datasets.problem import Recording
from dynasor.errors import UsageError
from dynasor.launch.options import RunOptions
from dynasor.programs.program import Program
from dynasor.request import Sample

_LOGPROBS = ("logprob", "tail", "lowest")
_REWARDS = ("reward", "reward-mean", "reward-max")


def check_live(options: RunOptions, algorithm: type[Program]) -> None:
    """Raise a UsageError where a signal, a scorer or the algorithm needs what a server will not tell."""
    for kind, name in _read_by(options, algorithm):
        if name in _REWARDS and options.reward is None:
            raise UsageError(f"{kind} {name} needs a reward model; add --reward (such as --reward builtin), or choose"
                             f" another {kind}, such as logprob")  # fmt: skip
        if name in _LOGPROBS and not options.sampling.logprobs:
            raise UsageError(f"{kind} {name} reads log-probabilities, which are not asked for; add --logprobs")
    if algorithm.wants_reports and options.endpoint is not None and not options.endpoint.stream:
        raise UsageError(f"{_called(options)} looks at requests while they run, which takes streaming; leave out"
                         " --no-stream")  # fmt: skip


def check_recorded(options: RunOptions, algorithm: type[Program], recordings: Iterable[Recording]) -> None:
    """Raise a UsageError where something needs what a recording does not hold; names the first problem."""
    if not algorithm.replays:
        raise UsageError(f"{_called(options)} asks more than one question of a problem, and a recording of samples"
                         " answers just one; give --endpoint or --model")  # fmt: skip
    if options.reward is not None:
        raise UsageError("a recording's rewards are its own; leave out --reward")
    wanted = [(kind, name) for kind, name in _read_by(options, algorithm) if name in _READINGS]
    for recording in recordings if wanted else ():
        for kind, name in wanted:
            if not all(_READINGS[name](sample) for sample in recording.samples if sample.answer is not None):
                raise UsageError(
                    f"{kind} {name} needs a {name} with every sample, and {options.trace} lacks it for problem"
                    f" '{recording.problem.id}'; choose another {kind}"
                )


def reads_rewards(options: RunOptions, algorithm: type[Program]) -> bool:
    """Whether every branch is to be scored."""
    return options.reward is not None and any(name in _REWARDS for _, name in _read_by(options, algorithm))


def _called(options: RunOptions) -> str:
    algorithm = options.algorithm
    return algorithm if isinstance(algorithm, str) else algorithm.__qualname__


def _read_by(options: RunOptions, algorithm: type[Program]) -> list[tuple[str, str]]:
    """What will be read: a scorer only by those who score."""
    scorer = [("scorer", options.scorer)] if algorithm.reads_scores else []
    return [("signal", options.signal), *scorer]


def _has_logprob(sample: Sample) -> bool:
    return sample.mean_logprob is not None


def _has_reward(sample: Sample) -> bool:
    return sample.reward is not None


def _has_none(sample: Sample) -> bool:
    """Recordings hold no such figure."""
    del sample
    return False


_READINGS = {
    "logprob": _has_logprob,
    "tail": _has_none,
    "lowest": _has_none,
    "reward": _has_reward,
    "reward-mean": _has_reward,
    "reward-max": _has_reward,
}
