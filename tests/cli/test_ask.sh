#!/bin/sh
# vl2 ask: answers, JSON, and everything that can be wrong with a request.
. "$top_srcdir/tests/cli/lib.sh"
need_model
picture=$pictures/tiny_40x28.png
question='What is this?'

# The same question, however it comes.
expect 0 "$vl2" ask -m "$model" -p "$question" -n 8
cp "$work/out" "$work/answer"
test -s "$work/answer" || failed "no answer"
test ! -s "$work/err" || failed "standard error is not empty where it is no terminal"
same "last byte" "$(tail -c 1 "$work/answer" | od -An -tx1 | tr -d ' ')" 0a
printf '%s' "$question" > "$work/question"
as_before() {
    expect 0 "$@" && { cmp -s "$work/out" "$work/answer" || failed "another answer: $*"; }
}
as_before "$vl2" ask -m "$model" -n 8 -f "$work/question"
as_before "$vl2" ask -m "$model" -n 8 -f - < "$work/question"
as_before "$vl2" ask -m "$model" -n 8 -p - < "$work/question"
as_before "$vl2" ask -m "$model" -n 8 - < "$work/question"
as_before "$vl2" ask -m "$model" -n 8 "$question"
as_before "$vl2" ask -m "$model" -n 8 -- "$question"
as_before env VL2_MODEL="$model" VL2_PREDICT=8 "$vl2" ask -p "$question"
as_before "$vl2" ask -m "$model" -n 8 -p "$question" --threads 1 --chunk 3
as_before "$vl2" ask -m "$model" -n 8 -p "$question" --top-k 1 --temp 2
echo '[{"role":"user","content":"What is this?"},{"role":"assistant","content":""}]' > "$work/conversation.json"
as_before "$vl2" ask -m "$model" -n 8 --conversation "$work/conversation.json"
as_before "$vl2" ask -m "$model" -n 8 -p "$question" --quiet --no-progress

# Sampling by seed.
expect 0 "$vl2" ask -m "$model" -p x -n 16 --temp 1 --seed 7
cp "$work/out" "$work/seven"
expect 0 "$vl2" ask -m "$model" -p x -n 16 --temp 1 --seed 7
cmp -s "$work/out" "$work/seven" || failed "equal seeds, other answers"
expect 0 "$vl2" ask -m "$model" -p x -n 16 --temp 2 --top-k 0 --seed 8
cmp -s "$work/out" "$work/seven" && failed "other seeds, equal answers"

# JSON.
expect 0 "$vl2" ask -m "$model" -p "$question" -n 8 --json
same "lines" "$(wc -l < "$work/out" | tr -d ' ')" 1
same "answer" "$(field answer)" "$(cat "$work/answer")"
same "completion_tokens" "$(field completion_tokens)" "$(field 'tokens#')"
same "image_tokens" "$(field image_tokens)" 0
same "boxes" "$(field boxes)" '[]'
same "images" "$(field images)" '[]'
case $(field finish_reason) in
length) same "tokens" "$(field completion_tokens)" 8 ;;
end) ;;
*) failed "finish_reason $(field finish_reason)" ;;
esac
for name in model prompt_tokens reused_tokens tiles tiles_encoded timings.open timings.tiles \
    timings.vision timings.prefill timings.decode tokens_per_second memory_peak_bytes seed problems; do
    field "$name" > /dev/null || failed "no field $name"
done
test "$(field memory_peak_bytes)" -gt 1000000 || failed "memory_peak_bytes $(field memory_peak_bytes)"
expect 0 "$vl2" ask -m "$model" -p "$question" -n 3 --ignore-eos --json
same "tokens of -n 3" "$(field completion_tokens)" 3
same "finish of -n 3" "$(field finish_reason)" length

# A stop text ends the answer before it.
first=$(head -c 200 "$work/answer" | tr -d '\n' | cut -c 3-5)
if test -n "$first" && printf '%s' "$first" | LC_ALL=C grep -q '^[ -~]*$'; then
    expect 0 "$vl2" ask -m "$model" -p "$question" -n 8 --stop "$first" --json
    same "finish of --stop" "$(field finish_reason)" stop
    case $(field answer) in *"$first"*) failed "the stop text is in the answer" ;; esac
fi

