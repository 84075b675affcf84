#!/bin/sh
# Writes what the option table of the program says into the bash completion and into the option lists of
# the manual pages.
#
#     man/update-docs.sh VL2 [FOLDER]
#
# VL2 is the program as built. Files go to FOLDER/man and FOLDER/src/cli, by default into the source tree.
# tests/cli/test_options.sh compares the result with the files in the tree.
set -e
program=$1
source=$(cd "$(dirname "$0")/.." && pwd)
out=${2:-$source}
test -x "$program" || {
    echo "usage: man/update-docs.sh VL2 [FOLDER]" >&2
    exit 2
}
mkdir -p "$out/man" "$out/src/cli"
tab=$(printf '\t')
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# mdoc items of one command's options on standard input.
option_items() {
    awk -F '\t' '
    function text(words) {
        gsub(/\\/, "\\e", words)
        gsub(/ -/, " \\-", words)
        gsub(/\. /, ".\n", words)
        return words
    }
    {
        argument = $3 == "-" ? "" : " Ar " $3
        print ".It " ($2 == "-" ? "" : "Fl " $2 argument " , ") "Fl -" $1 argument
        print text($6) "."
        environment = $4 == "-" ? "" : "Ev " $4
        standard = $5 == "-" ? "" : "default " text(" " $5)
        sub(/default  /, "default ", standard)
        if (environment != "" && standard != "") {
            print ".Pq " standard "; " environment
        } else if (environment != "") {
            print ".Pq " environment
        }
    }'
}

# A page with the lines between its two marks replaced by a file.
fill_page() {
    awk -v list="$2" '
    /^\.\\" options from the table/ { print; while ((getline line < list) > 0) print line; inside = 1 }
    /^\.\\" end of options/ { inside = 0 }
    !inside && !/^\.\\" options from the table/ { print }' "$1"
}

"$program" --list-options | option_items > "$work/items"
fill_page "$source/man/vl2.1" "$work/items" > "$work/page"
cat "$work/page" > "$out/man/vl2.1"
"$program" --list-commands | while IFS="$tab" read -r name _; do
    "$program" --list-options "$name" | option_items > "$work/items"
    fill_page "$source/man/vl2-$name.1" "$work/items" > "$work/page"
    cat "$work/page" > "$out/man/vl2-$name.1"
done

# The words of all options on standard input.
option_words() {
    awk -F '\t' '{ printf "%s--%s", (NR > 1 ? " " : ""), $1; if ($2 != "-") printf " -%s", $2 }'
}

# The options whose argument is $1, as patterns of a case.
options_taking() {
    {
        "$program" --list-options
        "$program" --list-commands | while IFS="$tab" read -r name _; do
            "$program" --list-options "$name"
        done
    } | awk -F '\t' -v argument="$1" '$3 == argument && !seen[$1]++ {
        printf "%s--%s", (count++ ? "|" : ""), $1
        if ($2 != "-") printf "|-%s", $2
    }'
}

{
    names=$("$program" --list-commands | awk -F '\t' '{ printf "%s%s", (NR > 1 ? " " : ""), $1 }')
    cat << END
# bash completion for vl2. Made by man/update-docs.sh from the program's option table.
_vl2()
{
    local word=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]} command=\${COMP_WORDS[1]}
    local words
    COMPREPLY=()
    if ((COMP_CWORD == 1)); then
        words="$names help $("$program" --list-options | option_words)"
        mapfile -t COMPREPLY < <(compgen -W "\$words" -- "\$word")
        return
    fi
    case \$command:\$before in
    synth:--size)
        mapfile -t COMPREPLY < <(compgen -W "tiny small base" -- "\$word")
        return
        ;;
    pack:--quant)
        mapfile -t COMPREPLY < <(compgen -W "bf16 int8 int6 int4 mixed" -- "\$word")
        return
        ;;
    boxes:--size) return ;;
    esac
    case \$before in
    $(options_taking DIR)|$(options_taking FILE))
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -f -- "\$word")
        return
        ;;
    $(options_taking TEXT)|$(options_taking N)|$(options_taking NUMBER))
        return
        ;;
    esac
    case \$command in
    help) words="$names" ;;
END
    "$program" --list-commands | while IFS="$tab" read -r name _; do
        echo "    $name) words=\"$("$program" --list-options "$name" | option_words)\" ;;"
    done
    cat << 'END'
    *) return ;;
    esac
    if [[ $word == -* || $command == help ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
    else
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
    fi
}
complete -F _vl2 vl2
END
} > "$work/completion"
cat "$work/completion" > "$out/src/cli/vl2.bash"
