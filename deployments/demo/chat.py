"""The demo model's chat format, ChatML. A test compares it with `chat_template.jinja`."""

from pathlib import Path

TEMPLATE = Path(__file__).with_name("chat_template.jinja")
END_OF_TEXT = "<|endoftext|>"
TURN_START = "<|im_start|>"
TURN_END = "<|im_end|>"
#: What the prompt ends with when it is the model's turn to speak.
ANSWER_START = f"{TURN_START}assistant\n"


def turn(role: str, content: str) -> str:
    return f"{TURN_START}{role}\n{content}{TURN_END}\n"
