#!/bin/sh
# vl2 tokenize: there and back again.
. "$top_srcdir/tests/cli/lib.sh"
reduced=$top_srcdir/tests/data/text/reduced-128k.json
cp "$reduced" "$work/tokenizer.json"
cp "$pictures/processor_config.json" "$work"
tokenizer=$work/tokenizer.json

round_trip() { # the bytes in $work/text
    expect 0 "$vl2" tokenize -m "$tokenizer" < "$work/text"
    cp "$work/out" "$work/ids"
    expect 0 "$vl2" tokenize -m "$tokenizer" --decode < "$work/ids"
    cmp -s "$work/out" "$work/text" || failed "round trip of $(head -c 60 "$work/text")"
}

for text in 'Hello, world!' '' ' ' 'a  b
c' 'über Äpfel 中文 かな 🙂' "it's 12345 <|ref|>x<|/ref|>" '-n' '\n %s'; do
    printf '%s' "$text" > "$work/text"
    round_trip
done
printf 'a\000b\000\000' > "$work/text"
round_trip

# A folder does as well as the file.
printf 'Hello' > "$work/text"
expect 0 "$vl2" tokenize -m "$work" < "$work/text"
cp "$work/out" "$work/ids"
expect 0 "$vl2" tokenize -m "$tokenizer" < "$work/text"
cmp -s "$work/ids" "$work/out" || failed "folder and file differ"
output_has '^[0-9]+( [0-9]+)*$'

# JSON, both ways.
printf '%s\n' '["Hello", "", "a\u0000b", "<|ref|>é\n"]' > "$work/list"
expect 0 "$vl2" tokenize -m "$tokenizer" --json < "$work/list"
same "elements" "$(field '#')" 4
same "ids of nothing" "$(field 1)" '[]'
same "ids" "$(field 0 | tr -d '[]' | tr , ' ')" "$(cat "$work/ids")"
cp "$work/out" "$work/ids.json"
expect 0 "$vl2" tokenize -m "$tokenizer" --json --decode < "$work/ids.json"
same "texts" "$(cat "$work/out")" '["Hello","","a\u0000b","<|ref|>é\n"]'
expect 0 "$vl2" tokenize -m "$tokenizer" --json --decode --skip-special < "$work/ids.json"
same "text without special tokens" "$(cat "$work/out")" '["Hello","","a\u0000b","é\n"]'

# A folder that has nothing but the tokenizer has the reference's special tokens.
mkdir "$work/bare"
cp "$tokenizer" "$work/bare/tokenizer.json"
printf '<image><|grounding|>' > "$work/text"
expect 0 "$vl2" tokenize -m "$work/bare" < "$work/text"
same "special tokens" "$(wc -w < "$work/out" | tr -d ' ')" 2
echo '{}' > "$work/bare/processor_config.json"
expect_error 3 'candidate_resolutions' "$vl2" tokenize -m "$work/bare" < "$work/text"

# Control characters stay what they are in a pipe, and do not reach a terminal.
printf '\033[31m\302\233red\tand\177' > "$work/text"
expect 0 "$vl2" tokenize -m "$tokenizer" < "$work/text"
cp "$work/out" "$work/ids"
expect 0 "$vl2" tokenize -m "$tokenizer" --decode < "$work/ids"
cmp -s "$work/out" "$work/text" || failed "control characters changed in a pipe"
if command -v script > /dev/null; then
    export vl2 tokenizer work
    script -qec '"$vl2" tokenize -m "$tokenizer" --decode < "$work/ids"' /dev/null \
        < /dev/null > "$work/out" 2>&1
    bad=$(printf '\357\277\275')
    same "text on a terminal" "$(tr -d '\r' < "$work/out")" "$(printf "$bad[31m${bad}red\tand$bad")"
fi

# Bad input.
printf 'x' > "$work/text"
echo '1 two 3' > "$work/bad"
expect_error 4 'found "two"' "$vl2" tokenize -m "$tokenizer" --decode < "$work/bad"
echo '99999999' > "$work/bad"
expect_error 4 '99999999' "$vl2" tokenize -m "$tokenizer" --decode < "$work/bad"
echo '-5' > "$work/bad"
expect_error 4 'expected token ids' "$vl2" tokenize -m "$tokenizer" --decode < "$work/bad"
printf '%s\n' '["a", 3]' > "$work/bad"
expect_error 4 'expected a JSON array of strings' "$vl2" tokenize -m "$tokenizer" --json < "$work/bad"
expect_error 4 'arrays of ids' "$vl2" tokenize -m "$tokenizer" --json --decode < "$work/bad"
printf '%s\n' '{"a": 3}' > "$work/bad"
expect_error 4 'expected an array' "$vl2" tokenize -m "$tokenizer" --json < "$work/bad"
printf '%s\n' '["a"' > "$work/bad"
expect_error 4 'line [12]: .*expected a JSON array' "$vl2" tokenize -m "$tokenizer" --json < "$work/bad"
expect_error 3 '/nonexistent' "$vl2" tokenize -m /nonexistent < "$work/text"
printf '%s\n' '{}' > "$work/broken.json"
expect_error 3 'broken.json' "$vl2" tokenize -m "$work/broken.json" < "$work/text"
printf '{"model": ' > "$work/broken.json"
expect_error 3 'broken.json' "$vl2" tokenize -m "$work/broken.json" < "$work/text"
expect_error 4 'standard input: cannot be read' "$vl2" tokenize -m "$tokenizer" < "$work"
finish
