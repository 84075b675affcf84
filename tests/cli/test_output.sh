#!/bin/sh
# Output that cannot be written: exit code 1 and a reason, whatever the command; nothing half-written.
. "$top_srcdir/tests/cli/lib.sh"

to_full() { # command...: standard output on a full disk
    code=0
    "$@" > /dev/full 2> "$work/err" || code=$?
    same "exit code of $* > /dev/full" "$code" 1
    error_has 'standard output: .*(No space left|cannot be written)'
}
to_closed() { # command...: no standard output at all
    code=0
    "$@" >&- 2> "$work/err" || code=$?
    same "exit code of $* >&-" "$code" 1
    error_has 'standard output: '
}
printf 'x' > "$work/text"
tokenizer=$top_srcdir/tests/data/text/reduced-128k.json
if test -w /dev/full; then
    to_full "$vl2" --help
    to_full "$vl2" --version
    to_full "$vl2" --cpu
    to_full "$vl2" help ask
    to_full "$vl2" boxes --size 1x1 < "$work/text"
    to_full "$vl2" boxes --size 1x1 --json < "$work/text"
    to_full "$vl2" tokenize -m "$tokenizer" < "$work/text"
fi
to_closed "$vl2" --help
to_closed "$vl2" tokenize -m "$tokenizer" < "$work/text"

need_model
picture=$pictures/tiny_40x28.png
if test -w /dev/full; then
    to_full "$vl2" ask -m "$model" -p x -n 3
    to_full "$vl2" ask -m "$model" -p x -n 3 --json
    to_full "$vl2" info "$model"
    to_full "$vl2" tiles -m "$model" --image "$picture"
    to_full "$vl2" ground -m "$model" --image "$picture" -n 2 x
    to_full "$vl2" chat -m "$model" -n 3 < "$work/text"
fi
to_closed "$vl2" ask -m "$model" -p x -n 3

# A reader that goes away.
{
    code=0
    "$vl2" ask -m "$model" -p x -n -1 --ignore-eos 2> "$work/err" || code=$?
    echo "$code" > "$work/code"
} | head -c 1 > /dev/null
same "exit code with a closed pipe" "$(cat "$work/code")" 1
error_has 'standard output: .*Broken pipe'

# Files that grow no further: as on a full disk. The file that was there stays, and nothing else is left.
mkdir "$work/full"
echo before > "$work/full/drawn.png"
code=0
(
    ulimit -f 1
    "$vl2" ground -m "$model" --image "$pictures/odd/baseline_444.jpg" -n 1 x --draw "$work/full/drawn.png"
) > "$work/out" 2> "$work/err" || code=$?
same "exit code of a picture that does not fit" "$code" 1
error_has 'drawn.png.*: '
same "the picture from before" "$(cat "$work/full/drawn.png")" before
same "files left" "$(find "$work/full" -type f | wc -l | tr -d ' ')" 1
code=0
cp "$picture" "$work/picture.png"
echo '[{"role":"user","content":"<image>","images":["picture.png"]}]' > "$work/case.json"
(
    ulimit -f 1
    "$vl2" trace -m "$model" --conversation "$work/case.json" -o "$work/traced" -n 1
) > "$work/out" 2> "$work/err" || code=$?
same "exit code of a trace that does not fit" "$code" 1
same "unfinished files" "$(find "$work/traced" -name '*tmp*' 2> /dev/null | wc -l | tr -d ' ')" 0
finish
