#!/bin/sh
# vl2 trace: the keys and files that its manual page promises.
. "$top_srcdir/tests/cli/lib.sh"
need_model
cp "$pictures/tiny_40x28.png" "$work/picture.png"
cat > "$work/case.json" << 'END'
[{"role": "<|User|>", "content": "<image>\nWhat?", "images": ["picture.png"]},
 {"role": "<|Assistant|>", "content": ""}]
END
expect 0 "$vl2" trace -m "$model" --conversation "$work/case.json" -o "$work/traced" -n 5 --chunk 64
test ! -s "$work/out" || failed "output on standard output"
cp "$work/traced/trace.json" "$work/out"
for name in sft_format input_ids images_seq_mask_runs images_spatial_crop_wh num_image_tokens \
    tiles.0.sha256 tiles.0.vision_mean tiles.0.vision_l2 tiles.0.projector_mean tiles.0.projector_l2 \
    router.0.layer router.0.last_ids router.0.last_weights greedy.text arrays.logits_last.file \
    arrays.hidden_last.dtype arrays.hidden_last.shape; do
    field "$name" > /dev/null || failed "no $name in trace.json"
done
same "tokens" "$(field 'greedy.tokens#')" 5
same "margins" "$(field 'greedy.margins#')" 5
same "num_image_tokens" "$(field num_image_tokens)" '[421]'
logits=$work/traced/$(field arrays.logits_last.file)
same "bytes of the logits" "$(wc -c < "$logits" | tr -d ' ')" $((4 * $(field arrays.logits_last.shape.0)))

expect_error 4 missing.json "$vl2" trace -m "$model" --conversation "$work/missing.json" -o "$work/x"
: > "$work/file"
expect_error 1 file "$vl2" trace -m "$model" --conversation "$work/case.json" -o "$work/file" -n 1
expect_error 3 nonexistent "$vl2" trace -m /nonexistent --conversation "$work/case.json" -o "$work/x"
finish
