# The kernel tests need simd/ and libc only; scripts/check-arm.sh builds the same files by hand.
check_PROGRAMS += tests/kernels/test_kernels
TESTS += tests/kernels/test_kernels
tests_kernels_test_kernels_SOURCES = \
	tests/kernels/harness.c tests/kernels/harness.h \
	tests/kernels/test_activation.c \
	tests/kernels/test_attention.c \
	tests/kernels/test_cpu.c \
	tests/kernels/test_kernels.c \
	tests/kernels/test_matmul.c \
	tests/kernels/test_norm.c \
	tests/kernels/test_packed.c \
	tests/kernels/test_softmax.c \
	tests/kernels/test_vector.c \
	tests/kernels/test_widen.c
tests_kernels_test_kernels_LDADD = $(simd_libs)

# Not part of make check: prints GB/s and ns per slot.
noinst_PROGRAMS += tests/kernels/bench_kernels
tests_kernels_bench_kernels_SOURCES = \
	tests/kernels/bench.h \
	tests/kernels/bench_attention.c \
	tests/kernels/bench_kernels.c \
	tests/kernels/bench_packed.c \
	tests/kernels/harness.c tests/kernels/harness.h
tests_kernels_bench_kernels_LDADD = $(simd_libs)

dist_noinst_SCRIPTS += scripts/check-arm.sh

dist_check_SCRIPTS += tests/kernels/check_baseline.sh
TESTS += tests/kernels/check_baseline.sh
