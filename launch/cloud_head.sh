#!/usr/bin/env bash
# What the head node of a cluster in the cloud does; `mpirender cloud` runs it there through ssh, as often as it likes.
#
#   cloud_head.sh stop-after HOURS FOLDER    end all jobs and stop this machine so many hours after the first such call
#   cloud_head.sh software PURPOSE FOLDER    install what launch/setup.sh installs for it (demo, blender), and write a
#                                            batch script with which nodes do the same
#
# FOLDER is that of mpirender on the shared file system.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
LOOK_SECONDS=5
GRACE_SECONDS=300 # that jobs have to end in

stop_after() { # HOURS FOLDER
    local made=$2/made-at
    [[ -s $made ]] || { date +%s >"$made.part" && mv "$made.part" "$made"; }
    awk -v made="$(cat "$made")" -v hours="$1" 'BEGIN { printf "%d\n", made + 3600 * hours }' >"$2/stop-at.part"
    mv "$2/stop-at.part" "$2/stop-at"
    # One watcher, which reads the time again and again: a later call may have changed it.
    setsid --fork bash "${BASH_SOURCE[0]}" watch "$2" </dev/null >>"$2/stop.log" 2>&1
}

watch() { # FOLDER
    exec 9>"/tmp/mpirender-stop-$(id -u)"
    flock --nonblock 9 || exit 0
    local left
    while left=$(($(cat "$1/stop-at") - $(date +%s))) && ((left > 0)); do
        sleep $((left < LOOK_SECONDS ? left : LOOK_SECONDS))
    done
    printf '%s: the hours of this cluster are over; ending all jobs\n' "$(date)"
    scancel --user="$(id -un)" --full || true
    for ((waited = 0; waited < GRACE_SECONDS; waited += 5)); do
        [[ -n $(squeue --noheader) ]] || break
        sleep 5
    done
    sudo shutdown -h now
}

software() { # PURPOSE FOLDER
    local source=$2/source
    bash "$HERE/setup.sh" "$1"
    # Nodes install the same; the Python environment is on the shared file system.
    awk -v setup="srun --ntasks-per-node=1 --ntasks=\$SLURM_JOB_NUM_NODES bash $source/launch/setup.sh $1 || exit 3" \
        -v path="export PATH=$source/.venv/bin:\$PATH" \
        '{ print } /^# --- Site/ { print setup; print path }' "$HERE/mpi_render.slurm" >"$2/$1.slurm.part"
    mv "$2/$1.slurm.part" "$2/$1.slurm"
}

case ${1:-} in
stop-after) stop_after "$2" "$3" ;;
watch) watch "$2" ;;
software) software "$2" "$3" ;;
*) sed -n '2,8p' "$0" && exit 2 ;;
esac
