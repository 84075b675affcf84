#!/bin/sh
# Every reader of untrusted bytes on its corpus and on damaged copies of it.
set -eu
data=${top_srcdir:-.}/tests/data
build=${top_builddir:-.}/tests/fuzz
"$build/fuzz_image" "$data/image/odd" "$data/image/tiny_40x28.png"
"$build/fuzz_pack" "$data/weights/pack"
"$build/fuzz_safetensors" "$data/weights/fuzz"
"$build/fuzz_grounding" "$data/text/parse_ref_bbox.json" "$data/text/parse_ref_bbox_edge.json"
VL2_FUZZ_TOKENIZER=$data/text/reduced-128k.json "$build/fuzz_tokenizer" \
    "$data/text/reduced-100k.json" "$data/text/strings.jsonl" "$data/text/prompts.json"
"$build/fuzz_tokenizer_compiled" "$data/text/compiled"
"$build/fuzz_config" "$data/config"
"$build/fuzz_eval_tasks" "$data/eval"
