"""What a body may say, and what of it the engine hears.

Two paths, one meaning: the common shape is decoded straight into a struct with all its bounds;
whatever that does not take, for rare fields or for a mistake, is checked once more field by field
to be accepted or named. The engine gets what was checked, encoded anew, never the caller's bytes.
"""

from serving.protocol.body import Checked, check_chat, check_completion

__all__ = ["Checked", "check_chat", "check_completion"]
