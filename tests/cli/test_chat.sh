#!/bin/sh
# vl2 chat with messages piped in.
. "$top_srcdir/tests/cli/lib.sh"
need_model
picture=$pictures/tiny_40x28.png

chat() { # script, options...
    script=$1
    shift
    printf "$script" > "$work/script"
    expect "${chat_code:-0}" "$vl2" chat -m "$model" -n 6 "$@" < "$work/script"
}

# The first answer is that of ask; the second that of the saved conversation with the same question.
expect 0 "$vl2" ask -m "$model" -n 6 -p 'One?'
cp "$work/out" "$work/one"
chat 'One?\n'
cmp -s "$work/out" "$work/one" || failed "chat and ask answer differently"
chat "One?\n/save $work/saved.json\nTwo?\n" -v
cp "$work/out" "$work/both"
error_has 'kept'
same "messages" "$("$json_field" '#' < "$work/saved.json")" 2
same "role" "$("$json_field" 0.role < "$work/saved.json")" user
expect 0 "$vl2" ask -m "$model" -n 6 --conversation "$work/saved.json" -p 'Two?'
cat "$work/one" "$work/out" | cmp -s - "$work/both" || failed "the second answer is not that of the whole conversation"
chat 'Two?\n' --conversation "$work/saved.json"
cat "$work/one" "$work/out" | cmp -s - "$work/both" || failed "--conversation gives another second answer"

# Clearing and asking again.
chat 'One?\n/clear\nOne?\n'
cat "$work/one" "$work/one" | cmp -s - "$work/out" || failed "/clear does not start anew"
chat 'One?\n/retry\n'
cat "$work/one" "$work/one" | cmp -s - "$work/out" || failed "/retry at temperature 0 differs"
expect 0 "$vl2" ask -m "$model" -n 6 --system 'Be brief.' -p 'One?'
cp "$work/out" "$work/brief"
chat 'One?\n' --system 'Be brief.'
cmp -s "$work/out" "$work/brief" || failed "--system differs from ask"
chat '/system Be brief.\nOne?\n'
cmp -s "$work/out" "$work/brief" || failed "/system differs from --system"

# Several lines as one message.
expect 0 "$vl2" ask -m "$model" -n 6 -p 'One
two'
cp "$work/out" "$work/lines"
chat '"""One\ntwo"""\n'
cmp -s "$work/out" "$work/lines" || failed 'lines between """'
chat '"""\nOne\ntwo\n"""\n'
cmp -s "$work/out" "$work/lines" || failed 'lines between """ of their own'
chat 'One\\\ntwo\n'
cmp -s "$work/out" "$work/lines" || failed "lines with backslashes"
chat 'One\\\ntwo' # no line end at all
cmp -s "$work/out" "$work/lines" || failed "the last line without its end"
chat '\033[200~One\ntwo\033[201~\n'
cmp -s "$work/out" "$work/lines" || failed "pasted lines"

# Pictures.
expect 0 "$vl2" ask -m "$model" -n 6 --image "$picture" -p 'What?'
cp "$work/out" "$work/what"
chat "/image $picture\nWhat?\n"
cmp -s "$work/out" "$work/what" || failed "/image differs from ask --image"
chat 'What?\n' --image "$picture"
cmp -s "$work/out" "$work/what" || failed "--image differs from ask --image"
cp "$picture" "$work/a b.png"
chat "/image $work/a b.png\nWhat?\n"
cmp -s "$work/out" "$work/what" || failed "a path with a blank"
chat "/image \"$work/a b.png\"\nWhat?\n/save $work/picture.json\n"
cmp -s "$work/out" "$work/what" || failed "a path in quotes"
expect 0 "$vl2" ask -m "$model" -n 1 --conversation "$work/picture.json" -p 'And?' --json
same "pictures of the saved conversation" "$(field 'images#')" 1

# Commands and mistakes: the chat goes on, and its exit code is that of the first mistake.
chat '/help\n\n/quit\nOne?\n'
error_has '/retry'
test ! -s "$work/out" || failed "an answer after /quit"
chat_code=4
chat '/imagge x\nOne?\n'
error_has 'did you mean /image'
cmp -s "$work/out" "$work/one" || failed "no answer after a mistake"
chat '/retry\n'
error_has 'nothing was asked'
chat "/image $work/missing.png\nOne?\n"
error_has 'missing.png'
cmp -s "$work/out" "$work/one" || failed "no answer after a missing picture"
chat '/image\n/save\n'
error_has 'say /image FILE'
chat '<image>\nOne?\n'
cmp -s "$work/out" "$work/one" || failed "a message that failed stays in the conversation"
chat 'a b c d e f g h i j k l m n o p q r s t u v w x y z a b c d e f g h i j k l m n o p q r s t\n/clear\nOne?\n' -c 40
error_has 'context'
cmp -s "$work/out" "$work/one" || failed "no answer after a message that was too long"
chat_code=1
chat "One?\n/save $work/missing/x.json\n"
error_has 'missing/x.json'
chat_code=3
chat_model=$model
model=/nonexistent
chat 'One?\n'
model=$chat_model
finish
