check_PROGRAMS += tests/unit/test_safetensors tests/unit/test_checkpoint
TESTS += tests/unit/test_safetensors tests/unit/test_checkpoint
tests_unit_test_safetensors_SOURCES = tests/unit/test_safetensors.c tests/test.h
tests_unit_test_safetensors_CPPFLAGS = $(test_cppflags)
tests_unit_test_safetensors_LDADD = $(test_ldadd)
tests_unit_test_checkpoint_SOURCES = tests/unit/test_checkpoint.c tests/test.h
tests_unit_test_checkpoint_CPPFLAGS = $(test_cppflags)
tests_unit_test_checkpoint_LDADD = $(test_ldadd)
