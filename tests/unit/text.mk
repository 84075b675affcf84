text_test_cppflags = $(test_cppflags) $(PCRE2_CFLAGS)
text_tests = tests/unit/test_tokenizer tests/unit/test_tokenizer_compiled \
	tests/unit/test_tokenizer_pattern tests/unit/test_prompt tests/unit/test_grounding
check_PROGRAMS += $(text_tests)
TESTS += $(text_tests)
EXTRA_DIST += tests/data/text/parse_ref_bbox.json tests/data/text/parse_ref_bbox_edge.json \
	tests/data/text/prompts.json tests/data/text/reduced-128k.json \
	tests/data/text/reduced-100k.json tests/data/text/strings.jsonl \
	tests/data/text/compiled/plain tests/data/text/compiled/options

tests_unit_test_tokenizer_SOURCES = tests/unit/test_tokenizer.c tests/unit/text_data.h tests/test.h
tests_unit_test_tokenizer_CPPFLAGS = $(text_test_cppflags)
tests_unit_test_tokenizer_LDADD = $(test_ldadd)

tests_unit_test_tokenizer_compiled_SOURCES = tests/unit/test_tokenizer_compiled.c \
	tests/unit/text_data.h tests/test.h
tests_unit_test_tokenizer_compiled_CPPFLAGS = $(text_test_cppflags)
tests_unit_test_tokenizer_compiled_LDADD = $(test_ldadd)

tests_unit_test_prompt_SOURCES = tests/unit/test_prompt.c tests/unit/text_data.h tests/test.h
tests_unit_test_prompt_CPPFLAGS = $(text_test_cppflags)
tests_unit_test_prompt_LDADD = $(test_ldadd)

tests_unit_test_grounding_SOURCES = tests/unit/test_grounding.c tests/unit/text_data.h tests/test.h
tests_unit_test_grounding_CPPFLAGS = $(text_test_cppflags)
tests_unit_test_grounding_LDADD = $(test_ldadd)

tests_unit_test_tokenizer_pattern_SOURCES = tests/unit/test_tokenizer_pattern.c \
	tests/unit/text_data.h tests/test.h
tests_unit_test_tokenizer_pattern_CPPFLAGS = $(text_test_cppflags)
tests_unit_test_tokenizer_pattern_LDADD = $(test_ldadd)
