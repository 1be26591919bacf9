"""A model says in which turns of a conversation the assistant kept to its role."""

from collections.abc import Mapping
from typing import Annotated

import msgspec

from evaluators.judge.turns import TurnsJudge


class RoleAdherence(TurnsJudge, frozen=True):
    """Share of the assistant's turns, the output among them, that keep to the `role` it was given.

    A judge sees the whole conversation once and says yes or no to each turn. Range [0, 1], higher is better. An empty
    output is a turn like any other; a turn without a verdict makes the score unscored.
    Source: DeepEval's RoleAdherence.
    """

    name = "role_adherence"
    example = {"role": "A support agent who is polite and speaks of nothing but the product."}
    task = """\
The numbered turns of a conversation follow, each with what was said before the assistant's reply. For each decide whether the \
reply keeps to the role: what it says, how it says it, and what it refuses.
First write your reason. Then the verdict: "yes" if it keeps to the role, "no" if it falls out of it."""
    good = "keep to the role"

    role: Annotated[str, msgspec.Meta(min_length=1)]

    def told(self) -> Mapping[str, str]:
        return {"role": self.role}
