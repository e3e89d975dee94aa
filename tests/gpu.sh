#!/usr/bin/env bash
# Measure an NVIDIA GPU in five minutes: bash tests/gpu.sh [OPTIONS OF python -m benchmarks.gpu…]
#
# Installs what is missing first; PYTHON=/path/to/python names a Python that has mpirender already, as in a container.
# Leaves raw.json and the images in gpu_renders, and prints the table. Exit code 1: pixels differ from ParaView's.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=${PYTHON:-}
if [[ -z $python ]]; then
    # shellcheck source=launch/setup.sh
    source launch/setup.sh
    set_up demo
    python=$VENV/bin/python
fi
exec "$python" -m benchmarks.gpu "$@"
