#!/bin/sh
# The speed of a packed model in less memory than it has weights: vl2 bench in a real control group of
# the budget plus 5 %, caches dropped first, for several budgets. Needs root, and control groups (v1 or
# v2) that it may make.
#   scripts/bench-paging.sh MODEL.vl2 [BENCH-OPTION...]
#   SHARES="100 75 50 30"   budgets, % of the file; 0: without budget and group
#   READ_RATE=900000000     bytes/s that the storage of the model is held to, by the block layer
#   VL2=./vl2               the program
# Options of the bench: --only decode --contexts 0 -n 24 --repeat 5 if there are none.
set -eu
model=${1:?usage: scripts/bench-paging.sh MODEL.vl2 [BENCH-OPTION...]}
shift
[ $# -gt 0 ] || set -- --only decode --contexts 0 -n 24 --repeat 5
vl2=${VL2:-./vl2}
root=/sys/fs/cgroup
name=vl2-bench-$$
bytes=$(stat -Lc %s "$model")
results=$(mktemp)
groups=
memory=
# shellcheck disable=SC2317 # called by trap
clean() {
    rm -f "$results"
    for group in $groups; do
        rmdir "$group" 2>/dev/null || true
    done
}
trap clean EXIT
trap 'exit 130' INT TERM

# The disk, MAJOR:MINOR, of the file: that of its partition.
disk() {
    device=$(stat -Lc %Hd:%Ld "$model")
    if [ -e "/sys/dev/block/$device/partition" ]; then
        device=$(cat "/sys/dev/block/$device/../dev")
    fi
    echo "$device"
}

make_groups() {
    if [ -d $root/memory ]; then
        memory=$root/memory/$name
        mkdir "$memory"
        groups=$memory
        if [ -n "${READ_RATE:-}" ]; then
            mkdir "$root/blkio/$name"
            groups="$groups $root/blkio/$name"
            echo "$(disk) $READ_RATE" >"$root/blkio/$name/blkio.throttle.read_bps_device"
        fi
    else
        echo "+memory +io" >$root/cgroup.subtree_control
        memory=$root/$name
        mkdir "$memory"
        groups=$memory
        [ -z "${READ_RATE:-}" ] || echo "$(disk) rbps=$READ_RATE" >"$memory/io.max"
    fi
}

# The group's limit in bytes; none: max.
limit_memory() {
    if [ -e "$memory/memory.limit_in_bytes" ]; then
        [ "$1" != max ] || set -- -1
        echo "$1" >"$memory/memory.limit_in_bytes"
        echo 0 >"$memory/memory.max_usage_in_bytes"
    else
        echo "$1" >"$memory/memory.max"
    fi
}

peak() {
    cat "$memory/memory.max_usage_in_bytes" 2>/dev/null || cat "$memory/memory.peak"
}

# bench LIMIT OPTION...: in the groups
bench() {
    limit_memory "$1"
    shift
    sync
    echo 3 >/proc/sys/vm/drop_caches
    # shellcheck disable=SC2016 # $$ is the inner shell's
    GROUPS_OF_IT=$groups sh -c 'for group in $GROUPS_OF_IT; do
            echo $$ >"$group/cgroup.procs"
        done
        exec "$@"' -- "$vl2" bench -m "$model" "$@" >"$results"
    sed -n '/^reading storage/p; /tokens\/s/p; /^first token/p; / read each time/p; /^vision/p' \
        "$results" | sed 's/^ \{8,\}/    /'
    echo "    peak of the group $(peak) bytes"
}

make_groups
for share in ${SHARES:-100 75 50 30}; do
    budget=$((bytes * share / 100))
    if [ "$share" = 0 ]; then
        echo "== no budget"
        bench max --ram off "$@"
    else
        echo "== $share % of the file: $budget bytes"
        bench $((budget * 105 / 100)) --ram "$budget" "$@"
    fi
done
