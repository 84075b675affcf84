#!/bin/sh
# The program must start on the oldest x86-64: libsimd.a holds no AVX instruction, and the libraries
# of the newer ISAs define nothing that others could be linked against by accident.
command -v objdump >/dev/null && command -v nm >/dev/null || exit 77
libraries=$top_builddir/.libs
[ -f "$libraries/libsimd_avx2.a" ] || exit 77 # another architecture
status=0
if objdump -d --no-show-raw-insn "$libraries/libsimd.a" | grep -E '^ *[0-9a-f]+:	v[a-z]'; then
    echo "libsimd.a: found AVX instructions, expected none"
    status=1
fi
for isa in avx2 avxvnni avx512 vnni amx; do
    # AddressSanitizer adds symbols of its own
    if nm -g --defined-only "$libraries/libsimd_$isa.a" | grep -E '^[0-9a-f]+ ' |
        grep -vE " [A-Za-z] ([a-z0-9_]+_$isa|peak_[a-z0-9_]+)\$|__odr_asan|_sub_[ID]"; then
        echo "libsimd_$isa.a: found other global symbols than kernels"
        status=1
    fi
done
exit $status
