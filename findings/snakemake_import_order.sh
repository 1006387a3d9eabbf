#!/usr/bin/env bash
# Modules of Snakemake cannot be imported in any order: snakemake.api must be the first.
#
# snakemake 9.27.1. `from snakemake.workflow import Workflow` and `from snakemake.dag import DAG`, each as
# the first import of a process, raise ImportError for a partially initialised module, because api, workflow
# and dag import each other. After `import snakemake.api` both work. A tool or a test that takes one class
# of Snakemake, and whose imports a formatter sorts, depends on what else it happens to import before.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet snakemake==9.27.1
status=0
for statement in "from snakemake.workflow import Workflow" "from snakemake.dag import DAG"; do
    if output=$("$work/venv/bin/python" -c "$statement" 2>&1); then
        echo "changed: '$statement' works by itself"
        status=1
    else
        echo "$statement: ${output##*$'\n'}" | cut -c1-150
    fi
    "$work/venv/bin/python" -c "import snakemake.api; $statement" || status=1
    echo "import snakemake.api; $statement: works"
done
exit $status
