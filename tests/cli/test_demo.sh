#!/bin/sh
# The demo model's greedy answers about the sample pictures, under each kernel mask and in each kind of pack.
#
# tests/data/demo/conversations.txt has what is typed into vl2 chat: > a question, < its answer, exact to the
# byte, ~ an answer with boxes whose last digits rounding may change: there, and with other weights (another
# pack) or on another kind of processor, a coordinate may be off by 16 of 999. All other text is exact always;
# the questions are such that all packs agree about it.
. "$top_srcdir/tests/cli/lib.sh"
demo=$top_srcdir/examples/demo-model
model=$demo/demo.vl2
typed=$top_srcdir/tests/data/demo/conversations.txt
tasks=$demo/heldout-small/tasks.jsonl
mask=${VL2_CPU-}

# Lines "exact or near, expected, found": texts that differ are printed.
compare='
# The words of a text with [] for each box; the coordinates go to into[1], into[2], ...
function split_boxes(text, into,    words, count, parts, i) {
    words = ""
    count = 0
    while (match(text, /\[[0-9]+, [0-9]+, [0-9]+, [0-9]+\]/)) {
        words = words substr(text, 1, RSTART - 1) "[]"
        split(substr(text, RSTART + 1, RLENGTH - 2), parts, /, /)
        for (i = 1; i <= 4; i++) into[++count] = parts[i]
        text = substr(text, RSTART + RLENGTH)
    }
    into[0] = count
    return words text
}
function alike(a, b,    in_a, in_b, i, far) {
    if (split_boxes(a, in_a) != split_boxes(b, in_b)) return 0
    for (i = 1; i <= in_a[0]; i++) {
        far = in_a[i] - in_b[i]
        if (far > 16 || far < -16) return 0
    }
    return 1
}
$2 != $3 && (exact == "yes" && $1 == "<" || !alike($2, $3)) {
    printf "    expected %s\n    found    %s\n", $2, $3
    bad = 1
}
END { exit bad }'

# Conversations: all of them, or those about one picture.
choose() { # PICTURE
    awk -v only="$1" 'BEGIN { RS = "/clear\n" }
        only == "" || $0 ~ "^/image " only "\n>" { printf "%s/clear\n", $0 }' "$typed" > "$work/typed"
    sed -n "s/^> //p; s|^/image |&$demo/samples/|p; /^\/clear/p" "$work/typed" > "$work/in"
    tab=$(printf '\t')
    sed -n "s/^\([<~]\) /\1$tab/p" "$work/typed" > "$work/expected"
}

# A name for the kernels that a mask chooses.
kernels() { # MASK
    VL2_CPU=$1 "$vl2" --cpu | sed -n '/^kernels/,$p' | cksum | tr ' ' -
}

ask() { # WHAT EXACT MODEL [MASK]
    if ! VL2_CPU=${4-$mask} "$vl2" chat -m "$3" < "$work/in" > "$work/answers" 2> "$work/err"; then
        cat "$work/err" >&2
        failed "$1: vl2 chat"
    fi
    same "$1: answers" "$(wc -l < "$work/answers")" "$(wc -l < "$work/expected")"
    paste "$work/expected" "$work/answers" | awk -F '\t' -v exact="$2" "$compare" || failed "$1"
    echo "  $1: $(wc -l < "$work/answers") answers"
}

# Held-out questions: how many are answered rightly at least.
held_out() { # WHAT LEAST MODEL
    expect 0 "$vl2" eval -m "$3" --tasks "$tasks" --jobs 2 --json
    same "$1: held-out questions" "$(field all.questions)" 48
    right=$(field all.score | awk '{ printf "%.0f", 48 * $1 }')
    test "$right" -ge "$2" || failed "$1: $right of 48 held-out questions, expected $2"
    echo "  $1: $right of 48 held-out questions"
}

exact=no
case $(uname -m) in
x86_64) exact=yes ;;
esac
choose ""
if test "$mask" != generic; then
    ask "demo.vl2" $exact "$model"
    held_out "demo.vl2" 48 "$model"
    seen="$(kernels "$mask") $(kernels generic)"
    for name in avx2 avx512 vnni amx neon dotprod i8mm; do
        # A mask only takes away: this processor may have nothing to add to a lower one.
        these=$(kernels $name)
        case " $seen " in
        *" $these "*) echo "  VL2_CPU=$name: no other kernels here" ;;
        *) ask "VL2_CPU=$name" $exact "$model" $name ;;
        esac
        seen="$seen $these"
    done
    "$vl2" unpack -q "$model" -o "$work/demo" || failed "vl2 unpack"
    for type in bf16 int8 int6 int4 mixed; do
        "$vl2" pack -q "$work/demo" --quant $type -o "$work/$type.vl2" || failed "vl2 pack $type"
        ask "$type" no "$work/$type.vl2"
    done
    held_out "int4" 47 "$work/int4.vl2"
fi
# The reference kernels are 50 times as slow: one picture of one tile.
choose number.jpg
ask "VL2_CPU=generic" $exact "$model" generic
finish
