# base: what every room needs. Includes libc and jansson only.
noinst_LTLIBRARIES += libbase.la
room_libs += libbase.la
libbase_la_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS)
libbase_la_SOURCES = \
	src/base/alloc.c src/base/alloc.h \
	src/base/buffer.c src/base/buffer.h \
	src/base/cgroup.c src/base/cgroup.h \
	src/base/clock.c src/base/clock.h \
	src/base/crew.c src/base/crew.h \
	src/base/error.c src/base/error.h \
	src/base/file.c src/base/file.h \
	src/base/json.c src/base/json.h \
	src/base/memory.c src/base/memory.h \
	src/base/processors.c src/base/processors.h \
	src/base/sha256.c src/base/sha256.h \
	src/base/team.c src/base/team.h \
	src/base/tensor.c src/base/tensor.h
