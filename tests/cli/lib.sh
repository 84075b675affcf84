# What the tests of the command line share. Each begins with:  . "$top_srcdir/tests/cli/lib.sh"
# Automake sets top_srcdir and top_builddir; VL2_PROGRAM names another program to test.
: "${top_srcdir:=.}" "${top_builddir:=.}"
vl2=${VL2_PROGRAM:-$top_builddir/vl2}
json_field=$top_builddir/tests/cli/json_field
pictures=$top_srcdir/tests/data/image
failures=0

# Options of the person who runs the tests must not change them.
for variable in $(env | sed -n 's/^\(VL2_[A-Z_]*\)=.*/\1/p'); do
    case $variable in
    VL2_GOLDEN | VL2_TEST_MODEL | VL2_TEST_SYNTH_FULL | VL2_PROGRAM | VL2_CPU) ;;
    *) unset "$variable" ;;
    esac
done

work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' EXIT
trap 'exit 99' HUP INT TERM

failed() {
    echo "FAILED: $*" >&2
    failures=$((failures + 1))
}

skip_all() {
    echo "SKIPPED: $*"
    exit 77
}

finish() {
    test "$failures" -eq 0 || echo "$failures failures" >&2
    test "$failures" -eq 0
    exit
}

# The folder of the full reference data, or nothing.
golden_folder() {
    for place in "$VL2_GOLDEN" "$top_srcdir/../shared/golden/dev" "$top_srcdir/../../shared/golden/dev"; do
        if test -n "$place" && test -f "$place/index.json"; then
            echo "$place"
            return
        fi
    done
}

# A checkpoint to test with, in $model; skips the test if there is none.
need_model() {
    for model in "$VL2_TEST_MODEL" "$top_builddir/tests/checkpoints/small" \
        "$(golden_folder)/models/vl2-small-dev"; do
        if test -n "$model" && test -f "$model/config.json"; then
            return
        fi
    done
    skip_all "no checkpoint: set VL2_TEST_MODEL to a folder"
}

# Names that begin with _ are used in here.

# expect CODE COMMAND...: runs it; output goes to $work/out and $work/err.
expect() {
    _wanted=$1
    shift
    _code=0
    "$@" > "$work/out" 2> "$work/err" || _code=$?
    if test "$_code" -ne "$_wanted"; then
        failed "exit code $_code, expected $_wanted: $*"
        sed 's/^/    /' "$work/err" >&2
        return 1
    fi
}

# expect_error CODE PATTERN COMMAND...: it fails with one line on standard error that has the pattern (grep -E), and
# nothing on standard output.
expect_error() {
    _code=$1 _pattern=$2
    shift 2
    expect "$_code" "$@" || return 1
    if test "$(wc -l < "$work/err")" -ne 1; then
        failed "not one line of error: $*"
        sed 's/^/    /' "$work/err" >&2
    fi
    grep -Eq -e "$_pattern" "$work/err" || failed "message without '$_pattern': $(cat "$work/err")"
    test ! -s "$work/out" || failed "output beside the error: $*"
}

# same WHAT FOUND EXPECTED: two texts are equal.
same() {
    test "$2" = "$3" || failed "$1: found '$2', expected '$3'"
}

# output_has PATTERN / error_has PATTERN: of the last command.
output_has() {
    grep -Eq -e "$1" "$work/out" || failed "output without '$1': $(head -c 300 "$work/out")"
}
error_has() {
    grep -Eq -e "$1" "$work/err" || failed "standard error without '$1': $(head -c 300 "$work/err")"
}

# field PATH: that field of the JSON in $work/out, such as boxes.0.label.
field() {
    "$json_field" "$1" < "$work/out"
}
