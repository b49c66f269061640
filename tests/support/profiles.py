"""Labelled recordings in a line each, and their profiles."""

from random import Random

from dynasor.answers.grouping import ByText
from dynasor.calibration.profile import Path, ProblemProfile, profiled
from dynasor.datasets.problem import Problem, Recording
from dynasor.engines.recorded import RecordedEngine
from dynasor.programs.program import Setup
from dynasor.programs.self_consistency import SelfConsistency
from dynasor.request import Sample


def recording(name: str, answers: str) -> Recording:
    """A sample for each letter, of 10 tokens and of one more for each that went before; `a` is right."""
    samples = tuple(Sample(answer, 10 + place) for place, answer in enumerate(answers))
    return Recording(Problem(name, "?", verdicts={"a": 1.0}), samples)


def path_of(answers: str) -> Path:
    """The path of these answers in this order."""
    samples = {"p": recording("p", answers).samples}
    order = RecordedEngine(samples, seed=0).order("p")
    shuffled = [""] * len(answers)
    for place, answer in zip(order, answers, strict=True):
        shuffled[place] = answer
    return profile_of("p", "".join(shuffled)).paths[0]


def profile_of(name: str, answers: str, orders: int = 1) -> ProblemProfile:
    """The profile of a problem, its cap as many as there are answers."""
    (profile,) = profiled([recording(name, answers)], SelfConsistency, setup_at(len(answers)), orders=orders)
    return profile


def setup_at(cap: int) -> Setup:
    """What recorded programs share."""
    return Setup(cap=cap, grouping=ByText)


def synthetic(count: int, cap: int, seed: int) -> list[Recording]:
    """Problems from hopeless to easy: each branch of a problem is right with a probability of its own."""
    random = Random(f"synthetic/{seed}")
    skills = [random.betavariate(2, 0.7) for _ in range(count)]
    return [
        recording(f"p{n}", "".join("a" if random.random() < skill else random.choice("bcd") for _ in range(cap)))
        for n, skill in enumerate(skills)
    ]
