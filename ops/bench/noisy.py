"""Ways in which a tenant can be noisy, for the bench of fairness. Values only.

In each the quiet tenants ask the same; the noisy one first for about what is its even part, then
for many times as much.
"""

from dataclasses import dataclass

from ops.bench.saturation import Tenant

#: A prompt of the quiet ones has 400 tokens in the mean, an answer 200.
QUIET = tuple(Tenant(f"quiet {number}", 0.3) for number in range(1, 9))
MANY = tuple(Tenant(f"quiet {number}", 0.06) for number in range(1, 41))
LONG, VERY_LONG, SHORT = (1_500, 2_500), (12_000, 20_000), (100, 300)


@dataclass(frozen=True, slots=True)
class Scenario:
    name: str
    quiet: tuple[Tenant, ...]
    #: What the noisy tenants ask for while there is room, and when they are noisy.
    calm: tuple[Tenant, ...]
    noisy: tuple[Tenant, ...]

    def of(self, stage: str) -> tuple[Tenant, ...]:
        """Who asks: `alone` is without the noisy ones."""
        others = {"alone": (), "calm": self.calm, "noisy": self.noisy}
        return (*self.quiet, *others[stage])


def _one(name: str, quiet: tuple[Tenant, ...], calm: Tenant, requests_per_s: float) -> Scenario:
    noisy = Tenant(calm.name, requests_per_s, calm.prompt_tokens, calm.answer_tokens)
    return Scenario(name, quiet, (calm,), (noisy,))


SCENARIOS = (
    _one("long prompts", QUIET, Tenant("noisy", 1.0, LONG), 20.0),
    _one("very long prompts", QUIET, Tenant("noisy", 0.12, VERY_LONG), 2.5),
    _one("short prompts, long answers", QUIET, Tenant("noisy", 0.8, SHORT, (400, 800)), 16.0),
    _one("prompts like the others'", QUIET, Tenant("noisy", 2.0), 40.0),
    _one("long prompts, beside forty quiet ones", MANY, Tenant("noisy", 1.0, LONG), 20.0),
    Scenario(
        "two with long prompts",
        QUIET,
        (Tenant("noisy 1", 0.5, LONG), Tenant("noisy 2", 0.5, LONG)),
        (Tenant("noisy 1", 10.0, LONG), Tenant("noisy 2", 10.0, LONG)),
    ),
)
