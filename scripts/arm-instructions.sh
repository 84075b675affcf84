#!/bin/sh
# Counts the instructions of the ARM kernels' inner loops, for who has no ARM machine to time them on.
#   scripts/arm-instructions.sh [--loops]     --loops: also prints the loops themselves
# A loop is what lies between a backward branch and its target with no other loop inside; shown is the
# one of a kernel with the most multiplications, or the fewest: one row of activations. The loops of
# matmul_packed differ by layout: the codebook is looked up with tbl, int8 has nothing to shift.
set -eu
source=$(cd "$(dirname "$0")/.." && pwd)
compiler=${ARM_CC:-aarch64-linux-gnu-gcc}
objdump=${ARM_OBJDUMP:-aarch64-linux-gnu-objdump}
for tool in "$compiler" "$objdump"; do
    command -v "$tool" >/dev/null || {
        echo "$tool is missing: scripts/install-deps.sh cross" >&2
        exit 1
    }
done
loops=0
[ "${1:-}" != --loops ] || loops=1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
flags="-std=gnu11 -O2 -D_GNU_SOURCE -I$source -ffp-contract=off -fno-common"

# KERNEL: a name for the table; FILE of simd/arm; MARCH; MULTIPLY: the instructions that are the kernel's
# own products, a regular expression; WHICH loop: most or least of them.
count() { # KERNEL FILE MARCH MULTIPLY WHICH
    # shellcheck disable=SC2086 # the flags are meant to be split
    $compiler $flags -march="$3" -c "$source/simd/arm/$2.c" -o "$folder/$2.o"
    "$objdump" -d --no-show-raw-insn "$folder/$2.o" >"$folder/$2.s"
    awk -v kernel="$1" -v multiply="$4" -v which="$5" -v with="${6:-}" \
        -v without="${7:-}" -v loops=$loops '
# objdump writes addresses in hexadecimal without 0x.
function number(text,    i, value) {
    value = 0
    for (i = 1; i <= length(text); i++)
        value = value * 16 + index("0123456789abcdef", substr(text, i, 1)) - 1
    return value
}
# How many multiply-adds an instruction does: bytes to int32 in fours, by the shape of its result; bf16.
function products(name, operands) {
    if (name == "smmla") return 32
    if (name == "bfmmla") return 16
    if (name == "sdot") return 16
    if (operands ~ /^v[0-9]+\.8h/) return 8
    return 4
}
function consider(first, last,    i, n, done, loaded, simd, text, there) {
    n = done = loaded = simd = text = 0
    there = with == ""
    for (i = first; i <= last; i++) {
        if (i < last && target[i] > 0 && target[i] <= i && target[i] >= first) return # holds another
        if (with != "" && mnemonic[i] ~ with) there = 1
        if (without != "" && mnemonic[i] ~ without) return
        if (mnemonic[i] ~ multiply) { n++; done += products(mnemonic[i], operand[i]) }
        else if (mnemonic[i] ~ /^ld/) loaded++
        else if (operand[i] ~ /(^|[ ,{])[vqds][0-9]/) simd++
        text++
    }
    if (n == 0 || !there || (best > 0 && (which == "most" ? n <= best : n >= best))) return
    best = n; best_done = done; best_loads = loaded; best_simd = simd; best_all = text
    best_first = first; best_last = last; best_symbol = symbol
    listing = ""
    for (i = first; i <= last; i++) listing = listing "    " mnemonic[i] "\t" operand[i] "\n"
}
function finish(    i) {
    for (i = 1; i <= lines; i++)
        if (destination[i] != "" && (destination[i] in at) && at[destination[i]] <= i)
            target[i] = at[destination[i]]
    for (i = 1; i <= lines; i++) if (target[i] > 0) consider(target[i], i)
    split("", at); split("", target); split("", destination)
    lines = 0
}
/^[0-9a-f]+ <.*>:$/ { finish(); symbol = $2; next }
/^ +[0-9a-f]+:/ {
    address = $1; sub(/:$/, "", address)
    lines++
    at[number(address)] = lines
    mnemonic[lines] = $2
    operand[lines] = $0
    sub(/^ +[0-9a-f]+:[ \t]+[a-z0-9.]+[ \t]*/, "", operand[lines])
    if ($2 ~ /^(b\..*|b|cbz|cbnz|tbz|tbnz)$/) {
        place = operand[lines]
        sub(/ *<.*/, "", place); sub(/.*[, \t]/, "", place)
        destination[lines] = number(place)
    }
}
END {
    finish()
    if (best == 0) {
        print kernel ": no loop with " multiply " was found" > "/dev/stderr"
        exit 1
    }
    printf "| `%s` | %d | %d | %d | %d | %d | %d | %.2f |\n", kernel, best_done, best, best_loads,
        best_simd, best_all - best - best_loads - best_simd, best_all, 64 * best_all / best_done
    if (loops) printf "\n%s\n%s\n", best_symbol, listing
}' "$folder/$2.s"
}

echo "$("$compiler" --version | head -1), -O2"
echo
echo "| kernel, inner loop | multiply-adds | products | loads | other SIMD | integer, branch | all | all / 64 |"
echo "|---|---|---|---|---|---|---|---|"
base=armv8-a dot=armv8.2-a+dotprod matrix=armv8.2-a+dotprod+i8mm
few() { # ISA MARCH MULTIPLY
    for which in least most; do
        rows=1
        [ $which = least ] || rows=2
        count "matmul_packed_$1, int8, $rows" "packed_$1" "$2" "$3" $which '' '^(tbl|ushr)$'
        count "matmul_packed_$1, codebook, $rows" "packed_$1" "$2" "$3" $which '^tbl$'
    done
}
count 'matmul_packed_neon, 1' packed_neon $base '^s(mull|mlal)2?$' least
count 'matmul_packed_neon, 2' packed_neon $base '^s(mull|mlal)2?$' most
few dotprod $dot '^sdot$'
count matmul_packed_many_neon packed_many_neon $base '^s(mull|mlal)2?$' most
count matmul_packed_many_dotprod packed_many_dotprod $dot '^sdot$' most
count matmul_packed_many_i8mm packed_many_i8mm $matrix '^smmla$' most
count matmul_many_bf16_bf16 matmul_many_bf16 armv8.2-a+bf16 '^bfmmla$' most
count product_f32_neon attention_neon $base '^fmla$' most
