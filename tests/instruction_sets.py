"""Run the numeric tests once under every instruction set and number of threads tried here.

    python tests/instruction_sets.py

The processor limits what can be tried: sets that it lacks are named and left out. Each line says
what the libraries really ran with, which is checked, and counts the tests. Exits with 1 if a test
failed, or if a library did not follow its variable.
"""

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
WHOLE = ("onednn", "weight_spectra", "similarity", "gradients", "free_biases", "training")
GOLDEN = ("activations", "divergence", "published")  # files of which the golden tests alone are run
CHOSEN = " or ".join(["golden", *(f"test_{name}.py" for name in WHOLE)])
ALIASES = {"Prescott": ("Katmai",)}  # how OpenBLAS names these kernels in what it reports
SETS = ("DEFAULT", "AVX2", "AVX512")  # as torch calls them, from the least on

PROBE = """
import json, numpy, scipy.linalg, torch
from threadpoolctl import threadpool_info
numpy.ones((2, 2)) @ numpy.ones((2, 2))
blas = {p["architecture"] for p in threadpool_info() if p["internal_api"] == "openblas"}
print(json.dumps({
    "torch": torch.backends.cpu.get_cpu_capability(),
    "openblas": sorted(blas),
    "threads": torch.get_num_threads(),
}))
"""


@dataclass(frozen=True)
class Limit:
    """One instruction set: the most that libraries may use, by their own variables."""

    torch: str
    onednn: str
    openblas: str
    mkl: str

    def variables(self) -> dict[str, str]:
        """Return the environment variables that impose the limit."""
        return {
            "ATEN_CPU_CAPABILITY": self.torch.lower(),
            "ONEDNN_MAX_CPU_ISA": self.onednn,
            "OPENBLAS_CORETYPE": self.openblas,
            "MKL_CBWR": self.mkl,
        }


LIMITS = (
    Limit("DEFAULT", "SSE41", "Prescott", "COMPATIBLE"),
    Limit("AVX2", "AVX2", "Haswell", "AVX2"),
)


def main() -> int:
    """Run every line that the processor allows; the exit status."""
    own = probe({})
    print(f"this processor: {said(own)}", flush=True)
    lacking = SETS[SETS.index(str(own["torch"])) + 1 :]
    for name in lacking:
        print(f"not tried: {name}, which this processor lacks")
    limits = [limit for limit in LIMITS if limit.torch not in lacking]
    with ThreadPoolExecutor(max_workers=2) as pool:  # lines of one thread side by side
        statuses = [*pool.map(lambda limit: run(limit, 1), limits)]
    statuses += [run(limit, 2) for limit in (None, *limits)]
    return max(statuses)


def run(limit: Limit | None, threads: int) -> int:
    """Run the tests under one limit (None: the processor's own); the exit status."""
    variables = {} if limit is None else limit.variables()
    variables |= {name: str(threads) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    found = probe(variables)
    if not obeyed(limit, threads, found):
        print(f"FAILED: {variables} are set, but the libraries run with {said(found)}")
        return 1
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *files(), "-k", CHOSEN],
        cwd=ROOT,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        print(done.stdout, done.stderr)
    counts = done.stdout.rstrip().rpartition("\n")[2]
    print(f"{said(found)}: {counts} ({time.perf_counter() - started:.0f} s)", flush=True)
    return done.returncode


def files() -> list[str]:
    """The test files, wherever they lie below tests/unit."""
    places = [[*ROOT.glob(f"tests/unit/**/test_{name}.py")] for name in (*WHOLE, *GOLDEN)]
    return [str(place) for (place,) in places]


def obeyed(limit: Limit | None, threads: int, found: dict[str, object]) -> bool:
    """Whether the libraries run with what the variables say."""
    kernels = {limit.openblas, *ALIASES.get(limit.openblas, ())} if limit else found["openblas"]
    capability = limit.torch if limit else found["torch"]
    return (
        found["threads"] == threads
        and found["torch"] == capability
        and set(found["openblas"]) <= set(kernels)  # type: ignore[call-overload]
    )


def probe(variables: dict[str, str]) -> dict[str, object]:
    """Ask a fresh process which kernels and how many threads the libraries use."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE],
        env={**os.environ, **variables},
        check=True,
        capture_output=True,
        text=True,
    )
    return dict(json.loads(done.stdout))


def said(found: dict[str, object]) -> str:
    """Describe the kernels and threads in use."""
    blas = ", ".join(map(str, found["openblas"]))  # type: ignore[call-overload]
    return f"torch {found['torch']}, OpenBLAS {blas}, threads {found['threads']}"


if __name__ == "__main__":
    sys.exit(main())
