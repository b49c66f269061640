"""Problems of LiveCodeBench's code generation, full or lite, as published: one row a problem, tests as text in it.

The private tests stay sealed until a judge reads them: unpacked, those of all problems take gigabytes.
"""

from typing import Any

import msgspec

from dynasor.datasets.code_sets import CodeFormat, text_in
from dynasor.datasets.code_tests import Cases, CodeTests, cases_of
from dynasor.datasets.columns import ColumnNames
from dynasor.datasets.rows import Row

_FORM = "### Question:\n{content}\n\n### Format: {form}\n```python\n{code}\n```\n\n{ending}"
_WITH_STARTER = (
    "You will use the following starter code to write the solution to the problem and enclose your code within"
    " delimiters."
)
_WITHOUT_STARTER = (
    "Read the inputs from stdin solve the problem and write the answer to stdout (do not directly test on the sample"
    " inputs). Enclose your code within delimiters as follows."
)
_ENDING = "### Answer: (use the provided format with backticks)\n\n"


def _livecodebench(row: Row) -> tuple[str, CodeTests]:
    starter = row.text("starter_code")
    question = _FORM.format(
        content=text_in(row, "question_content"),
        form=_WITH_STARTER if starter else _WITHOUT_STARTER,
        code=starter or "# YOUR CODE HERE",
        ending=_ENDING,
    )
    try:
        public = cases_of(text_in(row, "public_test_cases"))
    except ValueError as fault:
        raise row.bad(f"column 'public_test_cases': {fault}") from fault
    return question, Cases(_entry_point(row), public, row.text("private_test_cases") or "")


def _entry_point(row: Row) -> str | None:
    """The function that the metadata name; a problem without one reads and writes."""
    metadata: Any = row.values.get("metadata")
    try:
        metadata = msgspec.json.decode(metadata) if isinstance(metadata, str) and metadata.strip() else metadata or {}
        name = metadata.get("func_name")
    except (msgspec.DecodeError, AttributeError) as fault:
        raise row.bad("column 'metadata' is not a JSON object") from fault
    if name is not None and not isinstance(name, str):
        raise row.bad("column 'metadata': 'func_name' is not text")
    return name


LIVECODEBENCH = CodeFormat(
    ("question_content", "public_test_cases"), _livecodebench, ColumnNames(("question_content",), ()), id="question_id"
)
