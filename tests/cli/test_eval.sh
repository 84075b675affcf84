#!/bin/sh
# vl2 eval: scores, several sessions, going on after an interruption, refusals.
. "$top_srcdir/tests/cli/lib.sh"
need_model
mkdir "$work/set"
cp "$pictures/tiny_40x28.png" "$work/set/a.png"
cp "$pictures/odd/gray.jpg" "$work/set/b.jpg"

# What the model answers is only known after asking it: the right answers are made of that.
answer() { # question picture...
    question=$1
    shift
    images=
    for picture; do
        images="$images --image $work/set/$picture"
    done
    # shellcheck disable=SC2086
    "$vl2" ask -m "$model" -n 6 --json $images -p "$question" > "$work/out"
    sed -E 's/^\{"answer":("([^"\\]|\\.)*").*/\1/' "$work/out"
}
first=$(answer 'What is this?')
second=$(answer 'How many?' a.png)
third=$(answer 'First <image> second <image>' a.png b.jpg)
tasks=$work/set/tasks.jsonl
cat > "$tasks" << END
{"id": "right", "question": "What is this?", "answer": ["nothing", $first], "kind": "exact", "group": "text"}
{"id": "wrong", "question": "What is this?", "answer": "nothing like it", "kind": "exact", "group": "text"}

{"id": 3, "images": ["a.png"], "question": "How many?", "answer": $second, "kind": "anls", "group": "picture"}
{"id": "two", "images": ["a.png", "b.jpg"], "question": "First <image> second <image>", "answer": $third, "kind": "exact"}
{"id": "number", "images": ["a.png"], "question": "How many?", "answer": 31337, "kind": "number", "group": "picture"}
{"id": "box", "images": ["b.jpg"], "question": "<|ref|>it<|/ref|>.", "boxes": [[1, 2, 10, 12]], "kind": "box"}
{"id": "no box", "images": ["b.jpg"], "question": "<|ref|>it<|/ref|>.", "boxes": [], "kind": "box"}
{"id": "turns", "conversation": [{"role": "user", "content": "<image>What?", "images": ["a.png"], "answer": "x", "kind": "exact"}, {"role": "assistant", "content": ""}, {"role": "user", "content": "Why?"}], "answer": "B", "choices": {"A": "red", "B": "blue"}, "kind": "choice", "group": "talk"}
{"id": "given", "conversation": [{"role": "user", "content": "Where are you?"}, {"role": "assistant", "content": "Nowhere."}, {"role": "user", "content": "Why?"}], "answer": "A", "kind": "choice"}
END
run() {
    "$vl2" eval -m "$model" --tasks "$tasks" -n 6 "$@"
}
# Times are never the same twice.
without_times() {
    sed 's/,"seconds":[-+.e0-9]*//g' "$@"
}

expect 0 run --json
same "tasks" "$(field tasks)" 9
same "done" "$(field done)" 9
same "failed" "$(field failed)" 0
same "questions" "$(field all.questions)" 10
same "exact" "$(field kinds.exact.score)" 0.5
same "anls" "$(field kinds.anls.score)" 1
same "number" "$(field kinds.number.score)" 0
same "boxes" "$(field kinds.box.questions)" 2
same "group of text" "$(field groups.text.score)" 0.5
same "group of two kinds" "$(field groups.picture.score)" 0.5
same "group of a conversation" "$(field groups.talk.questions)" 2
same "order" "$(field results.2.id)" 3
same "expected" "$(field results.1.turns.0.expected)" "nothing like it"
same "sizes" "$(field results.3.sizes.0)" "[40,28]"
same "turns" "$(field results.7.turns#)" 2
same "given answers are not asked" "$(field results.8.turns#)" 1
case $(field results.0.turns.0.finish_reason) in
end | length) ;;
*) failed "finish_reason $(field results.0.turns.0.finish_reason)" ;;
esac
case $(field results.5.turns.0.found) in
'[]') same "no box where none is" "$(field results.6.turns.0.score)" 1 ;;
esac
without_times "$work/out" > "$work/once"

# The follow-up has the model's own answer before it, as in a chat.
what=$(field results.7.turns.0.answer)
why=$(field results.7.turns.1.answer)
printf '/image %s\n<image>What?\nWhy?\n' "$work/set/a.png" > "$work/typed"
expect 0 "$vl2" chat -m "$model" -n 6 < "$work/typed"
same "answers of a chat" "$(cat "$work/out")" "$what
$why"

