#!/usr/bin/env bash
# Install missing software: Debian packages, and a Python environment in .venv.
#
# Sourced by launch/demo.sh and tests/run.sh, which call `set_up demo`, `set_up tests` (fast tests) or `set_up all`
# (which adds Blender). To set up without running anything: bash launch/setup.sh [demo|blender|tests|all], where blender
# is what rendering Blender files needs, without ParaView.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
VENV=$ROOT/.venv
PYTHON=/usr/bin/python3 # embedded in Debian's pvbatch, so compiled packages of .venv must fit it
[[ -x $PYTHON ]] || PYTHON=$(command -v python3 || echo "$PYTHON")
TOOL_MISSING=3 # the exit code of mpirender

set_up() { # PURPOSE: demo, blender, tests or all
    local purpose=$1
    need_system "$purpose"
    # Take turns: a demo and the tests may be started at the same time on a fresh checkout.
    {
        ! has flock || flock 9
        need_venv
        need_packages_of_python "$purpose"
    } 9<"$ROOT"
}

say() { printf '%s\n' "-- $*"; }

fail() { # EXIT_CODE LINE
    printf '%s\n' "setup: error: $2" >&2
    exit "$1"
}

has() { command -v "$1" >/dev/null 2>&1; }

logged() { # WHAT COMMAND…: run a command and show its output only if it fails
    local what=$1 log
    shift
    log=$(mktemp "${TMPDIR:-/tmp}/mpirender-setup.XXXXXX")
    if "$@" >"$log" 2>&1 9<&-; then # without the lock: a daemon started by a package would keep it
        rm -f "$log"
        return
    fi
    printf '%s\n' "setup: error: $what failed; full log: $log; its last lines:" >&2
    tail -n 15 "$log" | sed 's/^/    /' >&2
    return 1
}

# --- Programs -------------------------------------------------------------------------------------------------------

need_system() { # PURPOSE
    local missing
    if ! has apt-get || ! has dpkg-query; then
        need_programs "$1" "install them with your system's package manager, or load your site's modules"
        return
    fi
    mapfile -t missing < <(missing_packages "$1")
    if ((${#missing[@]} > 0)); then
        install_packages "$1" "${missing[@]}"
    fi
}

packages() { # PURPOSE
    # Keep using a ParaView that is not from Debian, with its own MPI.
    if [[ $1 != blender ]] && { ! has pvbatch || is_installed paraview; }; then
        printf '%s\n' paraview python3-paraview openmpi-bin
    elif ! has mpiexec; then
        printf '%s\n' openmpi-bin
    fi
    printf '%s\n' xvfb libgl1-mesa-dri python3-venv ca-certificates
    if [[ $1 == tests || $1 == all ]]; then
        printf '%s\n' tmux procps xdotool rsync slurmctld slurmd slurm-client munge iproute2 shellcheck strace debootstrap gcc libc6-dev
    fi
    if [[ $1 == all || $1 == blender ]]; then # Blender, and the libraries that bpy needs
        printf '%s\n' blender libx11-6 libxrender1 libxfixes3 libxi6 libxkbcommon0 libsm6 libgl1 libegl1
    fi
}

missing_packages() { # PURPOSE
    local package
    for package in $(packages "$1"); do
        is_installed "$package" || printf '%s\n' "$package"
    done
}

is_installed() { # PACKAGE
    [[ $(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null) == installed ]]
}

install_packages() { # PURPOSE PACKAGE…
    local purpose=$1 as_root=()
    shift
    if ((EUID != 0)); then
        if ! has sudo; then
            need_programs "$purpose" "as root: apt-get install --no-install-recommends $*"
            return
        fi
        as_root=(sudo)
    fi
    say "installing $* (Debian packages)"
    logged "apt-get install $*" apt_get_install "${as_root[@]}" -- "$@" || exit "$TOOL_MISSING"
}

apt_get_install() { # [sudo] -- PACKAGE…
    local as_root=(env DEBIAN_FRONTEND=noninteractive)
    if [[ $1 != -- ]]; then
        as_root=("$1" "${as_root[@]}")
        shift
    fi
    shift
    # An unrelated package source may be broken, so only the installation decides.
    "${as_root[@]}" apt-get --quiet -o Acquire::Retries=3 update || true
    "${as_root[@]}" apt-get --quiet --yes -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300 \
        install --no-install-recommends "$@"
}

need_programs() { # PURPOSE FIX: for systems on which this script cannot install packages
    local program programs=(mpiexec Xvfb) missing=()
    [[ $1 == blender ]] || programs+=(pvbatch)
    [[ $1 == demo || $1 == blender ]] || programs+=(tmux pgrep rsync slurmctld slurmd sbatch munged ip shellcheck strace debootstrap)
    [[ $1 != all && $1 != blender ]] || programs+=(blender)
    for program in "${programs[@]}"; do
        has "$program" || missing+=("$program")
    done
    "$PYTHON" -c 'import ensurepip, venv' >/dev/null 2>&1 || missing+=("python3 with venv")
    if ((${#missing[@]} > 0)); then
        fail "$TOOL_MISSING" "missing: $(printf '%s, ' "${missing[@]}" | sed 's/, $//'); $2"
    fi
}

# --- Python ---------------------------------------------------------------------------------------------------------

need_venv() {
    if [[ -e $VENV ]] && ! venv_is_intact; then
        say "recreating the Python environment: $VENV is incomplete or was made by another Python"
        rm -rf "$VENV"
    fi
    if [[ ! -e $VENV ]]; then
        say "creating a Python environment in $VENV"
        mkdir "$VENV"
        touch "$VENV/incomplete" # until everything is installed, so that the next run notices an interruption
        logged "$PYTHON -m venv" "$PYTHON" -m venv "$VENV" || exit "$TOOL_MISSING"
    fi
}

venv_is_intact() {
    [[ ! -e $VENV/incomplete ]] &&
        "$VENV/bin/python" -c 'import pip' >/dev/null 2>&1 &&
        [[ $(version_of "$VENV/bin/python") == "$(version_of "$PYTHON")" ]]
}

version_of() { "$1" -c 'import sys; print(sys.base_prefix, *sys.version_info[:2])'; } # PYTHON

need_packages_of_python() { # PURPOSE
    local wanted=$ROOT stamp=$VENV/installed-for-$1
    [[ $1 != tests ]] || wanted="${ROOT}[tests]"
    [[ $1 != all ]] || wanted="${ROOT}[tests,blender]"
    [[ $1 != blender ]] || wanted="${ROOT}[blender]"
    if [[ $(cat "$stamp" 2>/dev/null) == "$(state_of_project)" ]]; then
        return
    fi
    say "installing mpirender's Python packages, for $1"
    touch "$VENV/incomplete"
    logged "pip install" "$VENV/bin/python" -m pip install -q --disable-pip-version-check --retries 5 \
        -e "$wanted" || exit "$TOOL_MISSING"
    state_of_project >"$stamp"
    [[ $1 == demo ]] || state_of_project >"$VENV/installed-for-demo" # the tests need these packages, too
    [[ $1 != all ]] || state_of_project >"$VENV/installed-for-tests"
    rm -f "$VENV/incomplete"
}

# Includes the folder: after a checkout is moved, the scripts in .venv still contain the old path.
state_of_project() { cksum <"$ROOT/pyproject.toml" && printf '%s\n' "$ROOT"; }

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
    set_up "${1:-demo}"
fi
