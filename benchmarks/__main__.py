"""Run benchmarks by name, all of them if none is named, and print the machine and what they measured as JSON.

    python -m benchmarks                      list nothing, run everything
    python -m benchmarks suggestion           run one
    python -m benchmarks suggestion -o x.json keep the result as well
    python -m benchmarks engine --data FILE   on data of one's own
    python -m benchmarks foresight --full     as long as the documented figures take
    python -m benchmarks browser --trials 200 on a small record, to see that it works

A benchmark is a module of this package with a function `run() -> dict`, which may take `data`, if it can measure on
data of one's own, `full`, if it has a longer run, and `trials`, if its size is free; its first
docstring line says what it is.
"""

import argparse
import importlib
import inspect
import json
import os
import pkgutil
import platform
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import benchmarks


def names() -> list[str]:
    """The benchmarks that there are."""
    found = (module.name for module in pkgutil.iter_modules(benchmarks.__path__))
    return sorted(name for name in found if not name.startswith("_"))


def machine() -> dict[str, Any]:
    """What the figures were measured on; a load above the number of cores says that they were not measured alone."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "load_1_minute": round(os.getloadavg()[0], 2),
        "system": platform.system(),
        "python": platform.python_version(),
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or "unknown"


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line, run, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=benchmarks.__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(names())}; all if left out")
    parser.add_argument("-o", "--output", type=Path, help="write the JSON to this file too")
    parser.add_argument("--data", type=Path, help="a file in the layout of Keras' mnist.npz, for `engine`")
    parser.add_argument("--full", action="store_true", help="the longer run of those that have one: `foresight`")
    parser.add_argument("--trials", type=int, help="how many trials the large sweep of `browser` has")
    options = parser.parse_args(arguments)
    unknown = set(options.names) - set(names())
    if unknown:
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(names())}")
    result: dict[str, Any] = {"machine": machine()}
    for name in options.names or names():
        began = time.perf_counter()
        measure = importlib.import_module(f"benchmarks.{name}").run
        taken = inspect.signature(measure).parameters.keys() & {"data", "full", "trials"}
        figures = measure(**{option: getattr(options, option) for option in taken})
        result[name] = {**figures, "took_seconds": round(time.perf_counter() - began, 1)}
    text = json.dumps(result, indent=2)
    print(text)
    if options.output:
        options.output.write_text(text + "\n")


if __name__ == "__main__":
    main()
