# Compiler and linker flags of the house. Each is tried once; what the compiler does not know is left out.
AC_DEFUN([HF_TRY_CFLAG], [
  AC_MSG_CHECKING([whether $CC takes $1])
  hf_saved="$CFLAGS"
  CFLAGS="$CFLAGS -Werror $1"
  AC_COMPILE_IFELSE([AC_LANG_PROGRAM()],
    [AC_MSG_RESULT([yes]); HF_CFLAGS="$HF_CFLAGS $1"], [AC_MSG_RESULT([no])])
  CFLAGS="$hf_saved"
])
AC_DEFUN([HF_TRY_LDFLAG], [
  AC_MSG_CHECKING([whether the linker takes $1])
  hf_saved="$LDFLAGS"
  LDFLAGS="$LDFLAGS -Werror $1"
  AC_LINK_IFELSE([AC_LANG_PROGRAM()],
    [AC_MSG_RESULT([yes]); HF_LDFLAGS="$HF_LDFLAGS $1"], [AC_MSG_RESULT([no])])
  LDFLAGS="$hf_saved"
])
AC_DEFUN([HF_FLAGS], [
  HF_CFLAGS="-std=gnu17"
  HF_LDFLAGS=""
  m4_foreach_w([flag], [-Wall -Wextra -Wshadow -Wconversion -Wvla -Wstrict-prototypes
    -Wmissing-prototypes -Wformat=2 -Werror=implicit-function-declaration
    -fstack-protector-strong -fstack-clash-protection -fcf-protection=full
    -ftrivial-auto-var-init=zero -fno-strict-aliasing -fPIE], [HF_TRY_CFLAG(flag)])
  AC_ARG_ENABLE([werror],
    [AS_HELP_STRING([--enable-werror], [a warning stops the build])])
  AS_IF([test "x$enable_werror" = xyes], [HF_CFLAGS="$HF_CFLAGS -Werror"])
  AS_CASE([" $CFLAGS "],
    [*" -O0 "*], [],
    [*"-fsanitize"*], [],
    [AS_IF([test "x$enable_sanitizers" != xyes && test "x$enable_coverage" != xyes],
      [HF_CFLAGS="$HF_CFLAGS -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3"])])
  m4_foreach_w([flag], [-pie -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack], [HF_TRY_LDFLAG(flag)])
])
