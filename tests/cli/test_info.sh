#!/bin/sh
# vl2 info, and every way in which a checkpoint can be broken.
. "$top_srcdir/tests/cli/lib.sh"
need_model

expect 0 "$vl2" info "$model"
output_has '^parameters +[0-9.]+ [kMB], [0-9.]+ [kMB] active per token$'
output_has 'KV cache [0-9.]+ .?i?[Bb].* per token'
cp "$work/out" "$work/folder"
expect 0 "$vl2" info "$model/config.json"
cmp -s "$work/out" "$work/folder" || failed "config.json does not stand for its folder"
expect 0 env VL2_MODEL="$model" "$vl2" info
expect 0 "$vl2" info "$model" -v
lines=$(wc -l < "$work/out")
expect 0 "$vl2" info "$model" --json
same "layers" "$(field layers)" "$("$json_field" language_config.num_hidden_layers < "$model/config.json")"
same "hidden" "$(field hidden)" "$("$json_field" language_config.hidden_size < "$model/config.json")"
same "experts" "$(field experts)" "$("$json_field" language_config.n_routed_experts < "$model/config.json")"
test "$(field parameters)" -gt "$(field parameters_active)" || failed "all parameters are active"
test "$(field file_bytes)" -gt 1000000 || failed "file_bytes $(field file_bytes)"
unexpected=$(field 'unexpected#')
test "$lines" -gt "$unexpected" || failed "-v does not list the unexpected tensors"

# break_model: a copy in $work/broken with links to what is not changed.
break_model() {
    rm -rf "$work/broken"
    mkdir "$work/broken"
    for part in "$model"/*; do
        ln -s "$(cd "$model" && pwd)/${part##*/}" "$work/broken/${part##*/}"
    done
}
rewrite() { # file, sed command: the changed file in place of the link
    sed "$2" "$model/$1" > "$work/changed"
    cmp -s "$work/changed" "$model/$1" && failed "$1 has nothing that $2 changes"
    rm "$work/broken/$1"
    cp "$work/changed" "$work/broken/$1"
}
broken() { # pattern: all that need a model say so with exit code 3
    expect_error 3 "$1" "$vl2" info "$work/broken"
    expect_error 3 "$1" "$vl2" ask -m "$work/broken" -p x -n 1
}

expect_error 3 nonexistent "$vl2" info /nonexistent
expect_error 3 config.json "$vl2" info "$work"
: > "$work/file"
expect_error 3 file "$vl2" info "$work/file"

for file in config.json processor_config.json tokenizer.json; do
    break_model
    rm "$work/broken/$file"
    broken "$file"
    : > "$work/broken/$file"
    broken "$file"
    head -c 60 "$model/$file" > "$work/broken/$file"
    broken "$file"
    echo '[]' > "$work/broken/$file"
    broken "$file"
done
break_model
rewrite config.json 's/"tile_tag": *"2D"/"tile_tag": "1D"/'
broken 'tile_tag.*1D.*2D'
break_model
rewrite config.json 's/"model_type": *"deepseek_vl_v2"/"model_type": "llama"/'
broken 'model_type.*llama'
for value in 0 -3 999999999999 '"four"' 1.5; do
    break_model
    rewrite config.json "s/\"num_hidden_layers\": *[0-9]*/\"num_hidden_layers\": $value/"
    broken num_hidden_layers
done
break_model
rewrite config.json 's/"num_hidden_layers": *[0-9]*/"num_hidden_layers": 7/'
broken 'model.layers|layers.'
break_model
rewrite config.json 's/"hidden_size": *[0-9]*/"hidden_size": 96/'
broken 'found .*expected'

# Weights: cut off, absent, or not what they say.
weights=$(cd "$model" && find . -name '*.safetensors' | sort | tail -n 1)
weights=${weights#./}
break_model
rm "$work/broken/$weights"
broken safetensors
: > "$work/broken/$weights"
broken "$weights"
head -c 5 "$model/$weights" > "$work/broken/$weights"
broken "$weights"
head -c 1000 "$model/$weights" > "$work/broken/$weights"
broken "$weights"
size=$(wc -c < "$model/$weights")
head -c $((size - 1)) "$model/$weights" > "$work/broken/$weights"
broken "$weights"
{ printf '\377\377\377\377\377\377\377\177'; tail -c +9 "$model/$weights"; } > "$work/broken/$weights"
broken "$weights"
{ head -c 8 "$model/$weights"; tail -c +9 "$model/$weights" | LC_ALL=C sed '1s/"dtype":"BF16"/"dtype":"XF16"/'; } \
    > "$work/broken/$weights"
broken 'XF16'

# A packed file: groups with bytes and bits, for people and for programs.
expect 0 "$vl2" pack "$model" -o "$work/mixed.vl2" -q
expect 0 "$vl2" info "$work/mixed.vl2"
grep -q '"quant":"mixed"' "$work/out" || failed "how the file was packed is not shown"
grep -Eq '^experts +[0-9]+ .* int4-codebook' "$work/out" || failed "no row for the experts"
grep -Eq '^router +[0-9]+ .* f32' "$work/out" || failed "no row for the router"
expect 0 "$vl2" info "$work/mixed.vl2" --json
test "$("$json_field" data_type < "$work/out")" != bf16 || failed "the packed file is bf16"
test "$("$json_field" file_bytes < "$work/out")" = "$(wc -c < "$work/mixed.vl2")" ||
    failed "file_bytes of a packed file"
head -c 9000 "$work/mixed.vl2" > "$work/cut.vl2"
expect_error 3 'cut.vl2' "$vl2" info "$work/cut.vl2"

if test "$(id -u)" -ne 0; then
    break_model
    chmod 000 "$work/broken"
    broken 'ermission denied'
    chmod 755 "$work/broken"
else
    echo "SKIPPED: the unreadable folder, because root reads everything"
fi
finish
