#!/bin/sh
# vl2 unpack: a folder that is a checkpoint, what can go wrong, and what is left then.
. "$top_srcdir/tests/cli/lib.sh"
file=$work/x.vl2
"$top_builddir/tests/cli/make_pack" sample "$file" > "$work/frames" || failed "make_pack"

# dtype NAME FOLDER: the data type of a tensor.
dtype() {
    tail -c +9 "$2/model.safetensors" | head -c "$(od -An -tu8 -N 8 "$2/model.safetensors" | tr -d ' ')" > "$work/header"
    grep -o "\"$1\": *{\"dtype\":\"[A-Z0-9]*\"" "$work/header" | sed 's/.*:"//; s/"//'
}

expect 0 "$vl2" unpack "$file" -o "$work/one" -t 1
test ! -s "$work/out" || failed "something on standard output"
test ! -s "$work/err" || failed "something on standard error: $(cat "$work/err")"
same "files" "$(ls "$work/one" | tr '\n' ' ')" "config.json model.safetensors processor_config.json tokenizer.json "
same "config.json" "$(cat "$work/one/config.json")" '{"model_type": "deepseek_vl_v2"}'
same "type of f32" "$(dtype unused.number "$work/one")" F32
same "type of f16" "$(dtype vision.patch_embed.proj.weight "$work/one")" F16
same "type of int4" "$(dtype language.model.layers.1.mlp.experts.1.up_proj.weight "$work/one")" BF16
expect 0 "$vl2" unpack "$file" -o "$work/three" -t 3 --progress
error_has '100%'
cmp "$work/one/model.safetensors" "$work/three/model.safetensors" || failed "threads change the bytes"

expect 0 "$vl2" unpack "$file" -o "$work/f32" --type f32
same "type of f16 with --type f32" "$(dtype vision.patch_embed.proj.weight "$work/f32")" F32
expect 0 "$vl2" unpack "$file" -o "$work/bf16" --type bf16
same "type of f32 with --type bf16" "$(dtype unused.number "$work/bf16")" BF16

# What is there stays there.
expect_error 2 "one: found .*; -y overwrites it" "$vl2" unpack "$file" -o "$work/one"
echo old > "$work/one/config.json"
expect 0 "$vl2" unpack "$file" -o "$work/one" -y
same "config.json" "$(cat "$work/one/config.json")" '{"model_type": "deepseek_vl_v2"}'
: > "$work/plain"
expect_error 1 "$work/plain" "$vl2" unpack "$file" -o "$work/plain"

# A damaged part: nothing is left, nor is a folder that was made for it.
offset=$(tail -n 1 "$work/frames" | cut -d ' ' -f 3)
printf '\377' | dd of="$file" bs=1 seek="$offset" conv=notrunc 2> /dev/null
expect_error 3 "layer 2, row-scales of .* at offset $offset: found checksum" "$vl2" unpack "$file" -o "$work/new"
test ! -e "$work/new" || failed "left after an error: $(ls -R "$work/new")"
mkdir "$work/mine"
: > "$work/mine/notes"
expect_error 3 "found checksum" "$vl2" unpack "$file" -o "$work/mine"
same "what is left" "$(ls "$work/mine")" notes
expect_error 3 'not a regular file' "$vl2" unpack "$work" -o "$work/new"
expect_error 3 'none.vl2: cannot be opened' "$vl2" unpack "$work/none.vl2" -o "$work/new"
finish
