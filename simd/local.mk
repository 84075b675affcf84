# simd: kernels, chosen at run time. One convenience library per ISA with its own flags; libsimd.la is
# compiled for the oldest machine of the architecture and is the only one that others call.
noinst_LTLIBRARIES += libsimd.la
simd_libs = libsimd.la

libsimd_la_SOURCES = \
	simd/activations.h \
	simd/arch.h \
	simd/attention.h \
	simd/cpu.c simd/cpu.h \
	simd/kernels.c simd/kernels.h \
	simd/layout.c simd/layout.h \
	simd/peak.h \
	simd/ref/activation.c \
	simd/ref/attention.c \
	simd/ref/matmul.c \
	simd/ref/norm.c \
	simd/ref/quantized.c simd/ref/quantized.h \
	simd/ref/ref.h \
	simd/ref/softmax.c \
	simd/ref/vector.c \
	simd/ref/widen.c

# Every ISA has one small file per operation: simd/lanes/ with that ISA's registers.
simd_lanes = \
	simd/lanes/activation.h simd/lanes/attention.h simd/lanes/attention_block.h \
	simd/lanes/attention_groups.h simd/lanes/attention_pairs.h simd/lanes/attention_state.h \
	simd/lanes/bytes.h \
	simd/lanes/common.h simd/lanes/exponential.h simd/lanes/many_chunk.h simd/lanes/many_dots.h \
	simd/lanes/many_rows.h simd/lanes/many_words.h simd/lanes/matmul.h simd/lanes/matmul_many.h \
	simd/lanes/product.h \
	simd/lanes/norm.h simd/lanes/packed.h simd/lanes/packed_decode.h simd/lanes/packed_many.h \
	simd/lanes/quantize.h simd/lanes/softmax.h simd/lanes/vector.h simd/lanes/weights.h \
	simd/lanes/widen.h

if ARCH_X86
libsimd_la_SOURCES += simd/x86/cpu_x86.c simd/x86/init_x86.c simd/x86/peak.h simd/x86/x86.h

noinst_LTLIBRARIES += libsimd_avx2.la libsimd_avxvnni.la libsimd_avx512.la libsimd_avx512bf16.la \
	libsimd_vnni.la libsimd_amx.la
simd_libs += libsimd_avx2.la libsimd_avxvnni.la libsimd_avx512.la libsimd_avx512bf16.la \
	libsimd_vnni.la libsimd_amx.la
libsimd_avx2_la_CFLAGS = $(AM_CFLAGS) -mavx2 -mfma -mf16c
libsimd_avx2_la_SOURCES = $(simd_lanes) \
	simd/x86/activation_avx2.c \
	simd/x86/attention_avx2.c \
	simd/x86/bytes_avx2.h \
	simd/x86/dot_avx2.h \
	simd/x86/lanes_avx2.h \
	simd/x86/matmul_avx2.c \
	simd/x86/matmul_many_avx2.c \
	simd/x86/norm_avx2.c \
	simd/x86/packed_avx2.c \
	simd/x86/packed_decode_avx2.c \
	simd/x86/packed_many_avx2.c \
	simd/x86/peak_avx2.c \
	simd/x86/quantize_avx2.c \
	simd/x86/softmax_avx2.c \
	simd/x86/vector_avx2.c \
	simd/x86/widen_avx2.c \
	simd/x86/words_avx2.h
libsimd_avxvnni_la_CFLAGS = $(AM_CFLAGS) -mavx2 -mfma -mf16c -mavxvnni
libsimd_avxvnni_la_SOURCES = $(simd_lanes) simd/x86/dot_avxvnni.h simd/x86/packed_avxvnni.c \
	simd/x86/packed_many_avxvnni.c
libsimd_avx512_la_CFLAGS = $(AM_CFLAGS) -mavx2 -mfma -mf16c -mavx512f -mavx512bw -mavx512dq \
	-mavx512vl
