"""Measures the demo model: how many answers come out letter for letter, and by what margin.

Greedy decoding says an answer exactly when each of its tokens is the most likely one after those
before it, so one forward pass over question and answer decides, without generating.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from deployments.demo.chat import ANSWER_START, TURN_END, turn
from deployments.demo.corpus import Corpus

#: One in so many of the trained questions is asked; all of them would take minutes.
TRAINED_STRIDE = 6


@dataclass(frozen=True)
class Case:
    question: str
    prompt: str
    answer: str


@dataclass(frozen=True)
class Score:
    asked: int
    missed: tuple[str, ...]
    #: Of each exact answer the smallest logit lead, of these the 1 % quantile: what rounding would
    #: have to overcome to change the text.
    margin: float

    def __str__(self) -> str:
        exact = self.asked - len(self.missed)
        return f"{exact}/{self.asked} exact ({exact / self.asked:.1%}), margin {self.margin:.2f}"


def cases(corpus: Corpus) -> dict[str, list[Case]]:
    """What is measured, by name; only the first is trained on."""
    trained = [(question, topic.answer) for topic in corpus.topics for question in topic.questions]
    unseen = [(question, topic.answer) for topic in corpus.topics for question in topic.unseen]
    off_topic = [(question, corpus.off_topic.answer) for question in corpus.off_topic.unseen]
    before = turn("system", corpus.systems[1]) + turn("user", "Who are you?")
    before += turn("assistant", corpus.topics[0].answer)
    return {
        "trained": [_case(*pair) for pair in trained[::TRAINED_STRIDE]],
        "unseen": [_case(*pair) for pair in unseen],
        "unseen, second turn": [_case(*pair, before) for pair in unseen],
        "unseen, off topic": [_case(*pair) for pair in off_topic],
    }


@torch.no_grad()
def score(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, asked: Iterable[Case]
) -> Score:
    leads = {case.question: _lead(model, tokenizer, case) for case in asked}
    exact = sorted(lead for lead in leads.values() if lead > 0)
    return Score(
        asked=len(leads),
        missed=tuple(question for question, lead in leads.items() if lead <= 0),
        margin=exact[len(exact) // 100] if exact else 0.0,
    )


def _case(question: str, answer: str, before: str = "") -> Case:
    return Case(question, before + turn("user", question) + ANSWER_START, answer)


def _lead(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, case: Case) -> float:
    """By how much the wanted token leads the next best, where it leads least; below 0: not said."""
    prompt, answer = tokenizer.encode(case.prompt), tokenizer.encode(case.answer + TURN_END)
    logits = model(torch.tensor([prompt + answer])).logits[0, len(prompt) - 1 : -1]
    wanted = torch.tensor(answer)[:, None]
    best_other = logits.scatter(1, wanted, float("-inf")).amax(1)
    return float((logits.gather(1, wanted)[:, 0] - best_other).min())
