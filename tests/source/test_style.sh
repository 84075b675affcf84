#!/bin/sh
# House rules that a machine can check: file size, line length, tabs, unfinished marks.
set -u
cd "${top_srcdir:-.}" || exit 99
failures=0
for file in $(find src simd weights tests examples -name '*.[ch]' | sort); do
    lines=$(wc -l <"$file")
    if [ "$lines" -gt 1000 ]; then
        echo "$file: $lines lines; no file is over a thousand"
        failures=$((failures + 1))
    fi
    if grep -n "$(printf '\t')" "$file"; then
        echo "$file: tabs"
        failures=$((failures + 1))
    fi
    # Characters, not bytes: awk counts bytes under LC_ALL=C, so UTF-8 continuation bytes are removed.
    if LC_ALL=C sed 's/[\x80-\xbf]//g' "$file" | LC_ALL=C awk -v f="$file" \
        'length($0) > 100 {print f ":" NR ": " length($0) " columns"; bad = 1} END {exit !bad}'; then
        failures=$((failures + 1))
    fi
done
if grep -rnE 'TODO|FIXME|XXX|HACK' src simd weights examples --include='*.[ch]'; then
    echo "unfinished marks"
    failures=$((failures + 1))
fi
[ $failures -eq 0 ] && echo "style: ok"
[ $failures -eq 0 ]
