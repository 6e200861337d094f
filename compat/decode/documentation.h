// The table of calls for readers: docs/calls.md is what this renders.
#ifndef COMPAT_DECODE_DOCUMENTATION_H_
#define COMPAT_DECODE_DOCUMENTATION_H_

#include <string>

#include "compat/decode/call.h"

namespace compat::decode {

// "container (type1, type1v2)", "device, cdev": where a row is valid. Types are named only where
// they matter.
std::string WhereValid(const CallRow& row);

// "none", "value", "at least 16 of 24 bytes": a row's argument.
std::string ArgumentText(const CallRow& row);

// "0x7", "none", or "any" for unchecked flags; "-" for a call without flags.
std::string FlagsText(const CallRow& row);

// All rows as a Markdown document.
std::string CallsAsMarkdown();

}  // namespace compat::decode

#endif  // COMPAT_DECODE_DOCUMENTATION_H_
