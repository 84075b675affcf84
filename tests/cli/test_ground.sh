#!/bin/sh
# vl2 ground: the reference's prompt, tables, JSON and pictures.
. "$top_srcdir/tests/cli/lib.sh"
need_model
picture=$pictures/tiny_40x28.png

# The answer is that of the reference's prompt.
expect 0 "$vl2" ask -m "$model" --image "$picture" -n 8 --json -p '<image>
<|ref|>the box<|/ref|>.'
tokens=$(field completion_tokens)
answer=$(field answer)
expect 0 "$vl2" ground -m "$model" --image "$picture" -n 8 --json 'the box' 'another thing'
same "answer" "$(field phrases.0.answer)" "$answer"
same "tokens" "$(field phrases.0.completion_tokens)" "$tokens"
same "phrases" "$(field 'phrases#')" 2
same "phrase" "$(field phrases.1.phrase)" 'another thing'
same "width" "$(field image.width)" 40
for name in boxes problems finish_reason prompt_tokens timings.decode; do
    field "phrases.0.$name" > /dev/null || failed "no field $name"
done
# The picture and the beginning of the prompt are not computed again for the second phrase.
test "$(field phrases.1.reused_tokens)" -gt 400 || failed "reused_tokens $(field phrases.1.reused_tokens)"

# The checkpoints of the tests have random weights and find nothing: said plainly, and no failure.
expect 0 "$vl2" ground -m "$model" --image "$picture" -n 4 'the box' --draw "$work/drawn.png"
output_has '^no box found for "the box"$|the box'
expect 0 "$vl2" tiles -m "$model" --image "$work/drawn.png"
same "size of the drawn picture" "$(field size)" '[40,28]'

expect_error 4 'missing.png' "$vl2" ground -m "$model" --image "$work/missing.png" x
expect 1 "$vl2" ground -m "$model" --image "$picture" -n 1 x --draw "$work/missing/drawn.png"
error_has 'missing/drawn.png'
expect_error 3 nonexistent "$vl2" ground -m /nonexistent --image "$picture" x
finish
