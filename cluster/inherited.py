"""What processes of a fleet inherit from whoever starts Ray. Pure; loads nothing, since the command
line needs it at once.
"""

from collections.abc import Mapping

#: For downloads, an inventory and requests, which are the operator's own: a model's code would read
#: them.
OPERATORS_SECRETS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "LAMBDA_API_KEY", "OPENAI_API_KEY")


def without_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """Of an environment, what all that Ray starts may inherit."""
    return {name: value for name, value in environment.items() if name not in OPERATORS_SECRETS}
