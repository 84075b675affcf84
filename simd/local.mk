# simd: kernels, chosen at run time. One convenience library per ISA with its own flags; libsimd.la is
# compiled for the oldest machine of the architecture and is the only one that others call.
noinst_LTLIBRARIES += libsimd.la
room_libs += libsimd.la
libsimd_la_SOURCES = \
	simd/arch.h \
	simd/cpu.c simd/cpu.h \
	simd/kernels.c simd/kernels.h \
	simd/ref/activation.c \
	simd/ref/matmul.c \
	simd/ref/norm.c \
	simd/ref/ref.h \
	simd/ref/softmax.c \
	simd/ref/vector.c \
	simd/ref/widen.c

if ARCH_X86
libsimd_la_SOURCES += simd/x86/cpu_x86.c simd/x86/init_x86.c simd/x86/x86.h
else
if ARCH_ARM
libsimd_la_SOURCES += simd/arm/arm.h simd/arm/cpu_arm.c simd/arm/init_arm.c
else
libsimd_la_SOURCES += simd/ref/arch_none.c
endif
endif
