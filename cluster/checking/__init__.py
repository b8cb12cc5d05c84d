"""What `flotilla doctor` checks, a function each. Pure: facts in, verdicts out."""
