// Runs every file of the folders that it is given once through a fuzz target, without libFuzzer.
// Fails if a folder holds none: a corpus that is not found tests nothing.
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <span>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
extern "C" __attribute__((weak)) int LLVMFuzzerInitialize(int* argc, char*** argv);

namespace {

namespace fs = std::filesystem;

// All files, by name, so that every run is alike. Bazel shows them as links.
std::set<fs::path> FilesIn(const fs::path& folder) {
  std::set<fs::path> files;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (entry.is_regular_file()) files.insert(entry.path());
  }
  return files;
}

// The input is as large as the file and no larger, so that a read past its end is seen.
void RunFile(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  const std::vector<char> text((std::istreambuf_iterator<char>(stream)),
                               std::istreambuf_iterator<char>());
  const std::vector<uint8_t> bytes(text.begin(), text.end());
  // Said before: an input that ends the process is the one named last.
  std::fprintf(stderr, "%s, %zu bytes\n", file.c_str(), bytes.size());
  LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
}

}  // namespace

int main(int argc, char** argv) {
  if (LLVMFuzzerInitialize != nullptr) LLVMFuzzerInitialize(&argc, &argv);
  if (argc < 2) {
    std::fprintf(stderr, "usage: %s FOLDER...\n", argv[0]);
    return 2;
  }
  for (const char* folder : std::span(argv + 1, argc - 1)) {
    // What LLVMFuzzerInitialize says is for libFuzzer.
    if (*folder == '-') continue;
    const std::set<fs::path> files = FilesIn(folder);
    if (files.empty()) {
      std::fprintf(stderr, "%s holds no input\n", folder);
      return 1;
    }
    for (const fs::path& file : files) RunFile(file);
    std::printf("%s: %zu inputs\n", folder, files.size());
  }
  return 0;
}
