weights_tests = tests/unit/test_safetensors tests/unit/test_checkpoint tests/unit/test_synth \
	tests/unit/test_lora tests/unit/test_loader
check_PROGRAMS += $(weights_tests)
TESTS += $(weights_tests)
tests_unit_test_safetensors_SOURCES = tests/unit/test_safetensors.c \
	tests/fuzz/fuzz_safetensors.c tests/test.h
tests_unit_test_safetensors_CPPFLAGS = $(test_cppflags)
tests_unit_test_safetensors_LDADD = $(test_ldadd)
tests_unit_test_checkpoint_SOURCES = tests/unit/test_checkpoint.c tests/unit/test_folder.h \
	tests/test.h
tests_unit_test_checkpoint_CPPFLAGS = $(test_cppflags)
tests_unit_test_checkpoint_LDADD = $(test_ldadd)
tests_unit_test_loader_SOURCES = tests/unit/test_loader.c tests/unit/test_folder.h tests/test.h
tests_unit_test_loader_CPPFLAGS = $(test_cppflags)
tests_unit_test_loader_LDADD = $(test_ldadd)
tests_unit_test_loader_LDFLAGS = -Wl,--wrap=ring_wait
tests_unit_test_lora_SOURCES = tests/unit/test_lora.c tests/unit/test_folder.h tests/test.h
tests_unit_test_lora_CPPFLAGS = $(test_cppflags)
tests_unit_test_lora_LDADD = $(test_ldadd)
tests_unit_test_synth_SOURCES = tests/unit/test_synth.c tests/unit/test_folder.h tests/test.h
tests_unit_test_synth_CPPFLAGS = $(test_cppflags)
tests_unit_test_synth_LDADD = $(test_ldadd)

# Starting points for fuzzing, one kind of file each.
EXTRA_DIST += \
	tests/data/weights/fuzz/deep tests/data/weights/fuzz/duplicate \
	tests/data/weights/fuzz/good tests/data/weights/fuzz/good_empty \
	tests/data/weights/fuzz/hole tests/data/weights/fuzz/length_beyond \
	tests/data/weights/fuzz/length_huge tests/data/weights/fuzz/not_json \
	tests/data/weights/fuzz/overflow tests/data/weights/fuzz/overlap \
	tests/data/weights/fuzz/short tests/data/weights/fuzz/zero_size

# Prints the tables of weights/PAGING.md.
noinst_PROGRAMS += tests/tools/replay_routing
tests_tools_replay_routing_SOURCES = tests/tools/replay_routing.c
tests_tools_replay_routing_CPPFLAGS = $(AM_CPPFLAGS)
tests_tools_replay_routing_LDADD = $(test_ldadd)
