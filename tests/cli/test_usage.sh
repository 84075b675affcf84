#!/bin/sh
# Wrong command lines: exit code 2, one line, with what to do.
. "$top_srcdir/tests/cli/lib.sh"
export VL2_DEMO_MODEL=/nonexistent/demo.vl2 # without -m there is no model

expect_error 2 'no command; see vl2 --help' "$vl2"
expect_error 2 'no command "aks" \(did you mean ask\?\)' "$vl2" aks
expect_error 2 'no command "tokenise" \(did you mean tokenize\?\)' "$vl2" tokenise
expect_error 2 'no command "xyzzy";' "$vl2" xyzzy
expect_error 2 'no command "grund" \(did you mean ground\?\)' "$vl2" help grund
expect_error 2 'no option --tmp \(did you mean --temp\?\)' "$vl2" ask --tmp 3
expect_error 2 'no option --draw here \(it belongs to: ground\)' "$vl2" ask --draw x
expect_error 2 'no option -x' "$vl2" ask -qx
expect_error 2 '--json takes no argument, found "1"' "$vl2" ask --json=1
expect_error 2 'one word too many: "b"' "$vl2" ask a b
expect_error 2 'no option --bogus' "$vl2" --bogus

# Numbers are read strictly, with their range in the message.
for bad in abc '' ' 1' 1x nan inf 0x1 1e999 -1 101; do
    expect_error 2 "vl2 ask: --temp: found \"$bad\", expected a number from 0 to 100" "$vl2" ask --temp "$bad"
done
for bad in abc '' 0 -2 1.5 99999999999999999999 +1; do
    expect_error 2 "^vl2 ask: -n: found" "$vl2" ask -n "$bad"
done
expect_error 2 'expected a whole number from 1 to 1000000, or -1' "$vl2" ask --predict=0
expect_error 2 'VL2_TOP_K: found "many", expected a whole number' env VL2_TOP_K=many "$vl2" ask -p x
expect_error 2 '--size: found "huge", expected one of tiny, small, base' "$vl2" synth --size huge -o x

# What a command cannot do without.
expect_error 2 'no question: give -p' "$vl2" ask -m x
expect_error 2 'no model: name a packed file or a checkpoint folder with -m MODEL or in VL2_MODEL' "$vl2" ask -p x
expect_error 2 'no model' env VL2_MODEL= "$vl2" chat
expect_error 2 'more than one of -p, -f' "$vl2" ask -m x -p a -f b
expect_error 2 'more than one of -p, -f' "$vl2" ask -m x -p a b
expect_error 2 '--image needs a question' "$vl2" ask -m x --conversation c.json --image a.png
expect_error 2 '--system and --conversation' "$vl2" ask -m x --conversation c.json -p x --system s
expect_error 2 'no picture: give --image' "$vl2" ground -m x "a cat"
expect_error 2 'nothing to look for' "$vl2" ground -m x --image a.png
expect_error 2 'no model' "$vl2" info
expect_error 2 'no model' "$vl2" tokenize
expect_error 2 'no picture' "$vl2" tiles -m x
expect_error 2 'no size' "$vl2" boxes
for bad in abc 640 640x 0x480 640x480x3 -1x5 1e3x4; do
    expect_error 2 '--size: found .*expected WIDTHxHEIGHT' "$vl2" boxes --size "$bad"
done
expect_error 2 'no file' "$vl2" verify
expect_error 2 'no file' "$vl2" unpack -o x
expect_error 2 'nowhere to write' "$vl2" unpack x.vl2
expect_error 2 '--type: found "int4", expected one of source, bf16, f32' "$vl2" unpack x.vl2 -o y --type int4
expect_error 2 'no conversation' "$vl2" trace -m x -o y
expect_error 2 'nowhere to write' "$vl2" trace -m x --conversation c.json
expect_error 2 'no size' "$vl2" synth -o x
expect_error 2 'nowhere to write' "$vl2" synth --size tiny

# The environment stands in for an option, and the command line comes before it.
expect_error 3 'from_environment' env VL2_MODEL=/nonexistent/from_environment "$vl2" ask -p x
expect_error 3 'from_words' env VL2_MODEL=/nonexistent/from_environment "$vl2" ask -m /nonexistent/from_words -p x
expect_error 3 'from_words' "$vl2" ask -p x -m/nonexistent/from_words
expect_error 3 'from_words' "$vl2" ask -p x --model=/nonexistent/from_words

# What succeeds.
expect 0 "$vl2" --version
output_has '^vl2 [0-9]+\.[0-9]+\.[0-9]+$'
expect 0 "$vl2" --help
output_has '^Usage: vl2 COMMAND'
expect 0 "$vl2" help
expect 0 "$vl2" ask --help
expect 0 "$vl2" ask -h
expect 0 "$vl2" --cpu
test -s "$work/out" || failed "--cpu says nothing"
expect 0 "$vl2" --cpu --json
test "$(field "#")" -gt 0 || failed "--cpu --json is no object"
finish
