// Any bytes on the session channel, in both directions: session_program_side.cc,
// session_daemon_side.cc.
//
// An input: which side reads, and what is done and sent.
#include "fuzz/input.h"
#include "fuzz/session_sides.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input input(data, size);
  if (input.TakeBelow(2) == 0) {
    fuzz::FuzzProgramSide(input);
  } else {
    fuzz::FuzzDaemonSide(input);
  }
  return 0;
}
