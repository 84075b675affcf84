#!/bin/sh
# Who may include whom: data flows one way, and rooms see only the rooms below them (CONTRIBUTING.md).
set -u
cd "${top_srcdir:-.}" || exit 99
failures=0

# room FOLDER ALLOWED...: every #include "..." of the folder begins with one of the allowed paths.
room() {
    folder=$1
    shift
    for file in $(find "$folder" -name '*.[ch]' | sort); do
        for included in $(sed -n 's/^[ \t]*#[ \t]*include[ \t]*"\([^"]*\)".*/\1/p' "$file"); do
            permitted=no
            for prefix in "$@"; do
                case "$included" in
                "$prefix"*) permitted=yes ;;
                esac
            done
            if [ $permitted = no ]; then
                echo "$file includes $included; $folder may include: $*"
                failures=$((failures + 1))
            fi
        done
    done
}

room src/base vl2.h base/
room simd simd/
room weights vl2.h weights/ simd/layout.h base/
room src/image vl2.h image/ simd/kernels.h base/
room src/text vl2.h text/ base/
room src/model vl2.h model/ weights/ simd/kernels.h base/
room src/engine vl2.h engine/ image/ text/ model/ weights/ simd/kernels.h simd/peak.h base/ config.h
room src/cli vl2.h cli/ config.h
room examples vl2.h

# The cross-compiled flags of one ISA must not leak into another: its headers come from simd/ alone.
if grep -rn 'immintrin.h\|arm_neon.h' src weights; then
    echo "intrinsics belong into simd/"
    failures=$((failures + 1))
fi
# All memory goes through base/alloc.h (jansson and libc hand out some of their own, which free returns).
if grep -rnE '[^_a-z](malloc|calloc|realloc|strdup|strndup|asprintf)\(' src/image src/text src/model \
    src/engine src/base weights simd --include='*.c' | grep -v 'src/base/alloc.c'; then
    echo "memory is taken through base/alloc.h only"
    failures=$((failures + 1))
fi
[ $failures -eq 0 ] && echo "layers: ok"
[ $failures -eq 0 ]
