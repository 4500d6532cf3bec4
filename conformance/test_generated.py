"""Random streams from the oracle's own grammar show no difference.

A few thousand commands per group under a fixed seed, so that a red run is red again; `python -m conformance fuzz` with
another seed and a larger count looks further.
"""

from __future__ import annotations

import pytest

from .compare import Comparison
from .coverage import Coverage
from .endpoints import Endpoint
from .fuzz import fuzz, render_fuzz
from .generate import Generator
from .grammar import read_grammar
from .hints import choose_commands
from .runner import Duel

GROUPS = ("string", "generic", "connection", "server", "transactions,string,generic")


@pytest.mark.parametrize("groups", GROUPS)
def test_no_difference_in_generated_commands(oracle: Endpoint, subject: Endpoint, groups: str) -> None:
    comparison = Comparison(Duel(oracle, subject))
    known = comparison.run.subject_commands
    grammar = read_grammar(oracle)
    commands = choose_commands(grammar, groups.split(","), known)
    generator = Generator(commands, "specification", known)
    replay = (
        f"python -m conformance fuzz --subject {subject.name} --oracle {oracle.name} "
        f"--commands {groups} --seed specification"
    )
    result = fuzz(comparison, generator, Coverage(grammar), replay, count=1500, most=5)
    if result.exit_code:
        pytest.fail(render_fuzz(result), pytrace=False)
