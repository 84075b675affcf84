#!/bin/sh
# The shared library exports what vl2.h declares, all of it and nothing else.
set -u
library=${top_builddir:-.}/.libs/libvl2.so
if [ ! -f "$library" ]; then
    echo "SKIPPED: no shared library was built"
    exit 77
fi
exported=$(nm -D --defined-only "$library" | awk '$2 ~ /[TDBRV]/ {print $3}' | sort)
declared=$(sed -n 's/^VL2_API .*[ *]\(vl2_[a-z0-9_]*\)(.*/\1/p' "${top_srcdir:-.}/src/vl2.h" | sort)
if [ "$exported" != "$declared" ]; then
    echo "exported (<) and declared in vl2.h (>) differ:"
    echo "$exported" >"exports.$$.a"
    echo "$declared" >"exports.$$.b"
    diff "exports.$$.a" "exports.$$.b"
    rm -f "exports.$$.a" "exports.$$.b"
    exit 1
fi
echo "exports: ok, $(echo "$exported" | wc -l) functions"
