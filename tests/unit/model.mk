model_tests = tests/unit/test_config tests/unit/test_joining tests/unit/test_kvcache \
	tests/unit/test_model tests/unit/test_packed_latent tests/unit/test_rope \
	tests/unit/test_router tests/unit/test_sampler
check_PROGRAMS += $(model_tests)
TESTS += $(model_tests)
model_data = tests/unit/test_model_data.c tests/unit/test_model_data.h tests/test.h
model_oracle = tests/unit/oracle.c tests/unit/oracle.h tests/unit/oracle_decoder.c
tests_unit_test_config_SOURCES = tests/unit/test_config.c $(model_data)
tests_unit_test_config_CPPFLAGS = $(test_cppflags)
tests_unit_test_config_LDADD = $(test_ldadd)
tests_unit_test_joining_SOURCES = tests/unit/test_joining.c tests/test.h
tests_unit_test_joining_CPPFLAGS = $(test_cppflags)
tests_unit_test_joining_LDADD = $(test_ldadd)
tests_unit_test_kvcache_SOURCES = tests/unit/test_kvcache.c $(model_data)
tests_unit_test_kvcache_CPPFLAGS = $(test_cppflags)
tests_unit_test_kvcache_LDADD = $(test_ldadd)
tests_unit_test_model_SOURCES = tests/unit/test_model.c $(model_data) $(model_oracle)
tests_unit_test_model_CPPFLAGS = $(test_cppflags)
tests_unit_test_model_LDADD = $(test_ldadd)
tests_unit_test_packed_latent_SOURCES = tests/unit/test_packed_latent.c $(model_data)
tests_unit_test_packed_latent_CPPFLAGS = $(test_cppflags)
tests_unit_test_packed_latent_LDADD = $(test_ldadd)
tests_unit_test_rope_SOURCES = tests/unit/test_rope.c tests/test.h
tests_unit_test_rope_CPPFLAGS = $(test_cppflags)
tests_unit_test_rope_LDADD = $(test_ldadd)
tests_unit_test_router_SOURCES = tests/unit/test_router.c $(model_oracle) tests/test.h
tests_unit_test_router_CPPFLAGS = $(test_cppflags)
tests_unit_test_router_LDADD = $(test_ldadd)
tests_unit_test_sampler_SOURCES = tests/unit/test_sampler.c tests/test.h
tests_unit_test_sampler_CPPFLAGS = $(test_cppflags)
tests_unit_test_sampler_LDADD = $(test_ldadd)

engine_tests = tests/unit/test_engine tests/unit/test_engine_files tests/unit/test_calibrate \
	tests/unit/test_compare tests/unit/test_comparison tests/unit/test_packed_model \
	tests/unit/test_random_weights
check_PROGRAMS += $(engine_tests)
TESTS += $(engine_tests)
tests_unit_test_engine_SOURCES = tests/unit/test_engine.c $(model_data)
tests_unit_test_engine_CPPFLAGS = $(test_cppflags)
tests_unit_test_engine_LDADD = $(test_ldadd)
tests_unit_test_engine_files_SOURCES = tests/unit/test_engine_files.c $(model_data)
tests_unit_test_engine_files_CPPFLAGS = $(test_cppflags)
tests_unit_test_engine_files_LDADD = $(test_ldadd)
tests_unit_test_calibrate_SOURCES = tests/unit/test_calibrate.c $(model_data)
tests_unit_test_calibrate_CPPFLAGS = $(test_cppflags)
tests_unit_test_calibrate_LDADD = $(test_ldadd)
tests_unit_test_compare_SOURCES = tests/unit/test_compare.c $(model_data)
tests_unit_test_compare_CPPFLAGS = $(test_cppflags)
tests_unit_test_compare_LDADD = $(test_ldadd)
tests_unit_test_comparison_SOURCES = tests/unit/test_comparison.c tests/test.h
tests_unit_test_comparison_CPPFLAGS = $(test_cppflags)
tests_unit_test_comparison_LDADD = $(test_ldadd)
tests_unit_test_packed_model_SOURCES = tests/unit/test_packed_model.c $(model_data)
tests_unit_test_packed_model_CPPFLAGS = $(test_cppflags)
tests_unit_test_packed_model_LDADD = $(test_ldadd)
tests_unit_test_random_weights_SOURCES = tests/unit/test_random_weights.c $(model_data)
tests_unit_test_random_weights_CPPFLAGS = $(test_cppflags)
tests_unit_test_random_weights_LDADD = $(test_ldadd)
