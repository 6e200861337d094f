#include "tools/cli/elf_header.h"

#include <elf.h>
#include <link.h>
#include <unistd.h>

#include <bit>
#include <cstring>

namespace tools::cli {
namespace {

constexpr unsigned char kNativeClass = sizeof(void*) == 8 ? ELFCLASS64 : ELFCLASS32;
constexpr unsigned char kNativeData =
    std::endian::native == std::endian::little ? ELFDATA2LSB : ELFDATA2MSB;
#if defined(__x86_64__)
constexpr int kNativeMachine = EM_X86_64;
#elif defined(__aarch64__)
constexpr int kNativeMachine = EM_AARCH64;
#elif defined(__powerpc64__)
constexpr int kNativeMachine = EM_PPC64;
#else
#error "Name this machine's number from <elf.h>."
#endif

// Reads the file's bytes at `offset` into `value`.
template <typename T>
bool ReadAt(int fd, T& value, off_t offset) {
  return pread(fd, &value, sizeof(value), offset) == static_cast<ssize_t>(sizeof(value));
}

bool NamesInterpreter(int fd, const ElfW(Ehdr) & header) {
  for (int i = 0; i < header.e_phnum; ++i) {
    ElfW(Phdr) segment;
    const off_t offset = static_cast<off_t>(header.e_phoff) + i * header.e_phentsize;
    if (!ReadAt(fd, segment, offset)) return false;
    if (segment.p_type == PT_INTERP) return true;
  }
  return false;
}

}  // namespace

std::optional<ElfHeader> ReadElfHeader(int fd) {
  unsigned char identification[EI_NIDENT];
  if (!ReadAt(fd, identification, 0)) return std::nullopt;
  if (std::memcmp(identification, ELFMAG, SELFMAG) != 0) return std::nullopt;
  ElfW(Ehdr) header;
  const bool native = identification[EI_CLASS] == kNativeClass &&
                      identification[EI_DATA] == kNativeData && ReadAt(fd, header, 0) &&
                      header.e_machine == kNativeMachine;
  return ElfHeader{native, native && NamesInterpreter(fd, header)};
}

}  // namespace tools::cli
