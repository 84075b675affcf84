#!/bin/sh
# vl2 calibrate: the file that its manual page promises, the same for any number of threads; refusals.
. "$top_srcdir/tests/cli/lib.sh"
need_model
cp "$pictures/tiny_40x28.png" "$work/picture.png"
cat > "$work/case.json" << 'END'
[{"role": "<|User|>", "content": "<image>\nWhat?", "images": ["picture.png"]},
 {"role": "<|Assistant|>", "content": ""}]
END
echo "The quick brown fox jumps over the lazy dog." > "$work/words.txt"

# header FILE: the JSON at the head of a safetensors file, to $work/out.
header() {
    size=$(od -An -t u4 -N 4 "$1" | tr -d ' ')
    tail -c +9 "$1" | head -c "$size" > "$work/out"
}

# has NAME: a key of the header. Names have dots, so field cannot be asked.
has() {
    grep -Fq "\"$1\":" "$work/out"
}

expect 0 "$vl2" calibrate -m "$model" --conversation "$work/case.json" "$work/words.txt" -o "$work/both" -t 1 -n 4
test ! -s "$work/out" || failed "output on standard output"
expect 0 "$vl2" calibrate -m "$model" --conversation "$work/case.json" --conversation "$work/words.txt" \
    -o "$work/again" -t 3 -n 4 -v
error_has '^\[2 conversations, [0-9]+ tokens, [1-9][0-9]* tiles: [0-9]+ matrices, [0-9]+ of [0-9]+ experts; '
cmp "$work/both" "$work/again" || failed "other bytes with three threads"
header "$work/both"
same "conversations" "$(field __metadata__.conversations)" 2
same "version" "vl2 $(field __metadata__.version)" "$("$vl2" --version)"
field __metadata__.names | grep -q words.txt || failed "no names in the file"
for name in vision.blocks.0.attn.qkv.weight projector.layers.0.weight language.lm_head.weight \
    language.model.layers.1.mlp.gate.weight language.model.layers.1.mlp.gate.counts; do
    has "$name" || failed "no $name"
done

expect 0 "$vl2" calibrate -m "$model" --conversation "$work/words.txt" -o "$work/words" -n 0 --progress
error_has 'reading the prompt: 100%'
header "$work/words"
! has projector.layers.0.weight || failed "inputs of a projector that saw no picture"

expect_error 2 'nowhere to write' "$vl2" calibrate -m "$model" --conversation "$work/words.txt"
expect_error 2 'no conversation' "$vl2" calibrate -m "$model" -o "$work/x"
expect_error 2 'no model' "$vl2" calibrate -o "$work/x" --conversation "$work/words.txt"
expect_error 1 'no/such/folder/x: cannot be written' \
    "$vl2" calibrate -m "$model" --conversation "$work/words.txt" -o "$work/no/such/folder/x"
expect_error 3 nonexistent "$vl2" calibrate -m /nonexistent --conversation "$work/words.txt" -o "$work/x"
expect_error 4 missing.json "$vl2" calibrate -m "$model" --conversation "$work/words.txt" "$work/missing.json" -o "$work/x"
echo '<image>' > "$work/place.txt"
expect_error 4 'place.txt: conversation: found 1 <image>' \
    "$vl2" calibrate -m "$model" --conversation "$work/words.txt" "$work/place.txt" -o "$work/x"
test ! -e "$work/x" || failed "a file after a failure"
finish
