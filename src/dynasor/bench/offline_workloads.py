"""The workloads of the offline evaluation (paper Table 2): recordings, what they are recordings of, and their caps.

A recording that is not listed is a workload too, of which less is known. No policy is known here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dynasor.datasets.problem import Recording

CAPS = (5, 10, 15, 20, 25, 30)
"""Those of self-consistency in the paper's Table 2; the largest that a recording allows, up to 40, is added."""

LARGEST_CAP = 40
LEAST_SAMPLES = 5
FEWEST_PROBLEMS = 20
SCHOOL = "grade-school mathematics"
CODE, CONTEST, OTHER = "code", "competition mathematics", "other"


@dataclass(frozen=True, slots=True)
class Workload:
    """What a recording is a recording of.

    Attributes:
        name: the file's, without its ending.
        kind: of problems; the paper's closest setting is grade-school mathematics.
        shares_questions: whether the same question stands under several ids, `model/question`: then a question, and not
            an id, is the unit that is divided and resampled.
        remark: what keeps its samples from being independent draws of one model.
    """

    name: str
    model: str
    task: str
    kind: str
    shares_questions: bool = False
    remark: str = ""

    def unit(self, problem: str) -> str:
        """What a problem is one with: itself, or the question that it shares."""
        return problem.rpartition("/")[2] if self.shares_questions else problem


WORKLOADS = (
    Workload("code-davinci-002__svamp_pot", "code-davinci-002", "SVAMP, programs of thought", SCHOOL),
    Workload("gpt-4__asdiv", "GPT-4", "ASDiv", SCHOOL, remark="four prompts"),
    Workload("llama-2-13b__gsm8k_pot", "Llama-2-13B", "GSM8K, programs of thought", SCHOOL, remark="two prompts"),
    Workload("zeroeval-43-models__gsm8k", "43 models", "GSM8K", SCHOOL, remark="a model for each sample"),
    Workload("samples", "built-in", "built-in word problems", SCHOOL),
    Workload("svamp", "code-davinci-002", "SVAMP, programs of thought", SCHOOL),
    Workload("r1-distill-llama-8b__math100_v1", "R1-Distill-Llama-8B", "MATH-500, 100 of it", CONTEST),
    Workload("r1-distill-llama-8b+qwq-32b__math100", "R1-Distill-Llama-8B and QwQ-32B", "MATH-500, 100 of it", CONTEST),
    Workload("qwen2.5-math__math100_rm8", "Qwen2.5-Math", "MATH, 100 of it", CONTEST),
    Workload("llama-3.3-70b__otis_mock_aime", "Llama-3.3-70B", "OTIS Mock AIME", CONTEST),
    Workload("phi-4__otis_mock_aime", "phi-4", "OTIS Mock AIME", CONTEST),
    Workload("qwen2.5-72b__otis_mock_aime", "Qwen2.5-72B", "OTIS Mock AIME", CONTEST),
    Workload("epoch-multi-model__otis_mock_aime", "76 models, each by itself", "OTIS Mock AIME", CONTEST, True),
    Workload("codegen-16b__humaneval", "CodeGen-16B", "HumanEval, by behaviour", CODE),
    Workload("codellama-7b__cruxeval_input", "CodeLlama-7B", "CRUXEval, input", CODE),
    Workload("codellama-7b__cruxeval_output", "CodeLlama-7B", "CRUXEval, output", CODE),
    Workload("gpt-3.5__last_letters", "GPT-3.5", "last letters", OTHER),
    Workload("gpt-4__game24_cot", "GPT-4", "Game of 24, chain of thought", OTHER),
    Workload("gpt-4__game24_io", "GPT-4", "Game of 24, answer only", OTHER),
    Workload("gemma-4-12b__mmlu_pro_probed", "gemma-4-12B", "MMLU-Pro, chosen problems", OTHER),
)

_BY_NAME = {workload.name: workload for workload in WORKLOADS}


def workload_of(source: str) -> Workload:
    """The workload of a file, or of the directory of a run."""
    path = Path(source)
    name = path.resolve().name.partition(".jsonl")[0] if path.name else source
    return _BY_NAME.get(name, Workload(name, "as recorded", name, OTHER))


def caps_of(recordings: Sequence[Recording], caps: Sequence[int]) -> tuple[int, ...]:
    """The caps that enough problems have samples for, and the largest such cap, which stands for those close below it.

    Empty where there are too few samples or problems.
    """
    counts = sorted((len(recording.samples) for recording in recordings), reverse=True)
    largest = min(LARGEST_CAP, counts[FEWEST_PROBLEMS - 1]) if len(counts) >= FEWEST_PROBLEMS else 0
    if largest < LEAST_SAMPLES:
        return ()
    return (*(cap for cap in sorted(caps) if 1.1 * cap < largest), largest)
