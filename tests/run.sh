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
# The Slurm tests mostly wait, so they run in parallel with the others, followed by some long tests. Their output is
# printed at the end.
aside=(tests/integration/{slurm,blender} tests/integration/paraview/test_{stereo,by_hand,paraview6,second_root,serve,serve_versions}.py
    tests/pool tests/system tests/integration/paraview/test_color_maps.py)
beside=$(mktemp -d)
trap 'rm -rf "$beside"' EXIT
chmod 755 "$beside" # some of their jobs run as another user
PYTEST_DEBUG_TEMPROOT=$beside tests -m slow "${aside[@]}" >"$beside/output" 2>&1 &
tests -m slow "${aside[@]/#/--ignore=}" || code=$?
wait $! || code=$?
cat "$beside/output"
exit "$code"
