#!/usr/bin/env bash
# Run the tests: bash tests/run.sh [--fast] [OPTIONS OF pytest…]
#
# What they need is installed first. --fast leaves out the slow ones, most of which start ParaView.
set -euo pipefail

# shellcheck source=launch/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/../launch/setup.sh"

options=()
for option in "$@"; do
    if [[ $option == --fast ]]; then
        options+=(-m "not slow")
    else
        options+=("$option")
    fi
done
set_up tests
cd "$ROOT"
# .venv/bin stays out of PATH: an mpiexec that some package puts there would hide the one that fits pvbatch.
exec "$VENV/bin/python" -m pytest "${options[@]}"
