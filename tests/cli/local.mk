# The program as a person uses it. Scripts that need a checkpoint skip (77) where there is none.
cli_tests = \
	tests/cli/test_bench.sh tests/cli/test_calibrate.sh tests/cli/test_compare.sh \
	tests/cli/test_default_model.sh tests/cli/test_demo.sh \
	tests/cli/test_eval.sh tests/cli/test_eval_sets.sh \
	tests/cli/test_ask.sh tests/cli/test_boxes.sh tests/cli/test_chat.sh tests/cli/test_examples.sh \
	tests/cli/test_ground.sh tests/cli/test_info.sh tests/cli/test_man.sh tests/cli/test_options.sh \
	tests/cli/test_output.sh tests/cli/test_pack.sh tests/cli/test_plan.sh tests/cli/test_synth.sh tests/cli/test_tiles.sh \
	tests/cli/test_tokenize.sh tests/cli/test_trace.sh tests/cli/test_unpack.sh \
	tests/cli/test_usage.sh tests/cli/test_verify.sh
dist_check_SCRIPTS += $(cli_tests)
TESTS += $(cli_tests)
EXTRA_DIST += tests/cli/lib.sh tests/data/demo

check_PROGRAMS += tests/cli/json_field
tests_cli_json_field_SOURCES = tests/cli/json_field.c
tests_cli_json_field_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS)
tests_cli_json_field_LDADD = $(JANSSON_LIBS)

check_PROGRAMS += tests/cli/test_tables
TESTS += tests/cli/test_tables
tests_cli_test_tables_SOURCES = tests/cli/test_tables.c tests/test.h
tests_cli_test_tables_CPPFLAGS = $(test_cppflags)
tests_cli_test_tables_LDADD = $(CMOCKA_LIBS) $(JANSSON_LIBS)

# A small packed file, to damage.
check_PROGRAMS += tests/cli/make_pack
tests_cli_make_pack_SOURCES = tests/cli/make_pack.c tests/unit/pack_builder.c \
	tests/unit/pack_builder.h tests/test.h
tests_cli_make_pack_CPPFLAGS = $(test_cppflags) $(ZSTD_CFLAGS) $(XXHASH_CFLAGS) \
	-I$(top_srcdir)/tests/unit
tests_cli_make_pack_LDADD = $(CMOCKA_LIBS) $(ZSTD_LIBS) $(XXHASH_LIBS)

# vl2 eval: scores and reader.
check_PROGRAMS += tests/cli/test_eval_score tests/cli/test_eval_tasks
TESTS += tests/cli/test_eval_score tests/cli/test_eval_tasks
eval_scores = src/cli/characters.c src/cli/characters.h src/cli/eval_boxes.c src/cli/eval_score.c \
	src/cli/eval_score.h src/cli/eval_text.c src/cli/eval_text.h
eval_reader = $(eval_scores) src/cli/eval_expected.c src/cli/eval_messages.c src/cli/eval_reader.h \
	src/cli/eval_tasks.c \
	src/cli/eval_tasks.h
tests_cli_test_eval_score_SOURCES = tests/cli/test_eval_score.c tests/test.h $(eval_scores)
tests_cli_test_eval_score_CPPFLAGS = $(test_cppflags)
tests_cli_test_eval_score_LDADD = $(CMOCKA_LIBS)
tests_cli_test_eval_tasks_SOURCES = tests/cli/test_eval_tasks.c tests/test.h $(eval_reader)
tests_cli_test_eval_tasks_CPPFLAGS = $(test_cppflags)
tests_cli_test_eval_tasks_LDADD = $(test_ldadd)
