"""How much work requests are, in tokens: what routing weighs against what.

A token of a prompt that has to be computed and a token of an answer count the same: each is one
pass of one token through the model.
"""

from dataclasses import dataclass

#: How much one request moves a mean at least: about forty of them turn it. The first ones move it
#: more, so that a gateway that has just started is not misled by its guesses for long.
_LEARNING = 0.05
_SETTLED = 20


@dataclass(slots=True)
class Traffic:
    """What the latest requests of one replica set were like: means, guesses at first."""

    #: Of prompts, what was not in a cache.
    prompt_tokens: float = 1024.0
    output_tokens: float = 256.0
    #: Of the requests at replicas, those that other gateways sent.
    others_share: float = 0.0
    _sent: int = 0
    _answered: int = 0

    @property
    def tokens(self) -> float:
        """Of one request; at least 1, whatever engines say."""
        return max(1.0, self.prompt_tokens + self.output_tokens)

    def sent(self, prompt_tokens: float) -> None:
        """A request went out with so much to compute."""
        self._sent = count = self._sent + 1
        weight = _LEARNING if count > _SETTLED else 1.0 / count
        self.prompt_tokens += (prompt_tokens - self.prompt_tokens) * weight

    def answered(self, output_tokens: float) -> None:
        """An answer is complete."""
        self._answered = count = self._answered + 1
        weight = _LEARNING if count > _SETTLED else 1.0 / count
        self.output_tokens += (output_tokens - self.output_tokens) * weight

    def reported(self, own: int, others: int) -> None:
        """A replica has so many requests now."""
        if own + others:
            self.others_share += (others / (own + others) - self.others_share) * _LEARNING

    def left_tokens(self, waiting: float, running: float) -> float:
        """What so many requests have left to do, of which nothing more is known."""
        return waiting * self.prompt_tokens + (waiting + running) * self.output_tokens
