#!/bin/sh
# vl2 synth: what can go wrong, and with VL2_TEST_SYNTH_FULL set (6.3 GiB of disk) a whole checkpoint.
. "$top_srcdir/tests/cli/lib.sh"
: > "$work/file"
expect_error 1 "$work/file" "$vl2" synth --size tiny -o "$work/file"
expect_error 1 "$work/file" "$vl2" synth --size tiny -o "$work/file/below"
mkdir "$work/there"
echo '{}' > "$work/there/config.json"
expect_error 2 "there.*-y" "$vl2" synth --size tiny -o "$work/there"
same "the checkpoint that was there" "$(cat "$work/there/config.json")" '{}'
if test "$(ls "$work/there")" != config.json; then
    failed "files beside the checkpoint that was there: $(ls "$work/there")"
fi

# Interrupted: 130, and nothing is left.
"$vl2" synth --size tiny -o "$work/cut" > "$work/out" 2> "$work/err" &
job=$!
tries=0
while ! ls "$work"/cut/*.tmp-* > /dev/null 2>&1 && test "$tries" -lt 100; do
    sleep 0.1
    tries=$((tries + 1))
done
kill -TERM "$job" 2> /dev/null
code=0
wait "$job" || code=$?
same "exit code of an interrupted synth" "$code" 130
error_has 'interrupted'
test ! -e "$work/cut" || failed "left after an interrupted synth: $(ls -R "$work/cut")"

test -n "$VL2_TEST_SYNTH_FULL" || finish
expect 0 "$vl2" synth --size tiny -o "$work/tiny" --progress
error_has '100%'
expect 0 "$vl2" info "$work/tiny"
output_has '3\.[0-9]+ B'
expect 0 "$vl2" ask -m "$work/tiny" -p Hello -n 2
finish
