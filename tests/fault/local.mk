# What happens when reading fails.
check_PROGRAMS += tests/fault/test_paging
TESTS += tests/fault/test_paging
tests_fault_test_paging_SOURCES = tests/fault/test_paging.c $(model_data)
tests_fault_test_paging_CPPFLAGS = $(test_cppflags)
tests_fault_test_paging_LDADD = $(test_ldadd)
tests_fault_test_paging_LDFLAGS = -Wl,--wrap=ring_read -Wl,--wrap=ring_wait
