#!/bin/sh
# Help, manual page, completion and parser agree for every option of every command.
. "$top_srcdir/tests/cli/lib.sh"
tab=$(printf '\t')

# A value that the option takes.
good_value() {
    case $1 in
    *'|'*) echo "${1%%|*}" ;;
    N | NUMBER) echo 1 ;;
    WxH) echo 10x10 ;;
    *) echo x ;;
    esac
}

check_option() { # command name letter argument environment
    words=$1
    test "$1" != top || words=
    if test "$4" = -; then
        set -- "$1" "$2" "$3" "$4" "$5" "--$2"
    else
        set -- "$1" "$2" "$3" "$4" "$5" "--$2=$(good_value "$4")"
    fi
    # shellcheck disable=SC2086
    expect 0 "$vl2" $words "$6" --help # the parser takes it, or it would fail before --help
    grep -Eq -e "--$2( |\$)" "$work/out" || failed "$1: --$2 is not in the help"
    if test "$3" != -; then
        grep -Eq -e "^  -$3, --$2( |\$)" "$work/out" || failed "$1: -$3 is not in the help"
    fi
    case $4 in
    N | NUMBER | *'|'*)
        # shellcheck disable=SC2086
        expect_error 2 "--$2: found \"abc\", expected" "$vl2" $words "--$2" abc
        # shellcheck disable=SC2086
        expect_error 2 "$5: found \"abc\", expected" env "$5=abc" "$vl2" $words
        ;;
    -)
        if test "$5" != -; then
            # shellcheck disable=SC2086
            expect_error 2 "$5: found \"maybe\", expected 1 or 0" env "$5=maybe" "$vl2" ${words:---version}
        fi
        ;;
    esac
    if test "$4" != -; then
        # shellcheck disable=SC2086
        expect_error 2 "--$2 needs an argument" "$vl2" $words "--$2"
    fi
    page=$top_srcdir/man/vl2${words:+-}$words.1
    grep -Fq -e "Fl -$2" "$page" || failed "--$2 is not in $page"
}

check_command() { # command, or nothing
    # shellcheck disable=SC2086
    "$vl2" --list-options $1 > "$work/options"
    test -s "$work/options" || failed "no options of '$1'"
    while IFS="$tab" read -r name letter argument environment _; do
        check_option "${1:-top}" "$name" "$letter" "$argument" "$environment"
    done < "$work/options"
    # shellcheck disable=SC2086
    expect 0 "$vl2" $1 --help
    awk 'length > 80 { exit 1 }' "$work/out" || failed "help of '$1' is wider than 80 columns"
    # Nothing in the help that the table does not have.
    sed -n '/^Examples:/q; s/^  -., --\([a-z-]*\).*/\1/p; s/^      --\([a-z-]*\).*/\1/p' "$work/out" | sort > "$work/in_help"
    cut -f 1 "$work/options" | sort | cmp -s - "$work/in_help" || failed "help of '$1' has other options"
}

check_command ""
"$vl2" --list-commands > "$work/commands"
while IFS="$tab" read -r command summary; do
    check_command "$command"
    expect 0 "$vl2" --help
    output_has "^  $command +$summary\$"
    grep -q "vl2-$command 1" "$top_srcdir/man/vl2.1" || failed "$command is not in vl2.1"
    expect 0 "$vl2" help "$command"
    output_has "Usage: vl2 $command"
done < "$work/commands"
same "number of commands" "$(wc -l < "$work/commands" | tr -d ' ')" 17

# What the script makes from the table is what lies in the tree.
sh "$top_srcdir/man/update-docs.sh" "$vl2" "$work/made" || failed "update-docs.sh"
for file in src/cli/vl2.bash man/vl2.1 $(cut -f 1 "$work/commands" | sed 's,.*,man/vl2-&.1,'); do
    cmp "$work/made/$file" "$top_srcdir/$file" || failed "$file: run man/update-docs.sh $vl2"
done

# The completion works.
if command -v bash > /dev/null; then
    complete() {
        bash -c '. "$1"; shift; compopt() { :; }
            COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _vl2; echo "${COMPREPLY[*]}"' \
            bash "$top_srcdir/src/cli/vl2.bash" "$@"
    }
    same "completion of a command" "$(complete vl2 to)" tokenize
    same "completion of an option" "$(complete vl2 ask --rep)" --repeat-penalty
    same "completion of a size" "$(complete vl2 synth --size s)" small
    same "no completion of a text" "$(complete vl2 ask -p '')" ""
fi
finish
