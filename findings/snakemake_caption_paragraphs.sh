#!/usr/bin/env bash
# In a caption of Snakemake's report, a Jinja block at the end of a line joins two paragraphs.
#
# snakemake 9.27.1. Captions are rendered by Jinja2 with trim_blocks=True, so the newline after a block is
# dropped: `text {% endif %}`, an empty line, `more` becomes one paragraph, since a single newline is left.
# Nothing warns; the report only runs two thoughts together. A space, or any text, after the block keeps
# the paragraphs apart.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet snakemake==9.27.1 pygments
cd "$work"
cat >Snakefile <<'SNAKEFILE'
rule all:
    input: "joined.txt", "apart.txt"
rule joined:
    output: report("joined.txt", caption="joined.rst")
    shell: "echo a >{output}"
rule apart:
    output: report("apart.txt", caption="apart.rst")
    shell: "echo b >{output}"
SNAKEFILE
printf 'First thought.{%% if True %%} End.{%% endif %%}\n\nSecond thought.\n' >joined.rst
printf 'First thought.{%% if True %%} End.{%% endif %%} \n\nSecond thought.\n' >apart.rst
"$work/venv/bin/snakemake" --cores 1 --quiet all >run.log 2>&1
"$work/venv/bin/snakemake" --report report.html >report.log 2>&1
"$work/venv/bin/python" - <<'PYTHON'
import re
import sys
from pathlib import Path

page = Path("report.html").read_text("utf-8")
joined = bool(re.search(r"First thought\. End\.\s*(?:\\n)?\s*Second thought\.", page))
apart = bool(re.search(r"First thought\. End\.\s*(?:<|\\u003c)/p", page))
print("block at the end of the line, then an empty line: one paragraph" if joined else "changed: joined")
print("a space after the block: two paragraphs" if apart else "changed: apart")
sys.exit(not (joined and apart))
PYTHON
