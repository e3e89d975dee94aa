#!/usr/bin/env bash
# Run the tests: bash tests/run.sh [--fast] [OPTIONS OF pytest…]
#
# Installs what the tests need first. --fast skips the slow tests, most of which start ParaView.
set -euo pipefail

# shellcheck source=launch/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/../launch/setup.sh"

FAST=(-m "not slow" --numprocesses 3 --dist loadfile) # these tests mostly wait for processes

tests() { # OPTIONS OF pytest…
    # .venv/bin is not on PATH: an mpiexec installed there by a Python package would hide the one that matches pvbatch.
    "$VENV/bin/python" -m pytest "$@"
}

options=()
purpose=all
for option in "$@"; do
    if [[ $option == --fast ]]; then
        options+=("${FAST[@]}")
        purpose=tests
    else
        options+=("$option")
    fi
done
set_up "$purpose"
cd "$ROOT"
if (($# > 0)); then
    tests "${options[@]}"
    exit
fi
code=0
tests "${FAST[@]}" || code=$?
# Groups side by side, since many tests wait for something. The output of all but the last is printed at the end.
clusters=(tests/integration/{slurm,blender} tests/supervisor tests/ranks)
long=(tests/integration/paraview/test_{stereo,by_hand,paraview6,second_root,serve,serve_versions,color_maps}.py
    tests/pool tests/system tests/documents tests/benchmarks)
mixed=(tests/integration/{cloud,container} tests/{cloud,faults,reencode,run_folder}
    tests/integration/paraview/test_{random,refused,remembering}_scenes.py)
beside=$(mktemp -d)
trap 'rm -rf "$beside"' EXIT
chmod 755 "$beside" # some of their jobs run as another user
pids=()

start() { # NAME PATH…
    mkdir -m 755 "$beside/$1"
    PYTEST_DEBUG_TEMPROOT=$beside/$1 tests -m slow "${@:2}" >"$beside/$1.log" 2>&1 &
    pids+=($!)
}

start clusters "${clusters[@]}"
start long "${long[@]}"
start mixed "${mixed[@]}"
tests -m slow "${clusters[@]/#/--ignore=}" "${long[@]/#/--ignore=}" "${mixed[@]/#/--ignore=}" || code=$?
for pid in "${pids[@]}"; do
    wait "$pid" || code=$?
done
cat "$beside"/*.log
exit "$code"
