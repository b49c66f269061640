"""Signals and scorers that have nothing to read are refused before anything is paid for."""

from collections.abc import Iterable

from dynasor.datasets.problem import Recording
from dynasor.errors import UsageError
from dynasor.launch.options import RunOptions
from dynasor.programs.best_of_n import BestOfN
from dynasor.programs.program import Program
from dynasor.request import Sample


def check_live(options: RunOptions, algorithm: type[Program]) -> None:
    """Raise a UsageError where a signal or a scorer reads what a server will not tell."""
    for kind, name in _read_by(options, algorithm):
        if name == "reward":
            raise UsageError(f"{kind} reward needs rewards, and a server gives none; choose another, such as brevity")
        if name == "logprob" and not options.sampling.logprobs:
            raise UsageError(f"{kind} logprob reads log-probabilities, which are not asked for; add --logprobs")


def check_recorded(options: RunOptions, algorithm: type[Program], recordings: Iterable[Recording]) -> None:
    """Raise a UsageError where a signal or a scorer reads what a recording does not hold; names the first problem."""
    wanted = [(kind, name) for kind, name in _read_by(options, algorithm) if name in _READINGS]
    for recording in recordings if wanted else ():
        for kind, name in wanted:
            if not all(_READINGS[name](sample) for sample in recording.samples if sample.answer is not None):
                raise UsageError(
                    f"{kind} {name} needs a {name} with every sample, and {options.trace} lacks it for problem"
                    f" '{recording.problem.id}'; choose another {kind}"
                )


def _read_by(options: RunOptions, algorithm: type[Program]) -> list[tuple[str, str]]:
    """What will be read: a scorer only by those who score."""
    scorer = [("scorer", options.scorer)] if issubclass(algorithm, BestOfN) else []
    return [("signal", options.signal), *scorer]


def _has_logprob(sample: Sample) -> bool:
    return sample.mean_logprob is not None


def _has_reward(sample: Sample) -> bool:
    return sample.reward is not None


_READINGS = {"logprob": _has_logprob, "reward": _has_reward}
