#!/usr/bin/env bash
# Render the demo, a movie of a magnetic field: bash launch/demo.sh [FOLDER] [OPTIONS OF mpirender render…]
#
# Missing software is installed first. Images and movie go to FOLDER, by default demo_renders in the current folder.
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
    say "rendering the scene"
    "$VENV/bin/mpirender" render "$scene" --output "$output" "$@" # ends with the paths of movie and contact sheet
}

make_scene() { # SCENE
    say "making the scene, $1"
    "${MPIRENDER_PVBATCH:-pvbatch}" --no-mpi "$ROOT/launch/demo_scene.py" "$1.part.pvsm"
    mv "$1.part.pvsm" "$1"
}

main "$@"
