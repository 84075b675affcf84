#!/bin/sh
# vl2 bench on the small shapes: what it prints, and what it refuses. How fast anything is, is no matter.
. "$top_srcdir/tests/cli/lib.sh"


for size in tiny-dev small-dev base-dev; do
    expect 0 "$vl2" bench --size $size --quant int4 --repeat 1 --prompts 20,40 --contexts 0,30 -n 2 \
        --only prefill,decode,vision -t 2 --json
    output_has '"read_bandwidth"'
    output_has '"part": *"prefill"'
    output_has '"part": *"decode"'
    output_has '"part": *"vision"'
    output_has '"fraction"'
    output_has '"stages"'
done

# Text, several numbers of threads, every preset and type of the KV cache.
expect 0 "$vl2" bench --size tiny-dev --repeat 1 --prompts 16 --contexts 8 -n 1 \
    --only prefill,decode -t 1,2
output_has '^1 thread'
output_has '^2 threads'
output_has 'reading memory +[0-9.]+ GB/s'
output_has 'prefill 16 +[0-9.]+ s'
output_has 'decode at 8 +[0-9.]+ s'
output_has 'peak memory'
for quant in bf16 int8 int6 mixed; do
    expect 0 "$vl2" bench --size small-dev --quant $quant --repeat 1 --prompts 8 --contexts 4 -n 1 \
        --only prefill,decode
done
for type in f32 bf16 f16 int8; do
    expect 0 "$vl2" bench --size base-dev --kv-type $type --repeat 1 --prompts 8 --contexts 70 -n 1 \
        --only prefill,decode
done
expect 0 env VL2_CPU=generic "$vl2" bench --size tiny-dev --repeat 1 --prompts 8 --only prefill
expect 0 "$vl2" bench --size tiny-dev --only machine
output_has 'reading memory'

# No peak of what VL2_CPU forbids, and one of what it allows.
expect 0 env VL2_CPU=generic "$vl2" bench --size tiny-dev --only machine --json
output_has '"peaks": *\[\]'
for isa in avx2 neon; do
    expect 0 env VL2_CPU=$isa "$vl2" bench --size tiny-dev --only machine --json
    if "$vl2" --cpu | grep -q "^features.* $isa"; then
        output_has "\"isa\": *\"$isa\""
    fi
    if tr '{' '\n' <"$work/out" | grep '"operations_per_second"' | grep -v "\"isa\": *\"$isa\""; then
        failed "VL2_CPU=$isa: a peak of another ISA"
    fi
done

expect_error 2 'give' "$vl2" bench
expect_error 2 'give one of the two' "$vl2" bench --size tiny-dev -m somewhere
expect_error 2 '"walking"' "$vl2" bench --size tiny-dev --only walking
expect_error 2 'prompts' "$vl2" bench --size tiny-dev --prompts 0
expect_error 2 'huge' "$vl2" bench --size huge
expect_error 3 "$work/none" "$vl2" bench -m "$work/none"
finish
