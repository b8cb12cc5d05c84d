"""Measures the gateway beside its rivals on one core. `python -m ops.bench --help`."""