# Pictures: the tag is put before the question unless it is there.
expect 0 "$vl2" ask -m "$model" --image "$picture" -p "$question" -n 4 --json
same "image_tokens" "$(field image_tokens)" 421
same "width" "$(field images.0.width)" 40
same "height" "$(field images.0.height)" 28
with_picture=$(field tokens)
expect 0 "$vl2" ask -m "$model" --image "$picture" -p "<image>
$question" -n 4 --json
same "answer with the tag written" "$(field tokens)" "$with_picture"
expect 0 "$vl2" ask -m "$model" --image "$picture" --image "$pictures/odd/gray.jpg" \
    -p "First <image> second <image>" -n 2 --json
same "two pictures" "$(field 'images#')" 2
expect_error 4 '2 <image>.*1 picture' "$vl2" ask -m "$model" --image "$picture" -p '<image> <image>'
expect_error 4 '1 <image>.*2 pictures' "$vl2" ask -m "$model" --image "$picture" --image "$picture" -p '<image>'
expect_error 4 '1 <image>.*0 pictures' "$vl2" ask -m "$model" -p '<image>'

# Progress, only when asked for here.
expect 0 "$vl2" ask -m "$model" --image "$picture" -p "$question" -n 4 --progress
error_has 'tile [0-9]+/[0-9]+'
error_has 'reading the prompt: 100%'
error_has 'tokens/s'
expect 0 "$vl2" ask -m "$model" -p "$question" -n 4 -v
error_has '^\[prompt [0-9]+ tokens.*answer [0-9]+ tokens'

# Pictures and other input that cannot be used.
expect_error 4 'missing.png' "$vl2" ask -m "$model" --image "$work/missing.png" -p x
expect_error 4 'not_an_image.png' "$vl2" ask -m "$model" --image "$pictures/odd/not_an_image.png" -p x
expect_error 4 'truncated.jpg' "$vl2" ask -m "$model" --image "$pictures/odd/truncated.jpg" -p x
expect_error 4 'truncated.png' "$vl2" ask -m "$model" --image "$pictures/odd/truncated.png" -p x
expect_error 4 'empty.jpg' "$vl2" ask -m "$model" --image "$pictures/odd/empty.jpg" -p x
expect_error 4 'max-pixels' "$vl2" ask -m "$model" --image "$picture" -p x --max-pixels 100
expect_error 4 "$work: " "$vl2" ask -m "$model" --image "$work" -p x
expect_error 4 'missing.txt' "$vl2" ask -m "$model" -f "$work/missing.txt"
expect_error 4 'cannot be read' "$vl2" ask -m "$model" -f "$work"
expect_error 4 'context.*-c' "$vl2" ask -m "$model" --image "$picture" -p x -c 64
error_has 421
expect_error 4 'missing.json' "$vl2" ask -m "$model" --conversation "$work/missing.json"
for bad in '' '{' '{}' '[]' '[3]' '[{"role":"user"}]' '[{"role":"User","content":"x"}]' \
    '[{"role":"user","content":"<image>"}]' \
    '[{"role":"user","content":"<image>","images":["missing.png"]}]' \
    '[{"role":"user","content":3}]' '[{"role":"assistant","content":"<image>"}]'; do
    printf '%s' "$bad" > "$work/bad.json"
    expect_error 4 . "$vl2" ask -m "$model" --conversation "$work/bad.json"
done
expect 0 "$vl2" ask -m "$model" --image "$pictures/odd/px_1x1.png" -p x -n 1
expect 0 "$vl2" ask -m "$model" --image "$pictures/odd/line_1x5000.png" -p x -n 1

# A follow-up to a conversation file, with a picture beside the file.
cp "$picture" "$work/beside.png"
cat > "$work/turns.json" << 'END'
[{"role": "<|User|>", "content": "<image>\nWhat?", "images": ["beside.png"]},
 {"role": "<|Assistant|>", "content": "A thing."}]
END
expect 0 "$vl2" ask -m "$model" --conversation "$work/turns.json" -p "And now?" -n 4 --json
same "pictures of the file" "$(field 'images#')" 1

# The context fills up: the answer ends, and that is no error.
expect 0 "$vl2" ask -m "$model" -p x -c 32 -n -1 --ignore-eos --json
same "finish in a full context" "$(field finish_reason)" context

# A signal ends a long answer with 130, and what had come stays.
"$vl2" ask -m "$model" -p x -n -1 --ignore-eos > "$work/long" 2> "$work/err" &
job=$!
tries=0
while test ! -s "$work/long" && test "$tries" -lt 100; do
    sleep 0.1
    tries=$((tries + 1))
done
kill -TERM "$job" 2> /dev/null
code=0
wait "$job" || code=$?
if test "$code" -ne 0; then # 0: this machine was faster than the signal
    same "exit code of an interrupted answer" "$code" 130
fi
finish
