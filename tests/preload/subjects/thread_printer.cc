// A program of several threads that has nothing to do with VFIO: what it prints depends on nothing
// but its files, pipes and memory working as ever.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <thread>
#include <vector>

namespace {

std::atomic<unsigned long> sum{0};

void Work(unsigned long id) {
  int ends[2];
  if (pipe(ends) != 0) return;
  for (unsigned long i = 0; i < 100; ++i) {
    std::array<unsigned long, 2> sent = {id, i};
    std::array<unsigned long, 2> received{};
    if (write(ends[1], sent.data(), sizeof(sent)) != sizeof(sent)) return;
    if (read(ends[0], received.data(), sizeof(received)) != sizeof(received)) return;
    struct stat status;
    const int file = open("/dev/null", O_RDWR);
    if (fstat(file, &status) == 0 && S_ISCHR(status.st_mode)) sum += received[0] * received[1];
    close(file);
  }
  close(ends[0]);
  close(ends[1]);
}

}  // namespace

int main() {
  std::vector<std::thread> threads;
  for (unsigned long id = 1; id <= 8; ++id) threads.emplace_back(Work, id);
  for (std::thread& thread : threads) thread.join();
  std::printf("%lu\n", sum.load());
  return 0;
}
