#!/usr/bin/env bash
# Render the demo, a movie of a magnetic field: bash launch/demo.sh [FOLDER] [OPTIONS OF mpirender render…]
#
# What is missing is installed first. Pictures and movie go to FOLDER, by default demo_renders where you stand.
set -euo pipefail

# shellcheck source=launch/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

main() {
    local output=demo_renders scene
    if [[ $# -gt 0 && $1 != -* ]]; then
        output=$1
        shift
    fi
    set_up demo
    mkdir -p "$output"
    output=$(cd "$output" && pwd)
    scene=$output/hopf_knot.pvsm
    make_scene "$scene"
    say "rendering it"
    "$VENV/bin/mpirender" render "$scene" --output "$output" "$@" # ends with where movie and contact sheet are
}

make_scene() { # SCENE
    say "making the scene, $1"
    "${MPIRENDER_PVBATCH:-pvbatch}" --no-mpi "$ROOT/launch/demo_scene.py" "$1.part.pvsm"
    mv "$1.part.pvsm" "$1"
}

main "$@"
