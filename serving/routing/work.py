"""How much work a request is, in tokens: what routing weighs against what.

A token of a prompt that has to be computed and a token of an answer count the same: each is one
pass of one token through the model.
"""

from dataclasses import dataclass

#: Before the first answer has been seen.
FIRST_PROMPT_TOKENS = 1024
FIRST_OUTPUT_TOKENS = 256
#: How much one answer moves what is typical: about forty answers turn it.
_LEARNING = 0.05


@dataclass(frozen=True, slots=True)
class Work:
    """One request at one replica."""

    #: Of the prompt, not in the replica's cache.
    prompt_tokens: float
    output_tokens: float


@dataclass(slots=True)
class Typical:
    """The mean of the latest requests of one replica set."""

    prompt_tokens: float = FIRST_PROMPT_TOKENS
    output_tokens: float = FIRST_OUTPUT_TOKENS

    def learn(self, prompt_tokens: float, output_tokens: float) -> None:
        """From an answer that is complete."""
        self.prompt_tokens += (prompt_tokens - self.prompt_tokens) * _LEARNING
        self.output_tokens += (output_tokens - self.output_tokens) * _LEARNING

    def of(self, waiting: float, running: float) -> float:
        """The tokens left to do for so many requests that nothing is known of."""
        return waiting * self.prompt_tokens + (waiting + running) * self.output_tokens
