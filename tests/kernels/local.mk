# The kernel tests need simd/ and libc only; scripts/check-arm.sh builds the same files by hand.
check_PROGRAMS += tests/kernels/test_kernels
TESTS += tests/kernels/test_kernels
tests_kernels_test_kernels_SOURCES = \
	tests/kernels/harness.c tests/kernels/harness.h \
	tests/kernels/test_activation.c \
	tests/kernels/test_attention.c \
	tests/kernels/test_cpu.c \
	tests/kernels/test_kernels.c \
	tests/kernels/test_many.c \
	tests/kernels/test_matmul.c \
	tests/kernels/test_norm.c \
	tests/kernels/test_packed.c \
	tests/kernels/test_softmax.c \
	tests/kernels/test_vector.c \
	tests/kernels/test_widen.c
tests_kernels_test_kernels_LDADD = $(simd_libs)

# AMX on processors without it: the objects of emulated_*.c take the place of libsimd_amx's.
if ARCH_X86
check_PROGRAMS += tests/kernels/test_emulated
TESTS += tests/kernels/test_emulated
check_LTLIBRARIES += libemulated_amx.la
libemulated_amx_la_CFLAGS = $(libsimd_avx512_la_CFLAGS) -mavx512bf16
libemulated_amx_la_SOURCES = tests/kernels/emulated_amx.c tests/kernels/emulated_amx.h \
	tests/kernels/emulated_amx_bf16.c tests/kernels/emulated_attention.c
tests_kernels_test_emulated_SOURCES = \
	tests/kernels/harness.c tests/kernels/harness.h \
	tests/kernels/test_attention.c \
	tests/kernels/test_emulated.c \
	tests/kernels/test_many.c \
	tests/kernels/test_packed.c
tests_kernels_test_emulated_LDADD = libemulated_amx.la $(simd_libs)
endif

# Not part of make check: prints GB/s and ns per slot.
noinst_PROGRAMS += tests/kernels/bench_kernels
tests_kernels_bench_kernels_SOURCES = \
	tests/kernels/bench.h \
	tests/kernels/bench_attention.c \
	tests/kernels/bench_kernels.c \
	tests/kernels/bench_many.c \
	tests/kernels/bench_packed.c \
	tests/kernels/harness.c tests/kernels/harness.h
tests_kernels_bench_kernels_CPPFLAGS = $(AM_CPPFLAGS) $(OPENBLAS_CFLAGS)
tests_kernels_bench_kernels_LDADD = $(simd_libs) $(OPENBLAS_LIBS)

dist_noinst_SCRIPTS += scripts/arm-instructions.sh scripts/check-arm.sh

dist_check_SCRIPTS += tests/kernels/check_baseline.sh
TESTS += tests/kernels/check_baseline.sh
