"""Timing of a Python process's imports, written to a file at its end; see bench/imports.py.

Python imports a module of this name at startup. Imports inside functions are timed, too.
"""

import atexit
import importlib._bootstrap as bootstrap
import json
import os
import sys
import time

find_and_load = bootstrap._find_and_load
open_imports = []  # for every unfinished import, seconds taken by imports inside it
packages = {}  # CPU seconds in a package's own modules
total = {"cpu": 0.0, "wall": 0.0, "snakemake": 0.0}


def timed(name, import_):
    cpu, wall = time.process_time(), time.perf_counter()
    open_imports.append(0.0)
    try:
        return find_and_load(name, import_)
    finally:
        took, inside = time.process_time() - cpu, open_imports.pop()
        package = name.partition(".")[0]
        packages[package] = packages.get(package, 0.0) + took - inside
        if open_imports:
            open_imports[-1] += took
        else:
            total["cpu"] += took
            total["wall"] += time.perf_counter() - wall
            total["snakemake"] += took if package == "snakemake" else 0.0


def write():
    script = sys.argv[0].rpartition("/")[2].split(".")
    if len(script) == 3:  # Snakemake names the copy of a script that it runs X.RULE.py
        found = {"script": script[1], **total, "packages": packages}
        found["job"] = time.process_time()
        from pathlib import Path

        name = f"{os.getpid()}.{time.time_ns()}.json"
        Path(os.environ["START_HOOK"], name).write_text(json.dumps(found), "utf-8")


leave = os._exit  # ends jobs without running functions registered with atexit


def written(status):
    write()
    leave(status)


bootstrap._find_and_load = timed
atexit.register(write)
os._exit = written
