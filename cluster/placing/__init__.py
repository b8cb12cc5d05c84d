"""The parts of placement; `cluster.placement` says the rules and how they work together. Pure."""
