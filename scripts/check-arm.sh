#!/bin/sh
# Builds simd/ and the kernel tests for ARMv8-A and runs them under qemu-aarch64, on processors with and
# without the extensions: make check of the kernels for who has no ARM machine. They need libc only, so
# that no library of the other architecture has to be installed.
#   scripts/check-arm.sh [BUILD-FOLDER]      a temporary folder if none is named
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
for file in "$source"/simd/arm/*_dotprod.c; do
    # shellcheck disable=SC2086 # the flags are meant to be split
    $compiler $flags -march=armv8.2-a+dotprod -c "$file" -o "$folder/$(basename "$file" .c).o"
done
# shellcheck disable=SC2046,SC2086
$compiler $flags -static -o "$folder/test_kernels" "$source"/simd/*.c \
    $(find "$source/simd/arm" -name '*.c' ! -name '*_dotprod.c') \
    $(find "$source/simd/ref" -name '*.c' ! -name arch_none.c) \
    "$source"/tests/kernels/test_*.c "$source/tests/kernels/harness.c" "$folder"/*.o -lm
for cpu in cortex-a53 cortex-a76 max; do
    echo "qemu-aarch64 -cpu $cpu"
    "$qemu" -cpu "$cpu" "$folder/test_kernels"
done
