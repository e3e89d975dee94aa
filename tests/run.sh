#!/usr/bin/env bash
# Run the tests: bash tests/run.sh [--fast] [OPTIONS OF pytest…]
#
# What they need is installed first. --fast leaves out the slow ones, most of which start ParaView.
set -euo pipefail

# shellcheck source=launch/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/../launch/setup.sh"

FAST=(-m "not slow" --numprocesses 3 --dist loadfile) # these tests mostly wait for processes

tests() { # OPTIONS OF pytest…
    # .venv/bin stays out of PATH: an mpiexec that some package puts there would hide the one that fits pvbatch.
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
# The tests of Slurm mostly wait, so they run beside the others, followed by some long ones. Their output is shown at
# the end.
aside=(tests/integration/{slurm,blender} tests/integration/paraview/test_{stereo,by_hand,paraview6,second_root}.py
    tests/pool tests/system tests/integration/paraview/test_color_maps.py)
beside=$(mktemp -d)
trap 'rm -rf "$beside"' EXIT
chmod 755 "$beside" # some of their jobs are of another user
PYTEST_DEBUG_TEMPROOT=$beside tests -m slow "${aside[@]}" >"$beside/output" 2>&1 &
tests -m slow "${aside[@]/#/--ignore=}" || code=$?
wait $! || code=$?
cat "$beside/output"
exit "$code"
