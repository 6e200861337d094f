// The two sides of the session channel, each given what the other might send.
#ifndef FUZZ_SESSION_SIDES_H_
#define FUZZ_SESSION_SIDES_H_

#include "fuzz/input.h"

namespace fuzz {

// A program's responder is asked by whoever says he is the daemon, while the program goes on.
void FuzzProgramSide(Input& input);

// A daemon's session server reads what whoever connected sends: as greetings, events and answers.
void FuzzDaemonSide(Input& input);

}  // namespace fuzz

#endif  // FUZZ_SESSION_SIDES_H_
