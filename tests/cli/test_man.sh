#!/bin/sh
# The manual pages are well-formed, and vl2.3 names every function of the header.
. "$top_srcdir/tests/cli/lib.sh"
for function in $(grep -o '\<vl2_[a-z0-9_]*(' "$top_srcdir/src/vl2.h" | tr -d '(' | sort -u); do
    grep -Eq "Fn $function( |\$)" "$top_srcdir/man/vl2.3" || failed "$function is not in vl2.3"
done
command -v mandoc > /dev/null || {
    test "$failures" -eq 0 || finish
    skip_all "mandoc is not installed"
}
for page in "$top_srcdir"/man/vl2*.[135]; do
    mandoc -T lint -W warning "$page" || failed "$page"
done
finish
