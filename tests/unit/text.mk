text_test_cppflags = $(test_cppflags) $(PCRE2_CFLAGS)
check_PROGRAMS += tests/unit/test_tokenizer
TESTS += tests/unit/test_tokenizer
tests_unit_test_tokenizer_SOURCES = tests/unit/test_tokenizer.c tests/unit/text_data.h tests/test.h
tests_unit_test_tokenizer_CPPFLAGS = $(text_test_cppflags)
tests_unit_test_tokenizer_LDADD = $(test_ldadd)
EXTRA_DIST += tests/data/text/reduced-128k.json tests/data/text/reduced-100k.json
