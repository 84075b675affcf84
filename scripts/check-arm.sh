#!/bin/sh
# vl2 on ARM for who has no ARM machine, under qemu-aarch64: the kernel tests on processors with and
# without the extensions; then the whole program: a picture whose answer must be the reference's, and
# files packed here, whose answers must be those that this machine gives.
#   scripts/check-arm.sh [BUILD-FOLDER]      a temporary folder if none is named
# VL2 names the vl2 of this machine; without it one is built.
set -eu
source=$(cd "$(dirname "$0")/.." && pwd)
"$source/scripts/install-deps.sh" cross
folder=${1:-}
if [ -z "$folder" ]; then
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
fi
mkdir -p "$folder"
compiler=${ARM_CC:-aarch64-linux-gnu-gcc}
qemu=${QEMU_AARCH64:-qemu-aarch64}
flags="-std=gnu11 -O2 -g -D_GNU_SOURCE -I$source -ffp-contract=off -fno-common
    -Wall -Wextra -Wshadow=local -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith
    -Wwrite-strings -Wformat=2 -Wundef -Wvla -Werror"
# What needs more than ARMv8-A has flags of its own, as in simd/local.mk.
rm -f "$folder"/*.o
for extension in dotprod dotprod+i8mm bf16; do
    for file in "$source"/simd/arm/*_"${extension##*+}".c; do
        # shellcheck disable=SC2086 # the flags are meant to be split
        $compiler $flags -march=armv8.2-a+$extension -c "$file" \
            -o "$folder/$(basename "$file" .c).o"
    done
done
# test_emulated is of x86.
# shellcheck disable=SC2046,SC2086
$compiler $flags -static -o "$folder/test_kernels" "$source"/simd/*.c \
    $(find "$source/simd/arm" -name '*.c' ! -name '*_dotprod.c' ! -name '*_i8mm.c' ! -name '*_bf16.c') \
    $(find "$source/simd/ref" -name '*.c' ! -name arch_none.c) \
    $(find "$source/tests/kernels" -name 'test_*.c' ! -name test_emulated.c) \
    "$source/tests/kernels/harness.c" "$folder"/*.o -lm
# Each processor for the tables that the ones before do not have; all at a time.
kernels() { # PROCESSOR MASK...
    cpu=$1 && shift
    "$qemu" -cpu "$cpu" "$folder/test_kernels" "$@" >"$folder/kernels-$cpu.out" 2>&1
}
kernels cortex-a53 generic neon &
a53=$!
kernels cortex-a76 dotprod &
a76=$!
kernels max i8mm &
newest=$!
failed=
wait $a53 || failed="$failed cortex-a53"
wait $a76 || failed="$failed cortex-a76"
wait $newest || failed="$failed max"
for cpu in cortex-a53 cortex-a76 max; do
    echo "qemu-aarch64 -cpu $cpu"
    cat "$folder/kernels-$cpu.out"
done
[ -z "$failed" ] || {
    echo "the kernel tests failed on$failed"
    exit 1
}

echo "the whole program"
build() { # FOLDER CONFIGURE-OPTION...: builds vl2 there
    mkdir -p "$1"
    (cd "$1" && shift && "$source/configure" --disable-shared "$@" >configure.out && make -s vl2)
}
PKG_CONFIG_LIBDIR=/usr/lib/aarch64-linux-gnu/pkgconfig:/usr/share/pkgconfig \
    build "$folder/arm" --host=aarch64-linux-gnu
native=${VL2:-$folder/native/vl2}
[ -n "${VL2:-}" ] || build "$folder/native"
xz -dc "$source/tests/data/golden/small.tar.xz" | tar -C "$folder" -xf -
unset VL2_CPU

# A whole case of the reference, from a picture to text, on the oldest processor and on the newest.
tokens() { sed 's/.*"tokens":\[\([0-9,]*\)\].*/\1/'; }
case=$folder/small/cases/wide_strip/case.json
reference=$(tr -d ' \n' <"$case" | sed 's/.*"greedy":{/{/' | tokens)
for cpu in cortex-a53 max; do
    there=$(cd "$folder/small" && "$qemu" -cpu "$cpu" "$folder/arm/vl2" ask -m . \
        --conversation "$case" -n 24 --ignore-eos --json | tokens)
    [ -n "$reference" ] && [ "$reference" = "$there" ] || {
        echo "wide_strip on $cpu: tokens $there, the reference's $reference"
        exit 1
    }
    echo "  wide_strip, 5 tiles, on $cpu: the reference's tokens: $there"
done

for quant in bf16 int8 mixed; do
    packed=$folder/small-$quant.vl2
    "$native" pack "$folder/small" -o "$packed" --quant "$quant" -q -y
    ask() { "$@" ask -m "$packed" -p "What is this?" -n 24 --ignore-eos --json | tokens; }
    here=$(ask "$native")
    there=$(ask "$qemu" -cpu max "$folder/arm/vl2")
    [ -n "$here" ] && [ "$here" = "$there" ] || {
        echo "$quant: tokens on ARM $there, here $here"
        exit 1
    }
    echo "  $quant: the same tokens: $here"
done
