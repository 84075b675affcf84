#!/bin/sh
# The first minute: a question about a picture, answered by the program that was just built.
#   examples/first-answer.sh [BUILD-FOLDER]
# It uses a tiny checkpoint with random weights that travels with the tests: its words mean nothing, but
# every stage of the real models runs, and the answer is the reference's, token for token.
set -eu
source=$(cd "$(dirname "$0")/.." && pwd)
build=${1:-$source}
[ -x "$build/vl2" ] || build=.
if [ ! -x "$build/vl2" ]; then
    echo "first-answer.sh: no program ./vl2 in $build; run ./bootstrap && ./configure && make first" >&2
    exit 1
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
xz -dc "$source/tests/data/golden/small.tar.xz" | tar -C "$folder" -xf -
model=$folder/small
picture=$model/images/wide_1500x330.png
echo "The model:"
"$build/vl2" info "$model"
echo
echo "Question: What is written in this picture?   ($(basename "$picture"))"
printf 'Answer:   '
"$build/vl2" ask -m "$model" --image "$picture" -p "What is written in this picture?" -n 24
