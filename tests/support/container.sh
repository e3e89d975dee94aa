#!/usr/bin/env bash
# Build the image of launch/paraview.def and check that ranks render in it: bash tests/support/container.sh [FOLDER]
#
# Needs root on Debian 12 with access to Debian's packages and PyPI; takes about four minutes. FOLDER (5 GB at first,
# then 1.3 GB) keeps Apptainer and the base for later runs, and the image, which FOLDER/bin/apptainer can run. Without
# FOLDER nothing is kept. Apptainer is unpacked from Debian sid with its own C library, not installed. The script
# installs only Open MPI and wget, if they are missing.
set -euo pipefail

# shellcheck source=launch/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../launch/setup.sh"

SIZE=320x240
FRAMES=0-3
WRONG_USE=2

main() {
    (($# <= 1)) || die "$WRONG_USE" "usage: bash tests/support/container.sh [FOLDER]"
    ((EUID == 0)) || die "$WRONG_USE" "this needs root, to make a base with debootstrap"
    if (($# == 0)); then
        set -- "$(mktemp -d "${TMPDIR:-/tmp}/mpirender-container.XXXXXX")"
        trap 'rm -rf --one-file-system "$FOLDER"' EXIT
    fi
    mkdir -p "$1"
    FOLDER=$(cd "$1" && pwd)
    [[ $FOLDER != *[,:[:space:]]* ]] || die "$WRONG_USE" "$FOLDER has a comma, colon or space in its name; take another"
    SID=$FOLDER/apptainer
    IMAGE=$FOLDER/paraview.sif
    THROUGH=("$FOLDER/bin/apptainer" --quiet exec --bind "$ROOT" --bind "$FOLDER" "$IMAGE")
    mkdir -p "$FOLDER/logs" "$FOLDER/tmp"
    export APPTAINER_TMPDIR=$FOLDER/tmp APPTAINER_CACHEDIR=$FOLDER/cache APPTAINER_CONFIGDIR=$FOLDER/config

    need_host_packages
    need_venv
    need_packages_of_python demo
    once apptainer get_apptainer
    once base make_base
    build_image
    prove_image
    say "the image is sound: $IMAGE ($(du -h "$IMAGE" | cut -f 1)), all in $SECONDS s"
}

die() { # EXIT_CODE LINE
    printf '%s\n' "container: error: $2" >&2
    exit "$1"
}

step() { # WHAT COMMAND…: runs the command and prints how long it took; if it fails, prints the end of its output
    local what=$1 log begun=$SECONDS
    shift
    log=$FOLDER/logs/${what//[ ,]/-}.log
    if ! "$@" >"$log" 2>&1 </dev/null; then
        printf '%s\n' "container: error: $what failed; its last lines, all of them in $log:" >&2
        tail -n 15 "$log" | sed 's/^/    /' >&2
        exit 1
    fi
    say "$what: $((SECONDS - begun)) s"
}

twice() { # COMMAND…: runs it again if it fails: ParaView 6.1 sometimes crashes (SIGBUS) while it makes the scenes
    "$@" || "$@"
}

once() { # NAME COMMAND: fills FOLDER/NAME unless an earlier run has completed it
    local place=$FOLDER/$1
    if [[ ! -e $place.complete ]]; then
        rm -rf "$place"
        mkdir "$place"
        "$2" "$place"
        touch "$place.complete"
    fi
}

# --- Preparation ----------------------------------------------------------------------------------------------------

need_host_packages() {
    local package missing=()
    for package in openmpi-bin wget; do
        is_installed "$package" || missing+=("$package")
    done
    ((${#missing[@]} == 0)) || install_packages container "${missing[@]}"
    [[ -n $(mirror) ]] || apt-get --quiet update >"$FOLDER/logs/apt-get-update.log" 2>&1 || true
    [[ -n $(mirror) ]] || die "$TOOL_MISSING" "the apt sources of this machine name no release of Debian"
}

mirror() { # prints the Debian mirror that this machine uses
    # shellcheck disable=SC2016 # apt-get expands the dollar
    apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 'Label: Debian' | awk 'NR == 1'
}

get_apptainer() { # FOLDER: unpacks Apptainer, its dependencies and the tools used here from Debian sid
    local root=$1 apt=$FOLDER/apt package
    rm -rf "$apt"
    mkdir -p "$apt"/{lists,archives}/partial
    touch "$apt/status" # an empty package status, so that apt fetches all dependencies of Apptainer
    printf 'deb [signed-by=%s] %s sid main\n' \
        /usr/share/keyrings/debian-archive-keyring.gpg "$(mirror)" >"$apt/sources.list"
    printf '%s "%s";\n' Dir::State::lists "$apt/lists" Dir::State::status "$apt/status" Dir::State "$apt" \
        Dir::Cache "$apt" Dir::Etc::sourcelist "$apt/sources.list" Dir::Etc::sourceparts /dev/null \
        Dir::Etc::preferencesparts /dev/null APT::Sandbox::User root >"$apt/apt.conf"
    step "package lists of sid" env APT_CONFIG="$apt/apt.conf" apt-get --quiet update
    step "download of Apptainer" env APT_CONFIG="$apt/apt.conf" apt-get --quiet --yes --download-only \
        --no-install-recommends install apptainer debootstrap patchelf
    for package in "$apt"/archives/*.deb; do
        dpkg-deb --extract "$package" "$root"
    done
    rm -rf "$apt"
    settle "$root"
    step "apptainer --version" "$FOLDER/bin/apptainer" --version
}

settle() { # ROOT: makes the programs unpacked in ROOT run from there, with the C library in ROOT
    local root=$1 library loader programs program part
    library=$(dirname "$root"/usr/lib/*/apptainer)
    loader=$(find "$library" -maxdepth 1 -name 'ld-linux-*')
    programs=("$root"/usr/bin/{apptainer,mksquashfs,unsquashfs,newuidmap,newgidmap} "$library/apptainer/bin/starter")
    for program in "${programs[@]}"; do
        "$loader" --library-path "$library" "$root/usr/bin/patchelf" \
            --set-interpreter "$loader" --force-rpath --set-rpath "$library" "$program"
    done
    for part in etc var; do # both Apptainer programs look for them two folders above their own
        ln -s "../$part" "$root/usr/$part"
        ln -s "../../$part" "$root/usr/lib/$part"
    done
    # Root may lack a capability here, so Apptainer must not pass on the full set.
    sed -i -e "s|^#* *binary path =.*|binary path = $root/usr/bin:\$PATH:|" \
        -e 's/^root default capabilities =.*/root default capabilities = no/' "$root/etc/apptainer/apptainer.conf"
    mkdir -p "$FOLDER/bin"
    ln -sfn "$root/usr/bin/apptainer" "$FOLDER/bin/apptainer"
}

make_base() { # FOLDER: creates a Debian with the newest ParaView, and the settings needed to download packages
    local base=$1
    step "debootstrap of forky" env DEBOOTSTRAP_DIR="$SID/usr/share/debootstrap" \
        "$SID/usr/sbin/debootstrap" --variant=minbase forky "$base" "$(mirror)"
    find "$base/dev" -mindepth 1 -delete # an image has no devices, and a user namespace cannot copy them
    apt-config dump | grep '^Acquire::Check-' >"$base/etc/apt/apt.conf.d/90-as-outside" || true
    mkdir -p "$base/usr/local/share/ca-certificates"
    find /usr/local/share/ca-certificates -name '*.crt' -exec cp -t "$base/usr/local/share/ca-certificates" {} +
}

build_image() {
    printf 'root:100000:65536\n' >"$FOLDER/subid"
    cd "$ROOT" # paraview.def names its files relative to the repository
    # --fakeroot needs that line in /etc/subuid; the bind mount shows it to this process only.
    # shellcheck disable=SC2016 # the inner bash expands the dollars
    step "apptainer build" unshare --mount bash -c \
        'mount --bind "$0" /etc/subuid && mount --bind "$0" /etc/subgid && exec "$@"' "$FOLDER/subid" \
        "$FOLDER/bin/apptainer" build --fakeroot --force --mksquashfs-args '-comp zstd -Xcompression-level 3' \
        --build-arg bootstrap=localimage --build-arg base="$FOLDER/base" "$IMAGE" launch/paraview.def
}

# --- Checks ---------------------------------------------------------------------------------------------------------

prove_image() {
    local backend out=$FOLDER/renders
    rm -rf "$out" "$FOLDER/scenes"
    mkdir "$out" "$FOLDER/scenes"
    cd "$out" # in the checkout, pvbatch would import mpirender from there and not from the image
    step "doctor outside" env PATH="$FOLDER/bin:$PATH" "$VENV/bin/mpirender" doctor --container "$IMAGE"
    step "doctor inside" "${THROUGH[@]}" mpirender doctor
    step "a scene" twice "${THROUGH[@]}" pvbatch --no-mpi "$ROOT/tests/support/make_scenes.py" "$FOLDER/scenes"
    for backend in egl osmesa; do
        render_outside 1 "$backend" "$out/$backend-1"
        render_outside 2 "$backend" "$out/$backend-2"
        same_frames "$out/$backend-1" "$out/$backend-2"
    done
    step "2-rank render with egl, mpiexec inside" "${THROUGH[@]}" mpirender render "$FOLDER/scenes/orbit.pvsm" \
        --ranks 2 --backend egl --size "$SIZE" --frames "$FRAMES" --output "$out/inside"
    same_frames "$out/egl-1" "$out/inside"
}

render_outside() { # RANKS BACKEND OUTPUT: one container per rank, started by this machine's mpiexec
    local ranks=$1 backend=$2 output=$3
    step "$ranks-rank render with $backend, mpiexec outside" env PATH="$FOLDER/bin:$PATH" "$VENV/bin/mpirender" render \
        "$FOLDER/scenes/orbit.pvsm" --container "$IMAGE" --ranks "$ranks" --backend "$backend" --size "$SIZE" \
        --frames "$FRAMES" --output "$output"
}

same_frames() { # OUTPUT OUTPUT
    local one=$1 other=$2 frame
    for frame in 0 1 2 3; do
        cmp "$one/$SIZE/frame_00000$frame.png" "$other/$SIZE/frame_00000$frame.png" ||
            die 1 "frame $frame of $other is not the one of $one"
    done
    say "the frames of $(basename "$one") and $(basename "$other") are the same"
}

main "$@"
