#!/bin/sh
# The first minute: the program that was just built looks at a picture.
#   examples/first-answer.sh [BUILD-FOLDER]
# It asks the demo model, which knows drawn shapes, their colours and numbers, and nothing else.
set -eu
source=$(cd "$(dirname "$0")/.." && pwd)
build=${1:-$source}
[ -x "$build/vl2" ] || build=.
if [ ! -x "$build/vl2" ]; then
    echo "first-answer.sh: no program ./vl2 in $build; run ./bootstrap && ./configure && make first" >&2
    exit 1
fi
vl2=$build/vl2
demo=$source/examples/demo-model
picture=$demo/samples/shapes.png
boxes=$(cd "$build" && pwd)/first-answer.png

ask() {
    printf '\nQuestion: %s\nAnswer:   ' "$1"
    "$vl2" ask -m "$demo/demo.vl2" --image "$picture" -p "$1"
}
echo "The model:"
"$vl2" info "$demo/demo.vl2" | head -n 3
printf '\nThe picture: %s\n' "$picture"
ask "How many hearts are there?"
ask "What colour is the star?"
ask "What number is in the picture?"
printf '\nWhere are the red star, the green hearts and the number 69?\n'
"$vl2" ground -m "$demo/demo.vl2" --image "$picture" --draw "$boxes" \
    "the red star" "the green hearts" "the number 69"
printf '\nThe picture with these boxes: %s\n' "$boxes"
