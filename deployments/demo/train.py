"""Trains the demo model from nothing and writes it to `model/`: `python -m deployments.demo.train`.

One core, about twenty minutes beside other work. The seed fixes the data and the first weights;
another processor may round differently: elsewhere the weights come out alike, not identical.
"""

import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.nn.functional import cross_entropy, linear
from torch.optim.lr_scheduler import LambdaLR
from transformers import (
    GenerationConfig,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

from deployments.demo import corpus as corpora
from deployments.demo import score as scores
from deployments.demo import tokenizer as tokenizers
from deployments.demo.chat import END_OF_TEXT, TURN_END
from deployments.demo.corpus import Corpus
from deployments.demo.sampler import Row, Sampler

OUTPUT = Path(__file__).with_name("model")
SEED = 20240817
WINDOW_TOKENS = 8192
WARM_UP_STEPS = 50
#: The learning rate is constant and falls to zero over this last share of a round's steps.
COOL_DOWN_SHARE = 0.4
REPORT_EVERY_STEPS = 50


@dataclass(frozen=True)
class Round:
    """Training from the weights on disk, with a fresh optimizer and fresh questions."""

    steps: int
    learning_rate: float

    def rate(self, step: int) -> float:
        """The share of the learning rate that applies at a step."""
        cool_down = (self.steps - step) / (COOL_DOWN_SHARE * self.steps)
        return min(1.0, step / WARM_UP_STEPS, cool_down)


#: The first learns the answers; the second, at a lower rate, settles trained questions it missed.
ROUNDS = (Round(800, 0.0025), Round(400, 0.0015))


def main() -> None:
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    corpus = corpora.load()
    tokenizer = tokenizers.train(corpus, WINDOW_TOKENS)
    model = build(tokenizer)
    say(f"{sum(weight.numel() for weight in model.parameters()):,} parameters")
    for number, training in enumerate(ROUNDS):
        fit(model, Sampler(corpus, tokenizer, SEED + number), training)
        save(model, tokenizer)
        model = LlamaForCausalLM.from_pretrained(OUTPUT, dtype=torch.float32)
    report(model.eval(), tokenizer, corpus)


def report(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, corpus: Corpus) -> None:
    for name, cases in scores.cases(corpus).items():
        result = scores.score(model, tokenizer, cases)
        say(f"{name}: {result}")
        if result.missed:
            say(f"  missed: {' | '.join(result.missed)}")


def build(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """Small enough for git. Heads, KV heads and widths divide by 4 (TP), the layers by 2 (PP)."""
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=256,
        intermediate_size=512,
        num_hidden_layers=4,
        num_attention_heads=8,
        num_key_value_heads=4,
        head_dim=32,
        max_position_embeddings=WINDOW_TOKENS,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.convert_tokens_to_ids(TURN_END),
        pad_token_id=tokenizer.convert_tokens_to_ids(END_OF_TEXT),
    )
    return LlamaForCausalLM(config)


def fit(model: LlamaForCausalLM, sampler: Sampler, training: Round) -> None:
    model.train()
    optimizers = _optimizers(model, training.learning_rate)
    schedules = [LambdaLR(optimizer, training.rate) for optimizer in optimizers]
    began, tokens, mean_loss = time.monotonic(), 0, 0.0
    for step in range(1, training.steps + 1):
        rows = sampler.batch()
        loss = _loss(model, rows)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer, schedule in zip(optimizers, schedules, strict=True):
            optimizer.step()
            schedule.step()
        model.zero_grad()
        tokens += sum(len(row.ids) for row in rows)
        mean_loss = loss.item() if step == 1 else 0.95 * mean_loss + 0.05 * loss.item()
        if step % REPORT_EVERY_STEPS == 0 or step == training.steps:
            done = f"{tokens:,} tokens  {time.monotonic() - began:.0f} s"
            say(f"step {step}/{training.steps}  loss {mean_loss:.4f}  {done}")


def save(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast) -> None:
    """Stores bfloat16, which halves the size. The config says float32: serve it so, because in
    bfloat16 the sums of a tensor-parallel group round differently and may change the text.
    """
    shutil.rmtree(OUTPUT, ignore_errors=True)
    ends = [tokenizer.convert_tokens_to_ids(token) for token in (TURN_END, END_OF_TEXT)]
    model.generation_config = GenerationConfig(eos_token_id=ends, pad_token_id=ends[1])
    model.to(torch.bfloat16).save_pretrained(OUTPUT)
    model.config.dtype = torch.float32
    model.config.save_pretrained(OUTPUT)
    tokenizer.save_pretrained(OUTPUT)
    for file in OUTPUT.iterdir():
        file.chmod(0o644)


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _optimizers(model: LlamaForCausalLM, rate: float) -> list[torch.optim.Optimizer]:
    """Muon for the matrices, AdamW for the embedding, a table, and the norms, vectors."""
    named = list(model.named_parameters())
    matrices = [weight for name, weight in named if weight.ndim == 2 and "embed" not in name]
    rest = [weight for name, weight in named if weight.ndim != 2 or "embed" in name]
    return [
        torch.optim.Muon(matrices, lr=rate, weight_decay=0.05, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(rest, lr=rate, betas=(0.9, 0.98), weight_decay=0.0),
    ]


def _loss(model: LlamaForCausalLM, rows: Sequence[Row]) -> torch.Tensor:
    """Of the learned tokens only; the vocabulary's logits are computed for these alone."""
    ids = torch.tensor([row.ids for row in rows])
    positions = torch.tensor([row.positions for row in rows])
    learned = torch.tensor([row.learned for row in rows])[:, 1:]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        # without a mask transformers would take a gap in the positions for the end of a document
        states = model.model(
            ids[:, :-1],
            position_ids=positions[:, :-1],
            attention_mask=torch.ones_like(ids[:, :-1]),
            use_cache=False,
        )
        hidden = states.last_hidden_state[learned]
        logits = linear(hidden, model.lm_head.weight)
    return cross_entropy(logits.float(), ids[:, 1:][learned])


if __name__ == "__main__":
    main()
