check_PROGRAMS += tests/unit/test_base
TESTS += tests/unit/test_base
tests_unit_test_base_SOURCES = tests/unit/test_base.c tests/test.h
tests_unit_test_base_CPPFLAGS = $(test_cppflags)
tests_unit_test_base_LDADD = $(test_ldadd)

check_PROGRAMS += tests/unit/test_team
TESTS += tests/unit/test_team
tests_unit_test_team_SOURCES = tests/unit/test_team.c tests/test.h
tests_unit_test_team_CPPFLAGS = $(test_cppflags)
tests_unit_test_team_LDADD = $(test_ldadd)

check_PROGRAMS += tests/unit/test_processors
TESTS += tests/unit/test_processors
tests_unit_test_processors_SOURCES = tests/unit/test_processors.c tests/test.h
tests_unit_test_processors_CPPFLAGS = $(test_cppflags)
tests_unit_test_processors_LDADD = $(test_ldadd)
