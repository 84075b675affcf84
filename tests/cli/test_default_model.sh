#!/bin/sh
# Without -m the demo model answers, and says so.
. "$top_srcdir/tests/cli/lib.sh"
demo=$top_srcdir/examples/demo-model/demo.vl2
samples=$top_srcdir/examples/demo-model/samples
export VL2_DEMO_MODEL="$demo"
question="What colour is the heart?"
note="no -m: using the demo model $demo, which knows only drawn shapes and numbers"

expect 0 "$vl2" ask --image "$samples/one.png" -p "$question"
same "note" "$(cat "$work/err")" "vl2 ask: $note"
cp "$work/out" "$work/without"
expect 0 "$vl2" ask -m "$demo" --image "$samples/one.png" -p "$question"
same "note with -m" "$(cat "$work/err")" ""
cmp "$work/out" "$work/without" || failed "another answer without -m"
expect 0 "$vl2" ask -q --image "$samples/one.png" -p "$question"
same "note with --quiet" "$(cat "$work/err")" ""
cmp "$work/out" "$work/without" || failed "another answer with --quiet"

# JSON is whole, and names the model.
expect 0 "$vl2" ask --json --image "$samples/one.png" -p "$question"
same "model" "$(field model)" "$demo"
same "note with --json" "$(cat "$work/err")" "vl2 ask: $note"
expect 0 "$vl2" info --json
same "info" "$(field parameters.total)" "$("$vl2" info --json "$demo" | "$json_field" parameters.total)"
same "note of info" "$(cat "$work/err")" "vl2 info: $note"
expect 0 "$vl2" ground --image "$samples/one.png" "the heart"
error_has "^vl2 ground: no -m"
echo "$question" > "$work/typed"
expect 0 "$vl2" chat --image "$samples/one.png" < "$work/typed"
same "chat" "$(cat "$work/out")" "$(cat "$work/without")"
error_has "^vl2 chat: no -m"
echo '{"id": 1, "question": "<image>Hm?", "images": ["'"$samples"'/one.png"], "answer": "x", "kind": "exact"}' \
    > "$work/tasks.jsonl"
expect 0 "$vl2" eval --tasks "$work/tasks.jsonl" --json
same "model of eval" "$(field model)" "$demo"
error_has "^vl2 eval: no -m"

# Whoever names a model gets that one.
expect_error 3 'nonexistent/named' env VL2_MODEL=/nonexistent/named "$vl2" ask -p x
expect_error 3 'nonexistent/named' "$vl2" info /nonexistent/named
# What looks into a model, or makes something of it, has to be told which.
for command in tokenize trace tiles calibrate bench pack; do
    expect 2 "$vl2" "$command" < /dev/null
done
# Nothing there: the plain error.
expect_error 2 'no model: .*-m MODEL or in VL2_MODEL' env VL2_DEMO_MODEL=/nonexistent "$vl2" ask -p x
expect_error 2 'no model: .*VL2_MODEL' env VL2_DEMO_MODEL=/nonexistent "$vl2" info
expect 0 env VL2_DEMO_MODEL= "$vl2" --version
finish
