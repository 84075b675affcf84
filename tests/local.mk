# Tests. Each room has a fragment of its own; all test programs link the library's rooms directly, so
# that internal functions can be tested. They are merged first: a linker takes from a row of archives
# only what it has missed so far, which would tie the order of room_libs to who calls whom.
noinst_LTLIBRARIES += librooms.la
librooms_la_SOURCES =
librooms_la_LIBADD = $(room_libs)
test_ldadd = librooms.la $(CMOCKA_LIBS) $(OPENBLAS_LIBS) $(JPEG_LIBS) $(PNG_LIBS) $(ZSTD_LIBS) $(URING_LIBS) \
	$(XXHASH_LIBS) $(JANSSON_LIBS) $(PCRE2_LIBS)
test_cppflags = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS) $(JANSSON_CFLAGS) -I$(top_srcdir)/tests \
	-DTEST_SOURCE_DIR='"$(abs_top_srcdir)/tests"' -DTEST_BUILD_DIR='"$(abs_top_builddir)/tests"'

include tests/unit/base.mk
include tests/unit/image.mk
include tests/unit/text.mk
include tests/unit/weights.mk
include tests/unit/pack.mk
include tests/unit/quantize.mk
include tests/unit/model.mk
include tests/kernels/local.mk
include tests/golden/local.mk
include tests/source/local.mk
include tests/cli/local.mk
include tests/fuzz/local.mk
include tests/fault/local.mk
