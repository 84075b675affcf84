#!/bin/sh
# The reference's cases, and packed files, under every mask that VL2_CPU has and this processor can
# obey. The reference kernels take one picture once: they are 30 times as slow.
. "$top_srcdir/tests/cli/lib.sh"
golden=$top_builddir/tests/golden
unset VL2_CPU
"$vl2" --cpu >"$work/cpu" || exit 99
features=" $(sed -n 's/^features *//p' "$work/cpu") "
texts="small/text_only tiny/text_only base/text_only"

# What the processor lacks of these features; $1 may have alternatives: "avxvnni|avx512vnni".
lacks() {
    for wanted; do
        echo "$features" | grep -Eq " ($wanted) " || printf ' %s' "$wanted"
    done
}

run() { # MASK COMMAND...
    name=$1 && shift
    VL2_CPU=$name "$@" >"$work/out" 2>&1 || {
        cat "$work/out"
        failed "VL2_CPU=$name $*"
    }
}

# The kernels that the program says it runs with; every model that a test opens says so.
in_force() { # MASK SLOT=ISA, an extended regular expression
    grep -q "^VL2_CPU=$1:" "$work/out" || failed "$1: the test does not say what it ran with"
    if grep "^VL2_CPU=" "$work/out" | grep -Evq "^VL2_CPU=$1:.* ($2)( |\$)"; then
        grep "^VL2_CPU=" "$work/out"
        failed "$1: the kernels are not $2"
    fi
}

mask() { # MASK SLOT=ISA FEATURE...
    name=$1 slot=$2
    shift 2
    missing=$(lacks "$@")
    if [ -n "$missing" ]; then
        echo "  $name: SKIPPED, this processor lacks$missing"
        return
    fi
    once= packed=$texts
    if [ "$name" = generic ]; then
        once=--once packed=small/text_only
    fi
    # shellcheck disable=SC2086 # lists
    run "$name" "$golden/test_golden" $once $texts small/non_ascii_text_only small/wide_strip
    in_force "$name" "$slot"
    # shellcheck disable=SC2086
    run "$name" "$golden/test_packed" --few $packed
    in_force "$name" "$slot"
    echo "  $name: $slot"
}

mask generic 'matvec_bf16=ref'
case $(uname -m) in
x86_64 | i?86)
    mask avx2 'matvec_bf16=avx2' avx2 fma f16c
    mask avx512 'matvec_bf16=avx512' avx512f avx512bw avx512dq avx512vl
    mask vnni 'matmul_packed=(avx)?vnni' 'avx512vnni|avxvnni'
    mask amx 'matmul_packed_many=amx' avx512vnni amx-tile amx-int8
    ;;
aarch64)
    mask neon 'matvec_bf16=neon' neon
    mask dotprod 'matmul_packed=dotprod' neon dotprod
    mask i8mm 'matmul_packed_many=i8mm' neon dotprod i8mm
    ;;
esac
finish
