"""Request ids for SGLang, from which the program is read, and of which one abort cuts all branches of a program.

SGLang aborts every request whose id begins with what it is told: abort `p1`, and `p10` ends as well. So these ids are
PROGRAM/BRANCH., no one the beginning of another, and those of a program are just those that begin with PROGRAM/. What
would make them ambiguous is written as in URLs.
"""

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote, unquote

_RID: Final = re.compile(r"([^/]+)/[^/.]+\.")


def rid(program: str, branch: str) -> str:
    """The id of a request; of two requests at a server at one time, no two may have the same program and branch."""
    return f"{prefix(program)}{quote(branch, safe='').replace('.', '%2E')}."


def prefix(program: str) -> str:
    """What to abort to cut all branches of a program: `POST /abort_request {"rid": ...}`."""
    return f"{quote(program, safe='')}/"


def program_of(rid: str) -> str | None:
    """The program that an id was made of; None where it is none of these ids."""
    found = _RID.fullmatch(rid)
    return unquote(found[1]) if found else None


def branches(rids: Iterable[str], told: str) -> list[str]:
    """Those ids that an abort by the prefix of a program means; none where it is something else."""
    return [one for one in rids if one.startswith(told)] if told.endswith("/") else []
