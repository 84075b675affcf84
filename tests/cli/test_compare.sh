#!/bin/sh
# vl2 compare: tables, the JSON that its manual page promises, several conversations, refusals.
. "$top_srcdir/tests/cli/lib.sh"
need_model
cp "$pictures/tiny_40x28.png" "$work/picture.png"
cat > "$work/case.json" << 'END'
[{"role": "<|User|>", "content": "<image>\nWhat?", "images": ["picture.png"]},
 {"role": "<|Assistant|>", "content": ""}]
END
cat > "$work/given.json" << 'END'
[{"role": "user", "content": "Who goes there?"}, {"role": "assistant", "content": "Nobody at all."}]
END
echo "The quick brown fox jumps over the lazy dog." > "$work/words.txt"

# A model beside itself: no difference anywhere.
expect 0 "$vl2" compare "$model" "$model" --conversation "$work/case.json" -n 3 --positions 4 --json
same "conversations" "$(field conversations)" 1
same "tokens" "$(field all.tokens)" 7
same "tokens of the prompt" "$(field prompt.tokens)" 4
same "tokens of the answer" "$(field answer.tokens)" 3
for name in all.kl_mean all.kl_median all.kl_p99 all.kl_max answer.kl_max vision_error projector_error \
    embedding_error layers.0.error layers.1.error tokens.0.kl; do
    same "$name" "$(field $name)" 0
done
same "agreement" "$(field all.agreement)" 1
same "experts of a dense layer" "$(field layers.0.same_experts)" null
same "experts" "$(field layers.1.same_experts)" 1
same "perplexities" "$(field all.perplexity_a)" "$(field all.perplexity_b)"
for name in a b positions tokens.6.conversation tokens.6.position tokens.6.answer tokens.6.token \
    tokens.6.best_a tokens.6.best_b tokens.6.log_a tokens.6.log_b; do
    field "$name" > /dev/null || failed "no $name in the report"
done

# Another configuration; then other weights in the same one: the last quarter of each file is zero.
mkdir "$work/other"
for part in "$model"/*; do
    ln -s "$(cd "$model" && pwd)/${part##*/}" "$work/other/${part##*/}"
done
rm "$work/other/config.json"
sed 's/"num_experts_per_tok": *[0-9]*/"num_experts_per_tok": 1/' "$model/config.json" > "$work/other/config.json"
expect_error 2 'language_config.num_experts_per_tok: found 1, expected [2-9] as in' \
    "$vl2" compare "$model" "$work/other" --conversation "$work/case.json"
cp "$model/config.json" "$work/other/config.json"
for part in "$model"/*.safetensors; do
    size=$(wc -c < "$part")
    rm "$work/other/${part##*/}"
    { head -c $((size * 3 / 4)) "$part" && head -c $((size - size * 3 / 4)) /dev/zero; } > "$work/other/${part##*/}"
done
expect 0 "$vl2" compare "$model" "$work/other" --conversation "$work/case.json" --json
for name in all.kl_mean layers.1.error vision_error projector_error; do
    case $(field $name) in
    0 | -* | null) failed "$name is $(field $name) for other weights" ;;
    esac
done
there=$(field all.kl_mean)
expect 0 "$vl2" compare "$work/other" "$model" --conversation "$work/case.json" --json
test "$(field all.kl_mean)" != "$there" || failed "the order of the models does not matter"

# Several files, behind one option or several; as a table.
expect 0 "$vl2" compare "$model" "$model" -n 2 --conversation "$work/case.json" "$work/given.json" "$work/words.txt"
output_has '^3 conversations, [0-9]+ positions$'
output_has '^prompt +[0-9]+ +0 +0 +0 +0 +100.00 % '
output_has '^answer '
output_has '^vision +0$'
output_has '^layer 1 +0 +100.00 %$'
expect 0 "$vl2" compare "$model" "$model" -n 0 --conversation "$work/given.json" --conversation "$work/words.txt" --json
same "conversations" "$(field conversations)" 2
same "no pictures" "$(field vision_error)" null
test "$(field answer.tokens)" -gt 2 || failed "the given answer was not compared"
expect 0 "$vl2" compare "$model" "$model" -n 0 --conversation "$work/words.txt" --json
same "no answer" "$(field answer)" null
test "$(field prompt.tokens)" -gt 10 || failed "the words were not compared"
expect 0 "$vl2" compare "$model" "$model" -n 0 --conversation - --json < "$work/given.json"
same "conversations" "$(field conversations)" 1
expect 0 "$vl2" compare "$model" "$model" -n 2 --conversation "$work/words.txt" --progress -v
error_has 'reading the prompt: 100%'
error_has '^\[[0-9]+ positions by both: '

expect_error 2 'no models' "$vl2" compare --conversation "$work/case.json"
expect_error 2 'only one model' "$vl2" compare "$model" --conversation "$work/case.json"
expect_error 2 'no conversation' "$vl2" compare "$model" "$model"
expect_error 2 'standard input' "$vl2" compare "$model" "$model" --conversation - -
expect_error 3 nonexistent "$vl2" compare "$model" /nonexistent --conversation "$work/case.json"
expect_error 4 missing.json "$vl2" compare "$model" "$model" --conversation "$work/case.json" "$work/missing.json"
expect_error 4 missing.txt "$vl2" compare "$model" "$model" --conversation "$work/missing.txt"
echo '<image>' > "$work/place.txt"
expect_error 4 'place.txt: conversation: found 1 <image>' \
    "$vl2" compare "$model" "$model" --conversation "$work/words.txt" "$work/place.txt"
expect_error 4 'words.txt: the prompt has' "$vl2" compare "$model" "$model" -c 5 --conversation "$work/words.txt"
finish
