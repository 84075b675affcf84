#!/bin/sh
# The programs in examples/.
. "$top_srcdir/tests/cli/lib.sh"
need_model
examples=$top_builddir/examples

expect 2 "$examples/ask"
expect 0 "$examples/ask" "$model" "$pictures/tiny_40x28.png" 'What is this?'
output_has '421 of these for the picture'
expect 1 "$examples/ask" "$model" "$work/missing.png" x
error_has 'missing.png'

expect 0 "$examples/stream_cancel" "$model" 'Tell me a story.' 5
output_has 'cancelled after [0-9]+ tokens'

# Two sessions at once answer as one does alone.
expect 0 "$examples/two_sessions" "$model" 'One?' 'Two?'
cp "$work/out" "$work/both"
expect 0 "$examples/two_sessions" "$model" 'One?' 'One?'
same "first answer" "$(sed -n 2p "$work/out")" "$(sed -n 2p "$work/both")"
expect 0 "$vl2" ask -m "$model" -p 'One?' -n 16
same "answer of ask" "  $(head -n 1 "$work/out")" "$(sed -n 2p "$work/both")"
finish
