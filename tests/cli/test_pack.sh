#!/bin/sh
# vl2 pack: from a folder to a file and back, the plan, and what can go wrong.
. "$top_srcdir/tests/cli/lib.sh"
need_model
file=$work/x.vl2

# Every preset gives a file that is whole and that answers.
for quant in bf16 int8 int6 int4 mixed; do
    expect 0 "$vl2" pack "$model" -o "$file" --quant "$quant" -t 2 -y
    test ! -s "$work/out" || failed "$quant: something on standard output"
    test ! -s "$work/err" || failed "$quant: something on standard error: $(cat "$work/err")"
    same "files beside the packed one" "$(ls "$work" | grep part)" ""
    expect 0 "$vl2" verify "$file"
    expect 0 "$vl2" ask -m "$file" -p Hello -n 2
done

# bf16 there and back, and once more: nothing changes.
expect 0 "$vl2" pack -m "$model" -o "$work/bf16.vl2" --quant bf16
expect 0 "$vl2" unpack "$work/bf16.vl2" -o "$work/back"
expect 0 "$vl2" pack "$work/back" -o "$work/again.vl2" --quant bf16
expect 0 "$vl2" unpack "$work/again.vl2" -o "$work/back2"
cmp "$work/back/model.safetensors" "$work/back2/model.safetensors" || failed "weights changed"
same "tensors" "$("$vl2" info "$work/back" --json | "$json_field" tensors)" "$("$vl2" info "$model" --json | "$json_field" tensors)"
for name in config.json processor_config.json tokenizer.json; do
    cmp "$model/$name" "$work/back/$name" || failed "$name is not what it was"
done

# Equal bytes from any number of threads.
for threads in 1 3; do
    expect 0 "$vl2" pack "$model" -o "$work/$threads.vl2" -t "$threads"
done
cmp "$work/1.vl2" "$work/3.vl2" || failed "threads change the bytes"

# The plan; nothing is written.
expect 0 "$vl2" pack "$model" --dry-run -o "$work/none.vl2"
output_has '^experts .* int4-codebook$'
output_has '^router .* 32\.000  f32$'
output_has '^file +about [0-9.]+ MiB'
output_has 'with all weights resident'
test ! -e "$work/none.vl2" || failed "the plan was written"
expect 0 "$vl2" pack "$model" --dry-run --json --type experts=int8-row --type '*lm_head*=f32'
same "planned" "$(field estimated)" true
for group in 0 1 2 3 4 5 6 7 8; do
    case $(field "groups.$group.name") in
    experts) same "experts" "$(field "groups.$group.types")" int8-row ;;
    head) same "head" "$(field "groups.$group.types")" f32 ;;
    esac
done

# What is there stays there.
echo mine > "$work/mine.vl2"
expect_error 2 'mine.vl2: found a file.*; -y overwrites it' "$vl2" pack "$model" -o "$work/mine.vl2"
same "the file that was there" "$(cat "$work/mine.vl2")" mine
expect_error 2 'experts=int8$|matrices only$' "$vl2" pack "$model" -o "$work/mine.vl2" --type norms=int8
expect 0 "$vl2" pack "$model" -o "$work/mine.vl2" -y
cmp "$work/1.vl2" "$work/mine.vl2" || failed "overwritten with something else"

# No space left: the work stays, and goes on.
if (ulimit -f 1000 && dd if=/dev/zero of="$work/big" bs=1048576 count=2) 2> /dev/null; then
    echo "no limit on file sizes here: not tested"
else
    (
        ulimit -f 1000
        exec "$vl2" pack "$model" -o "$work/cut.vl2"
    ) > "$work/out" 2> "$work/err" && failed "more was written than the limit"
    error_has 'cut.vl2.part: writing failed: .*; the same command with --resume goes on$'
    test ! -e "$work/cut.vl2" || failed "half a file has the name of a whole one"
    expect_error 3 'cut.vl2.part' "$vl2" info "$work/cut.vl2.part"
    expect_error 2 'other options' "$vl2" pack "$model" -o "$work/cut.vl2" --resume --quant int6
    expect 0 "$vl2" pack "$model" -o "$work/cut.vl2" --resume
    cmp "$work/1.vl2" "$work/cut.vl2" || failed "resumed to other bytes"
    same "files of the unfinished work" "$(ls "$work" | grep part)" ""
fi
rm -f "$work/big"

# Wrong words.
expect_error 2 'no model' "$vl2" pack -o "$work/y.vl2"
expect_error 2 'nowhere to write' "$vl2" pack "$model"
expect_error 2 'int5' "$vl2" pack "$model" -o "$work/y.vl2" --quant int5
expect_error 2 'expert=int8.*no tensor' "$vl2" pack "$model" -o "$work/y.vl2" --type expert=int8
expect_error 2 'head=int3.*found "int3"' "$vl2" pack "$model" -o "$work/y.vl2" --type head=int3
expect_error 2 'PATTERN=TYPE' "$vl2" pack "$model" -o "$work/y.vl2" --type head
expect_error 3 'none.safetensors' "$vl2" pack "$model" -o "$work/y.vl2" --importance "$work/none.safetensors"
expect_error 3 'adapter_config.json' "$vl2" pack "$model" -o "$work/y.vl2" --lora "$work"
expect_error 3 'expected a folder' "$vl2" pack "$file" -o "$work/y.vl2"
expect_error 3 "$work/none" "$vl2" pack "$work/none" -o "$work/y.vl2"
expect_error 1 'none/y.vl2.part' "$vl2" pack "$model" -o "$work/none/y.vl2"
test ! -e "$work/y.vl2" || failed "written after an error"
finish
