# Fuzz targets. make check replays their corpora (replay.c); a fuzzer is linked by hand, see each file.
fuzz_targets = \
	tests/fuzz/fuzz_config \
	tests/fuzz/fuzz_eval_tasks \
	tests/fuzz/fuzz_grounding \
	tests/fuzz/fuzz_image \
	tests/fuzz/fuzz_pack \
	tests/fuzz/fuzz_safetensors \
	tests/fuzz/fuzz_tokenizer \
	tests/fuzz/fuzz_tokenizer_compiled
check_PROGRAMS += $(fuzz_targets)
tests_fuzz_fuzz_config_SOURCES = tests/fuzz/fuzz_config.c tests/fuzz/replay.c
tests_fuzz_fuzz_config_LDADD = $(test_ldadd)
tests_fuzz_fuzz_eval_tasks_SOURCES = tests/fuzz/fuzz_eval_tasks.c tests/fuzz/replay.c \
	$(eval_reader)
tests_fuzz_fuzz_eval_tasks_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS)
tests_fuzz_fuzz_eval_tasks_LDADD = $(test_ldadd)
tests_fuzz_fuzz_grounding_SOURCES = tests/fuzz/fuzz_grounding.c tests/fuzz/replay.c
tests_fuzz_fuzz_grounding_LDADD = $(test_ldadd)
tests_fuzz_fuzz_image_SOURCES = tests/fuzz/fuzz_image.c tests/fuzz/replay.c
tests_fuzz_fuzz_image_LDADD = $(test_ldadd)
tests_fuzz_fuzz_pack_SOURCES = tests/fuzz/fuzz_pack.c tests/fuzz/fuzz_pack.h tests/fuzz/replay.c
tests_fuzz_fuzz_pack_CPPFLAGS = $(AM_CPPFLAGS) $(XXHASH_CFLAGS)
tests_fuzz_fuzz_pack_LDADD = $(test_ldadd)
tests_fuzz_fuzz_safetensors_SOURCES = tests/fuzz/fuzz_safetensors.c tests/fuzz/replay.c
tests_fuzz_fuzz_safetensors_LDADD = $(test_ldadd)
tests_fuzz_fuzz_tokenizer_SOURCES = tests/fuzz/fuzz_tokenizer.c tests/fuzz/replay.c
tests_fuzz_fuzz_tokenizer_LDADD = $(test_ldadd)
tests_fuzz_fuzz_tokenizer_compiled_SOURCES = tests/fuzz/fuzz_tokenizer_compiled.c \
	tests/fuzz/replay.c
tests_fuzz_fuzz_tokenizer_compiled_LDADD = $(test_ldadd)

dist_check_SCRIPTS += tests/fuzz/test_replay.sh
TESTS += tests/fuzz/test_replay.sh
EXTRA_DIST += tests/data/config tests/data/eval tests/data/weights/pack
