"""What a request says of itself in a queue: whose it is and how much work. Values only."""

from dataclasses import dataclass

import msgspec

from serving.limits.terms import Priority

#: Of what a saturated model does, where all classes wait and their tenants weigh the same.
PARTS = {Priority.BATCH: 1, Priority.STANDARD: 4, Priority.INTERACTIVE: 16}


class Claim(msgspec.Struct, frozen=True):
    tenant: str
    #: Of the tenant.
    weight: int
    priority: Priority
    #: Of the prompt, what is to be computed.
    prompt_tokens: float
    #: Of the answer, as far as anybody can tell.
    answer_tokens: float
    body_bytes: int = 0
    #: For the model's first replica: it was let in then.
    has_waited: bool = False

    @property
    def tokens(self) -> float:
        return self.prompt_tokens + self.answer_tokens

    @property
    def flow_weight(self) -> int:
        return self.weight * PARTS[self.priority]


@dataclass(frozen=True, slots=True)
class Places:
    """What the replicas of a model take from one gateway."""

    #: Requests at one time.
    requests: float
    #: Prompts that are not computed yet.
    prompt_tokens: float