# The answers are the same with several sessions, other numbers of threads, and one by one.
expect 0 run --json --jobs 2 -t 3
without_times "$work/out" | cmp -s - "$work/once" || failed "other results with --jobs 2"
expect 0 run --json --jobs 64 -t 1
without_times "$work/out" | cmp -s - "$work/once" || failed "other results with --jobs 64"
results=$work/results.jsonl
for limit in 1 3 4 9; do
    expect 0 run --json --limit $limit -o "$results" --restart
    same "lines of --limit $limit" "$(wc -l < "$results" | tr -d ' ')" $limit
    same "done of --limit $limit" "$(field 'results#')" $limit
done
without_times "$work/out" | cmp -s - "$work/once" || failed "other results with --output"

# As a table.
expect 0 run
output_has '^.*tasks.jsonl: 9 of 9 tasks$'
output_has '^kind   exact  +4 +50.00 %$'
output_has '^kind   box  +2 +[0-9.]+ % +[0-9.]+ % +[0-9.]+$'
output_has '^group  picture  +2 +50.00 %$'
output_has '^       all  +10 '
test ! -s "$work/err" || failed "standard error is not empty where it is no terminal"
expect 0 run --progress -v -j 2
error_has 'task 9 of 9, score [0-9.]+ %, '
error_has '^\[9 tasks answered, 0 kept from before: '

# Going on: half of a file, with a torn last line, gives the whole; nothing is asked twice.
head -n 4 "$results" > "$work/half.jsonl"
printf '{"id":"number","mod' >> "$work/half.jsonl"
expect 0 run --json -o "$work/half.jsonl" -v
error_has '^\[5 tasks answered, 4 kept from before: '
without_times "$work/out" | cmp -s - "$work/once" || failed "other results after going on"
without_times "$results" > "$work/a"
without_times "$work/half.jsonl" | cmp -s - "$work/a" || failed "other lines after going on"
cp "$work/half.jsonl" "$work/again.jsonl"
expect 0 run --json -o "$work/again.jsonl" -v
error_has '^\[0 tasks answered, 9 kept from before: '
cmp -s "$work/half.jsonl" "$work/again.jsonl" || failed "lines for tasks that were there"
without_times "$work/out" | cmp -s - "$work/once" || failed "other results from the file alone"

# Another right answer is judged again, another question is asked again.
sed 's/nothing like it/wrong/; s/"How many?", "answer": 31337/"How much?", "answer": 31337/' "$tasks" > "$work/set/changed.jsonl"
expect 0 "$vl2" eval -m "$model" --tasks "$work/set/changed.jsonl" -n 6 -o "$work/again.jsonl" --json -v
error_has '^\[1 task answered, 8 kept from before: '
same "new expectation" "$(field results.1.turns.0.expected)" wrong
same "lines" "$(wc -l < "$work/again.jsonl" | tr -d ' ')" 10

# A signal ends a run with what is finished.
i=0
while test $i -lt 400; do
    echo "{\"id\": $i, \"images\": [\"a.png\"], \"question\": \"Question $i?\", \"answer\": \"x\", \"kind\": \"exact\"}"
    i=$((i + 1))
done > "$work/set/many.jsonl"
many() {
    "$vl2" eval -m "$model" --tasks "$work/set/many.jsonl" -n 2 -o "$work/many.out" "$@"
}
rm -f "$work/many.out"
"$vl2" eval -m "$model" --tasks "$work/set/many.jsonl" -n 2 -o "$work/many.out" --jobs 2 --json > "$work/out" 2> "$work/err" &
job=$!
tries=0
while test ! -s "$work/many.out" && test "$tries" -lt 200; do
    sleep 0.05
    tries=$((tries + 1))
done
kill -TERM "$job" 2> /dev/null
code=0
wait "$job" || code=$?
if test "$code" -ne 0; then # 0: this machine was faster than the signal
    same "exit code of an interrupted run" "$code" 130
    error_has '^vl2 eval: interrupted, [0-9]+ of 400 tasks are done; the same command goes on$'
    lines=$(wc -l < "$work/many.out" | tr -d ' ')
    same "finished tasks" "$(field done)" "$lines"
    same "last byte" "$(tail -c 1 "$work/many.out" | od -An -tx1 | tr -d ' ')" 0a
    expect 0 many --limit $((lines + 3)) -v
    error_has "^\[[0-9]+ tasks? answered, [1-9][0-9]* kept from before: "
fi

# Half an answer is none: what was interrupted is asked again, and all is as without a signal.
i=0
while test $i -lt 8; do
    echo "{\"id\": $i, \"question\": \"Question $i?\", \"answer\": \"x\", \"kind\": \"exact\"}"
    i=$((i + 1))
done > "$work/set/long.jsonl"
"$vl2" eval -m "$model" --tasks "$work/set/long.jsonl" -n 2000 -o "$work/long.out" -j 2 > "$work/out" 2> "$work/err" &
job=$!
tries=0
while test ! -s "$work/long.out" && test "$tries" -lt 600; do
    sleep 0.05
    tries=$((tries + 1))
