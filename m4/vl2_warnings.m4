# VL2_WARNINGS: collects in WARNING_CFLAGS the warnings that this compiler knows.
AC_DEFUN([VL2_WARNINGS],[
    WARNING_CFLAGS=
    for flag in -Wall -Wextra -Wshadow=local -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
                -Wwrite-strings -Wformat=2 -Wundef -Wvla -fno-common -ffp-contract=off; do
        AC_MSG_CHECKING([whether $CC knows $flag])
        save_CFLAGS=$CFLAGS
        CFLAGS="$CFLAGS -Werror $flag"
        AC_COMPILE_IFELSE([AC_LANG_PROGRAM([],[])],
            [AC_MSG_RESULT([yes]); WARNING_CFLAGS="$WARNING_CFLAGS $flag"],
            [AC_MSG_RESULT([no])])
        CFLAGS=$save_CFLAGS
    done
    AC_SUBST([WARNING_CFLAGS])
])
