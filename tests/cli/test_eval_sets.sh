#!/bin/sh
# examples/eval: small files in the form of the public sets become tasks that vl2 eval takes.
. "$top_srcdir/tests/cli/lib.sh"
command -v python3 > /dev/null || skip_all "python3 is not installed"
need_model
convert() {
    script=$1
    shift
    expect 0 python3 "$top_srcdir/examples/eval/convert_$script.py" "$@"
}
evaluate() { # file: its tasks, answered
    expect 0 "$vl2" eval -m "$model" --tasks "$1" -n 1 --json
}
mkdir "$work/in" "$work/in/documents" "$work/out.d"
cp "$pictures/tiny_40x28.png" "$work/in/documents/a.png"

cat > "$work/in/docvqa.json" << 'END'
{"dataset_name": "docvqa", "data": [
 {"questionId": 7, "question": "What is the date?", "image": "documents/a.png",
  "question_types": ["handwritten"], "answers": ["1/8/93", "1/8/1993"]}]}
END
convert docvqa "$work/in/docvqa.json" "$work/out.d/docvqa.jsonl"
evaluate "$work/out.d/docvqa.jsonl"
same "id" "$(field results.0.id)" 7
same "kind" "$(field kinds.anls.questions)" 1
same "answers" "$(field results.0.turns.0.expected)" '["1/8/93","1/8/1993"]'
same "group" "$(field groups.handwritten.questions)" 1

python3 - "$work/in" << 'END'
import json, pickle, sys
refs = [{"ref_id": 1, "ann_id": 5, "image_id": 9, "split": split, "sentences": [
    {"sent_id": 10 + i, "sent": text} for i, text in enumerate(("the red one", "it"))]}
    for split in ("val", "testA")]
pickle.dump(refs, open(sys.argv[1] + "/refs.p", "wb"))
json.dump({"annotations": [{"id": 5, "bbox": [1.5, 2, 10, 20]}],
           "images": [{"id": 9, "file_name": "a.png"}]}, open(sys.argv[1] + "/instances.json", "w"))
END
convert refcoco "$work/in/refs.p" "$work/in/instances.json" "$work/in/documents" "$work/out.d/ref.jsonl" --split testA
evaluate "$work/out.d/ref.jsonl"
same "sentences" "$(field kinds.box.questions)" 2
same "box" "$(field results.0.turns.0.expected)" '[[1.5,2,11.5,22]]'
grep -q '<|ref|>the red one<|/ref|>\.' "$work/out.d/ref.jsonl" || failed "no referring expression"
python3 -c 'import os, pickle, sys; pickle.dump(os.getcwd, open(sys.argv[1], "wb"))' "$work/in/calls.p"
expect 1 python3 "$top_srcdir/examples/eval/convert_refcoco.py" \
    "$work/in/calls.p" "$work/in/instances.json" "$work/in" "$work/out.d/x.jsonl"
error_has 'expected plain data'

{
    printf 'index\tquestion\thint\tA\tB\tC\tD\tanswer\tcategory\timage\n'
    printf '3\tWhich?\t\tred\tblue\t\t\tB\tcolour\t%s\n' "$(base64 < "$pictures/tiny_40x28.png" | tr -d '\n')"
    printf '4\tAnd now?\tLook.\tred\tblue\tgreen\tgrey\tA\tcolour\t3\n'
} > "$work/in/mmbench.tsv"
convert mmbench "$work/in/mmbench.tsv" "$work/out.d/mmbench.jsonl"
evaluate "$work/out.d/mmbench.jsonl"
same "questions" "$(field groups.colour.questions)" 2
same "letter" "$(field results.0.turns.0.expected)" B
convert mmbench "$work/in/mmbench.tsv" "$work/out.d/circular.jsonl" --circular
evaluate "$work/out.d/circular.jsonl"
same "questions of all rotations" "$(field groups.colour.questions)" 6
same "letters" "$(field results.1.turns.0.expected)$(field results.2.turns.0.expected)$(field results.5.turns.0.expected)" AAD
grep -q '"choices": {"A": "blue", "B": "red"}' "$work/out.d/circular.jsonl" || failed "no rotation"
finish
