# Tests. Each room has a fragment of its own; all test programs link the library's rooms directly, so
# that internal functions can be tested.
test_ldadd = $(room_libs) $(CMOCKA_LIBS) $(OPENBLAS_LIBS) $(JPEG_LIBS) $(PNG_LIBS) $(ZSTD_LIBS) \
	$(JANSSON_LIBS) $(PCRE2_LIBS)
test_cppflags = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS) $(JANSSON_CFLAGS) -I$(top_srcdir)/tests \
	-DTEST_SOURCE_DIR='"$(abs_top_srcdir)/tests"' -DTEST_BUILD_DIR='"$(abs_top_builddir)/tests"'

include tests/unit/base.mk
include tests/unit/image.mk
include tests/unit/text.mk
include tests/unit/weights.mk
include tests/unit/model.mk
include tests/kernels/local.mk
include tests/golden/local.mk
include tests/cli/local.mk
include tests/fuzz/local.mk
include tests/fault/local.mk