libsimd_avx512_la_SOURCES = $(simd_lanes) \
	simd/x86/activation_avx512.c \
	simd/x86/attention_avx512.c \
	simd/x86/bytes_avx512.h \
	simd/x86/dot_avx512.h \
	simd/x86/lanes_avx512.h \
	simd/x86/matmul_avx512.c \
	simd/x86/matmul_many_avx512.c \
	simd/x86/norm_avx512.c \
	simd/x86/packed_avx512.c \
	simd/x86/packed_decode_avx512.c \
	simd/x86/packed_many_avx512.c \
	simd/x86/peak_avx512.c \
	simd/x86/quantize_avx512.c \
	simd/x86/softmax_avx512.c \
	simd/x86/vector_avx512.c \
	simd/x86/widen_avx512.c \
	simd/x86/words_avx512.h
libsimd_avx512bf16_la_CFLAGS = $(libsimd_avx512_la_CFLAGS) -mavx512bf16
libsimd_avx512bf16_la_SOURCES = $(simd_lanes) simd/x86/attention_avx512bf16.c \
	simd/x86/pairs_avx512bf16.h simd/x86/split_avx512bf16.h
libsimd_vnni_la_CFLAGS = $(libsimd_avx512_la_CFLAGS) -mavx512vnni
libsimd_vnni_la_SOURCES = $(simd_lanes) simd/x86/dot_vnni.h simd/x86/packed_vnni.c \
	simd/x86/packed_many_vnni.c
libsimd_amx_la_CFLAGS = $(libsimd_avx512_la_CFLAGS) -mavx512bf16 -mamx-tile -mamx-int8 \
	-mamx-bf16
libsimd_amx_la_SOURCES = $(simd_lanes) \
	simd/x86/amx_config.h \
	simd/x86/attention_amx.c \
	simd/x86/matmul_many_amx.c \
	simd/x86/packed_many_amx.c \
	simd/x86/peak_amx.c \
	simd/x86/split_avx512bf16.h
else
if ARCH_ARM
libsimd_la_SOURCES += simd/arm/arm.h simd/arm/cpu_arm.c simd/arm/init_arm.c simd/arm/peak.h

noinst_LTLIBRARIES += libsimd_neon.la libsimd_dotprod.la libsimd_i8mm.la libsimd_bf16.la
simd_libs += libsimd_neon.la libsimd_dotprod.la libsimd_i8mm.la libsimd_bf16.la
libsimd_neon_la_SOURCES = $(simd_lanes) \
	simd/arm/activation_neon.c \
	simd/arm/attention_neon.c \
	simd/arm/bytes_neon.h \
	simd/arm/dot_neon.h \
	simd/arm/dot_operands.h \
	simd/arm/lanes_neon.h \
	simd/arm/matmul_many_neon.c \
	simd/arm/matmul_neon.c \
	simd/arm/norm_neon.c \
	simd/arm/packed_decode_neon.c \
	simd/arm/packed_many_neon.c \
	simd/arm/packed_neon.c \
	simd/arm/peak_neon.c \
	simd/arm/quantize_neon.c \
	simd/arm/softmax_neon.c \
	simd/arm/vector_neon.c \
	simd/arm/widen_neon.c \
	simd/arm/words_neon.h
libsimd_dotprod_la_CFLAGS = $(AM_CFLAGS) -march=armv8.2-a+dotprod
libsimd_dotprod_la_SOURCES = $(simd_lanes) simd/arm/dot_dotprod.h simd/arm/packed_dotprod.c \
	simd/arm/packed_many_dotprod.c
libsimd_i8mm_la_CFLAGS = $(AM_CFLAGS) -march=armv8.2-a+dotprod+i8mm
libsimd_i8mm_la_SOURCES = $(simd_lanes) simd/arm/packed_many_i8mm.c
libsimd_bf16_la_CFLAGS = $(AM_CFLAGS) -march=armv8.2-a+bf16
libsimd_bf16_la_SOURCES = $(simd_lanes) simd/arm/attention_bf16.c simd/arm/matmul_many_bf16.c \
	simd/arm/pairs_bf16.h
else
libsimd_la_SOURCES += simd/ref/arch_none.c
endif
endif

room_libs += $(simd_libs)
EXTRA_DIST += simd/README.md
