"""What can keep a rival out of the tables. The text says why, and is printed with its name.

BenchError
├── CannotInstall   its packages cannot be had here
└── DidNotStart     it ended, or did not answer in time
"""


class BenchError(Exception):
    """This rival cannot be measured; the others can."""


class CannotInstall(BenchError):
    """Its packages cannot be had here."""


class DidNotStart(BenchError):
    """It ended, or did not answer in time."""
