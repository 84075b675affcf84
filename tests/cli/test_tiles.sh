#!/bin/sh
# vl2 tiles on the project's own pictures, against the reference's digests in tests/data/image.
. "$top_srcdir/tests/cli/lib.sh"
need_model
table=$pictures/images.json

index=0
while file=$("$json_field" "images.$index.file" < "$table"); do
    for way in "tiles_sha256:" "nocrop_tiles_sha256:--no-tiling"; do
        expected=$("$json_field" "images.$index.${way%%:*}" < "$table") || continue
        # shellcheck disable=SC2086
        expect 0 "$vl2" tiles -m "$model" --image "$pictures/$file" ${way#*:} || continue
        same "tiles of $file ${way#*:}" "$(field tiles)" "$expected"
        same "size of $file" "$(field size)" "$("$json_field" "images.$index.size_wh" < "$table")"
    done
    index=$((index + 1))
done
test "$index" -gt 10 || failed "only $index pictures in the table"

# Written as pictures that are their own tiles again.
expect 0 "$vl2" tiles -m "$model" --image "$pictures/tiny_40x28.png" -o "$work/tiles"
count=$(field 'tiles#')
global=$(field tiles.0)
same "files" "$(find "$work/tiles" -name 'tile_*.png' | wc -l | tr -d ' ')" "$count"
test -f "$work/tiles/tile_01_r0_c0.png" || failed "no tile_01_r0_c0.png"
expect 0 "$vl2" tiles -m "$model" --image "$work/tiles/tile_00_global.png" --no-tiling
same "tile of the written tile" "$(field tiles.0)" "$global"

expect_error 4 'missing.png' "$vl2" tiles -m "$model" --image "$work/missing.png"
expect_error 4 'not_an_image.png' "$vl2" tiles -m "$model" --image "$pictures/odd/not_an_image.png"
expect_error 4 'truncated.jpg' "$vl2" tiles -m "$model" --image "$pictures/odd/truncated.jpg"
expect_error 4 'truncated.png' "$vl2" tiles -m "$model" --image "$pictures/odd/truncated.png"
expect_error 4 'empty.jpg' "$vl2" tiles -m "$model" --image "$pictures/odd/empty.jpg"
expect_error 4 'max-pixels' "$vl2" tiles -m "$model" --image "$pictures/tiny_40x28.png" --max-pixels 1000
expect_error 3 'nonexistent' "$vl2" tiles -m /nonexistent --image "$pictures/tiny_40x28.png"
expect_error 1 'cannot be made' "$vl2" tiles -m "$model" --image "$pictures/tiny_40x28.png" -o "$work/missing/tiles"
finish
