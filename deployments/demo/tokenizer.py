"""Trains the demo model's tokenizer: byte-level BPE, so that any UTF-8 text has tokens."""

from collections.abc import Iterator

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from deployments.demo.chat import END_OF_TEXT, TEMPLATE, TURN_END, TURN_START
from deployments.demo.corpus import Corpus

#: A multiple of 128, so that the embedding splits evenly over tensor-parallel workers.
VOCABULARY = 2048
#: Answers are generated, questions only read: their words deserve whole tokens first.
ANSWER_WEIGHT = 20


def train(corpus: Corpus, window_tokens: int) -> PreTrainedTokenizerFast:
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[END_OF_TEXT, TURN_START, TURN_END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(_texts(corpus), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        eos_token=TURN_END,
        pad_token=END_OF_TEXT,
        chat_template=TEMPLATE.read_text(encoding="utf-8"),
        model_max_length=window_tokens,
        clean_up_tokenization_spaces=False,
    )


def _texts(corpus: Corpus) -> Iterator[str]:
    for topic in corpus.topics:
        yield from [topic.answer] * ANSWER_WEIGHT
        yield from topic.questions
    off_topic = corpus.off_topic
    yield from [off_topic.answer] * ANSWER_WEIGHT
    for questions in (off_topic.phrasings, off_topic.ask, off_topic.things, off_topic.activities):
        yield from questions
        yield from (question.lower() for question in questions)
    yield from corpus.systems
    yield from (text for text in corpus.texts for _ in range(ANSWER_WEIGHT))
    yield "system\nuser\nassistant\ntool\n" * ANSWER_WEIGHT
