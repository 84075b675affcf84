#!/bin/sh
# vl2 verify: whole files, damaged ones, and what the exit code says.
. "$top_srcdir/tests/cli/lib.sh"
file=$work/x.vl2
"$top_builddir/tests/cli/make_pack" sample "$file" > "$work/frames" || failed "make_pack"
size=$(wc -c < "$file" | tr -d ' ')

# damage OFFSET: a copy of the file with another byte there, in $work/bad.vl2.
damage() {
    cp "$file" "$work/bad.vl2"
    _old=$(od -An -tu1 -j "$1" -N 1 "$file" | tr -d ' ')
    printf "\\$(printf '%03o' $(((_old + 1) % 256)))" |
        dd of="$work/bad.vl2" bs=1 seek="$1" conv=notrunc 2> /dev/null
}

for threads in 1 3; do
    expect 0 "$vl2" verify "$file" -t "$threads"
    output_has "x.vl2 is whole: .* in 6 records, 17 tensors, [0-9]+ checksums"
    output_has '^hash [0-9a-f]{32}$'
    test ! -s "$work/err" || failed "something on standard error: $(cat "$work/err")"
done
expect 0 "$vl2" verify -q "$file"
test ! -s "$work/out" || failed "-q: something on standard output"
expect 0 "$vl2" verify --json "$file"
same whole "$(field whole)" true
same bytes "$(field bytes)" "$size"
same records "$(field records)" 6
same frames "$(field frames)" "$(wc -l < "$work/frames" | tr -d ' ')"
same damaged "$(field damaged)" 0
expect 0 "$vl2" verify --progress "$file"
error_has '100%'

# The last frame: a plane of the asymmetric matrix of layer 2.
offset=$(tail -n 1 "$work/frames" | cut -d ' ' -f 3)
damage "$offset"
expect 3 "$vl2" verify "$work/bad.vl2"
same "lines of damage" "$(wc -l < "$work/out" | tr -d ' ')" 1
output_has "^layer 2, row-scales of language.model.layers.2.self_attn.asymmetric.weight at offset $offset: found checksum [0-9a-f]{16}, expected [0-9a-f]{16}\$"
error_has "bad.vl2: found 1 damaged part, expected none; the first: layer 2"
expect 3 "$vl2" verify -q "$work/bad.vl2"
output_has '^layer 2'
expect 3 "$vl2" verify --json "$work/bad.vl2"
same whole "$(field whole)" false
same damaged "$(field damaged)" 1
same layer "$(field damage.0.layer)" 2
same expert "$(field damage.0.expert)" null
same plane "$(field damage.0.plane)" row-scales
same offset "$(field damage.0.offset)" "$offset"

# A blob, and the space behind it.
offset=$(head -n 1 "$work/frames" | cut -d ' ' -f 3)
length=$(head -n 1 "$work/frames" | cut -d ' ' -f 4)
damage "$offset"
expect 3 "$vl2" verify "$work/bad.vl2"
output_has "^blob config.json at offset $offset: found checksum"
damage $((offset + length))
expect 3 "$vl2" verify "$work/bad.vl2"
output_has "^padding from offset $((offset + length)): found byte 01 at offset $((offset + length)), expected zeros"

# Header and index: one line, and nothing else is looked at.
damage 100
expect 3 "$vl2" verify "$work/bad.vl2"
output_has '^padding from offset 64: found byte 01 at offset 100'
damage 20
expect_error 3 'bad.vl2: header.file_size: found a file of' "$vl2" verify "$work/bad.vl2"
damage 4200
expect_error 3 'bad.vl2: header.file_hash: found .*expected .*head is damaged' "$vl2" verify "$work/bad.vl2"
head -c $((size - 1)) "$file" > "$work/bad.vl2"
expect_error 3 'header.file_size: found .*cut off' "$vl2" verify "$work/bad.vl2"
echo '{}' > "$work/config.json"
expect_error 3 'config.json: header: found a file of 3 bytes' "$vl2" verify "$work/config.json"
expect_error 3 'none.vl2: cannot be opened' "$vl2" verify "$work/none.vl2"
expect_error 3 'not a regular file' "$vl2" verify "$work"
finish
