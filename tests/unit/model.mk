model_tests = tests/unit/test_model
check_PROGRAMS += $(model_tests)
TESTS += $(model_tests)
model_data = tests/unit/test_model_data.c tests/unit/test_model_data.h tests/test.h
model_oracle = tests/unit/oracle.c tests/unit/oracle.h tests/unit/oracle_decoder.c
tests_unit_test_model_SOURCES = tests/unit/test_model.c $(model_data) $(model_oracle)
tests_unit_test_model_CPPFLAGS = $(test_cppflags)
tests_unit_test_model_LDADD = $(test_ldadd)
