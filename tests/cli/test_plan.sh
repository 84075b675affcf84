#!/bin/sh
# vl2 plan, --ram and --slots: what fits, what is refused, and the same answers with few experts in memory.
. "$top_srcdir/tests/cli/lib.sh"
need_model
expect 0 "$vl2" pack -m "$model" -o "$work/m.vl2" --quant int4 -q
expect 0 "$vl2" plan -m "$work/m.vl2" --ram 4G
grep -q "Everything fits" "$work/out" || failed "no word that everything fits"
expect 0 "$vl2" plan -m "$work/m.vl2" --ram 4GiB -c 512 --json
same "ram" "$(field ram)" 4294967296
same "context" "$(field context)" 512
same "works" "$(field works)" true
same "slots" "$(field slots)" "$(field experts)"
sum=$(($(field program) + $(field resident) + $(field kv_cache) + $(field work) + $(field pictures) + $(field vision) + \
    $(field vision_work) + $(field experts) * $(field expert_bytes)))
same "sum of the parts" "$sum" "$(field everything)"
expect 5 "$vl2" plan -m "$work/m.vl2" --ram 20M
grep -q "too little" "$work/out" || failed "no word that it is too little"
expect 0 "$vl2" plan -m "$model" --ram 50% --json
same "a folder is pageable" "$(field pageable)" false

# Nothing is loaded if it cannot work; the message has the number that would do.
expect_error 5 "would do" "$vl2" ask -m "$work/m.vl2" -p x --ram 20M
expect_error 1 "vl2 pack" "$vl2" ask -m "$model" -p x --ram 20M
for bad in 6Q x -3G 120% 0 "" G; do
    expect_error 2 "--ram" "$vl2" ask -m "$work/m.vl2" -p x "--ram=$bad"
done

ask() {
    expect 0 "$vl2" ask -m "$work/m.vl2" --image "$pictures/tiny_40x28.png" -p "What is this?" -n 12 --ignore-eos \
        --json --chunk 100 "$@"
}
ask --ram off
answer=$(field tokens)
same "paging of a model that fits" "$(field paging)" null
for slots in 1000 20 1 6; do
    ask --slots $slots
    same "answer with $slots experts" "$(field tokens)" "$answer"
    test "$(field paging.uses)" -ge 100 || failed "$(field paging.uses) uses of experts with $slots"
done
same "slots" "$(field paging.slots)" 6
VL2_URING=0 ask --slots 6
same "answer read by threads" "$(field tokens)" "$answer"
same "io_uring, which is forbidden" "$(field paging.io_uring)" false
ask --slots 6 --progress
grep -q '^reading the prompt: .* of experts read$' "$work/err" || failed "no word of experts for the prompt"
grep -q '^answering: .*, [0-9]* % of experts in memory, .* of experts read$' "$work/err" ||
    failed "no word of experts for the answer"

# The bench and the trace of a paged model.
expect 0 "$vl2" bench -m "$work/m.vl2" --only decode --contexts 8 --repeat 2 -n 4 --slots 8 --json
same "slots of the bench" "$(field runs.0.results.0.paging.slots)" 8
cat > "$work/case.json" << 'END'
[{"role": "<|User|>", "content": "What?"}, {"role": "<|Assistant|>", "content": ""}]
END
expect 0 "$vl2" trace -m "$work/m.vl2" --conversation "$work/case.json" -o "$work/whole" -n 4 -q --ram off
expect 0 "$vl2" trace -m "$work/m.vl2" --conversation "$work/case.json" -o "$work/paged" -n 4 -q --slots 6 \
    --routing "$work/routing"
for file in "$work/whole"/*; do
    cmp -s "$file" "$work/paged/${file##*/}" || failed "${file##*/} differs"
done
# Reading ahead is nothing that is calibrated.
expect 0 "$vl2" calibrate -m "$work/m.vl2" --conversation "$work/case.json" -o "$work/sums" -n 4 -q --ram off
expect 0 "$vl2" calibrate -m "$work/m.vl2" --conversation "$work/case.json" -o "$work/paged-sums" -n 4 -q --slots 6
cmp -s "$work/sums" "$work/paged-sums" || failed "a paged model calibrates otherwise"
head -n 1 "$work/routing" | grep -q "^vl2 routing 1 " || failed "routing: $(head -n 1 "$work/routing")"
"$top_builddir/tests/tools/replay_routing" "$work/routing" > "$work/out" || failed "replay_routing"
grep -q "Belady" "$work/out" || failed "no table"
finish
