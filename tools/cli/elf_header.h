// What an ELF file's headers say about how it is started.
#ifndef TOOLS_CLI_ELF_HEADER_H_
#define TOOLS_CLI_ELF_HEADER_H_

#include <optional>

namespace tools::cli {

struct ElfHeader {
  bool native;   // for the machine and word size of this program
  bool dynamic;  // names an interpreter: the dynamic loader starts it
};

// Reads the headers of the file open at `fd`; nothing if it is not an ELF file.
std::optional<ElfHeader> ReadElfHeader(int fd);

}  // namespace tools::cli

#endif  // TOOLS_CLI_ELF_HEADER_H_