done
kill -INT "$job" 2> /dev/null
kill -TERM "$job" 2> /dev/null # INT is ignored in the background of some shells
code=0
wait "$job" || code=$?
test "$code" -eq 0 || same "exit code of an interrupted run" "$code" 130
! grep -q '"cancelled"' "$work/long.out" || failed "half an answer in the results"
expect 0 "$vl2" eval -m "$model" --tasks "$work/set/long.jsonl" -n 2000 -o "$work/long.out"
expect 0 "$vl2" eval -m "$model" --tasks "$work/set/long.jsonl" -n 2000 -o "$work/whole.out"
without_times "$work/long.out" | sort > "$work/a"
without_times "$work/whole.out" | sort | cmp -s - "$work/a" || failed "other answers after an interruption"

# A task that cannot be answered does not end the others.
sed 's/b.jpg/broken.jpg/' "$tasks" > "$work/set/broken.jsonl"
cp "$pictures/odd/truncated.jpg" "$work/set/broken.jpg"
broken() {
    "$vl2" eval -m "$model" --tasks "$work/set/broken.jsonl" -n 6 -o "$work/broken.out" --json
}
expect 4 broken
error_has '^vl2 eval: 3 tasks cannot be answered; .*broken.jsonl:5: .*broken.jpg'
same "failed" "$(field failed)" 3
same "failed questions" "$(field kinds.box.failed)" 2
same "score of what failed" "$(field kinds.box.score)" 0
same "done" "$(field done)" 9
field results.5.error > /dev/null || failed "no error in the result"
cp "$work/set/b.jpg" "$work/set/broken.jpg" # and is asked again when it can be
expect 0 broken
same "failed" "$(field failed)" 0
expect 4 run -c 64
error_has 'the context of 64'

# Everything that can be wrong before any work.
expect_error 2 'no tasks' "$vl2" eval -m "$model"
expect_error 2 'no model' env VL2_DEMO_MODEL=/nonexistent "$vl2" eval --tasks "$tasks"
expect_error 2 'restart needs' run --restart
expect_error 2 'one word too many' run more
expect_error 3 nonexistent "$vl2" eval -m /nonexistent --tasks "$tasks"
expect_error 4 'missing.jsonl: cannot be opened' "$vl2" eval -m "$model" --tasks "$work/missing.jsonl"
sed 's/a.png/none.png/' "$tasks" > "$work/set/bad.jsonl"
expect_error 4 'bad.jsonl:4: images: .*/set/none.png cannot be read: No such file' \
    "$vl2" eval -m "$model" --tasks "$work/set/bad.jsonl" -o "$work/bad.out"
test ! -e "$work/bad.out" || failed "a file of results after a bad task"
sed 's/"kind": "number"/"kind": "count"/' "$tasks" > "$work/set/bad.jsonl"
expect_error 4 'bad.jsonl:6: kind: found "count", expected "exact", ' \
    "$vl2" eval -m "$model" --tasks "$work/set/bad.jsonl"
expect_error 2 'has the tasks' run -o "$tasks"
expect_error 2 'has the tasks' run -o "$tasks" --restart
same "tasks" "$(wc -l < "$tasks" | tr -d ' ')" 10
expect_error 1 'no/such/results: cannot be written' run -o "$work/no/such/results"
expect_error 2 'no regular file' run -o /dev/null
expect_error 2 'results.jsonl:1: options: found -n 6 --kv-type f32, expected -n 7 .*--restart' \
    "$vl2" eval -m "$model" --tasks "$tasks" -n 7 -o "$results"
sed 's/"model":"[^"]*"/"model":"other"/' "$results" > "$work/other.out"
expect_error 2 'other.out:1: model: found "other", expected "' run -o "$work/other.out"
echo 'something' > "$work/other.out"
expect_error 2 'other.out:1: result: found no JSON' run -o "$work/other.out"
printf 'something' > "$work/other.out"
expect_error 2 'other.out:1: result: found something else' run -o "$work/other.out"
same "a file of others" "$(cat "$work/other.out")" something
echo '{"id":"right"}' > "$work/other.out"
expect_error 2 'other.out:1: result: found something else' run -o "$work/other.out"

# A disk that is full ends the run, and what is whole stays.
code=0
(
    ulimit -f 1
    "$vl2" eval -m "$model" --tasks "$work/set/many.jsonl" --limit 40 -n 2 -o "$work/full.out"
) > "$work/out" 2> "$work/err" || code=$?
same "exit code of a full disk" "$code" 1
error_has 'full.out: cannot be written: '
expect 0 "$vl2" eval -m "$model" --tasks "$work/set/many.jsonl" --limit 5 -n 2 -o "$work/full.out"
finish
