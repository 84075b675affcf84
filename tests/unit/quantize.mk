quantize_tests = tests/unit/test_quantize tests/unit/test_quantize_layout \
	tests/unit/test_quantize_product
check_PROGRAMS += $(quantize_tests)
TESTS += $(quantize_tests)
quantize_headers = tests/unit/quantize_data.h tests/unit/quantize_matrix.h tests/test.h

tests_unit_test_quantize_SOURCES = tests/unit/test_quantize.c $(quantize_headers)
tests_unit_test_quantize_CPPFLAGS = $(test_cppflags)
tests_unit_test_quantize_LDADD = $(test_ldadd)
tests_unit_test_quantize_layout_SOURCES = tests/unit/test_quantize_layout.c $(quantize_headers)
tests_unit_test_quantize_layout_CPPFLAGS = $(test_cppflags)
tests_unit_test_quantize_layout_LDADD = $(test_ldadd)
tests_unit_test_quantize_product_SOURCES = tests/unit/test_quantize_product.c $(quantize_headers)
tests_unit_test_quantize_product_CPPFLAGS = $(test_cppflags)
tests_unit_test_quantize_product_LDADD = $(test_ldadd)

# Not part of make check: prints the table of weights/QUANTIZATION.md.
noinst_PROGRAMS += tests/tools/quantization_table
tests_tools_quantization_table_SOURCES = tests/tools/quantization_table.c tests/unit/quantize_data.h
tests_tools_quantization_table_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests/unit
tests_tools_quantization_table_LDADD = $(test_ldadd)

# Prints the table of activations in simd/README.md.
noinst_PROGRAMS += tests/tools/activation_table
tests_tools_activation_table_SOURCES = tests/tools/activation_table.c tests/unit/quantize_data.h
tests_tools_activation_table_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests/unit
tests_tools_activation_table_LDADD = $(test_ldadd)
