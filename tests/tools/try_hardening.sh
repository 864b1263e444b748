#!/bin/sh
# See in the program itself that the protections of a release build took effect.
# sh tests/tools/try_hardening.sh PROGRAM
set -u
program=$1
failed=0

# has TEXT WHAT COMMAND...: the command's output has the text.
has() {
  text=$1
  what=$2
  shift 2
  if ! "$@" | grep -q -- "$text"; then
    echo "$program: $what is missing ($* shows no $text)"
    failed=1
  fi
}

has 'DYN (Position-Independent' "a position-independent executable" readelf -hW "$program"
has 'GNU_RELRO' "read-only relocations" readelf -lW "$program"
has 'BIND_NOW' "binding at start" readelf -dW "$program"
has '__stack_chk_fail' "the stack protector" readelf --dyn-syms -W "$program"
has '__[a-z]*printf_chk' "fortified calls" readelf --dyn-syms -W "$program"
if readelf -lW "$program" | grep 'GNU_STACK' | grep -q 'RWE'; then
  echo "$program: the stack is executable"
  failed=1
fi
case $(uname -m) in
  x86_64) has 'endbr64' "control-flow protection" objdump --disassemble=main "$program" ;;
esac
exit $failed
