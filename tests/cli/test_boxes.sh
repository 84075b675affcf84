#!/bin/sh
# vl2 boxes: what the reference's parse_ref_bbox extracts.
. "$top_srcdir/tests/cli/lib.sh"

row() { # size answer expected
    printf '%s' "$2" > "$work/answer"
    expect 0 "$vl2" boxes --size "$1" --json < "$work/answer"
    same "boxes of $2" "$(cat "$work/out")" "$3"
}

# Rows of the reference's table.
row 724x1086 '<|ref|>The giraffe at the back.<|/ref|><|det|>[[580, 270, 999, 900]]<|/det|><｜end▁of▁sentence｜>' \
    '[{"label":"The giraffe at the back.","box_px":[420,293,724,978]}]'
row 640x480 'The image shows a cat.' null
row 640x480 '' null
row 640x480 '<|ref|>x<|/ref|><|det|>[580, 270, 999, 900]<|/det|>' '[]'
row 640x480 '<|ref|>x<|/ref|><|det|> [[1, 2, 3, 4]]<|/det|>' null
row 640x480 '<|ref|>a<|/ref|><|ref|>b<|/ref|><|det|>[[1, 2, 3, 4]]<|/det|>' null
row 640x480 '<|ref|>a [1, 2] b<|/ref|><|det|>[[1, 2, 3, 4]]<|/det|>' \
    '[{"label":"a [1, 2] b","box_px":[0,0,1,1]}]'

# Text for people: the table, and what cannot be read on standard error.
printf '<|ref|>a cat<|/ref|><|det|>[[0, 0, 999, 999], [100, 200, 300, 400]]<|/det|>' > "$work/answer"
expect 0 "$vl2" boxes --size 200x100 < "$work/answer"
same "lines of the table" "$(wc -l < "$work/out" | tr -d ' ')" 3
output_has '^ +0 +0 +200 +100 +\[0, 0, 999, 999\] +a cat$'
output_has '^ +20 +20 +60 +40 +\[100, 200, 300, 400\] +a cat$'
printf '<|ref|>x<|/ref|><|det|>[[1, 2, 3]]<|/det|>' > "$work/answer"
expect 0 "$vl2" boxes --size 200x100 < "$work/answer"
output_has '^no box$'
error_has 'vl2 boxes: not readable: '
finish
