// A program one thread of which opens its first container while another one forks, again and again;
// the children open one too. Exits with 0 if all of them can.
#include <pthread.h>

#include <ctime>
#include <thread>

#include "tests/faults/child.h"
#include "tests/support/vfio_client.h"

namespace {

constexpr int kRounds = 150;

bool Opens() { return tests::OpenContainer().is_open(); }

// A process that knows of no host yet. Returns its exit status.
int OpenAndFork(int round) {
  pthread_barrier_t start;
  pthread_barrier_init(&start, nullptr, 2);
  bool has_opened = false;
  std::thread opener([&] {
    pthread_barrier_wait(&start);
    has_opened = Opens();
  });
  pthread_barrier_wait(&start);
  // Somewhere in the open.
  const timespec moment = {0, round * 10'000};
  nanosleep(&moment, nullptr);
  const int status = tests::InChild([] { return Opens() ? 0 : 1; });
  opener.join();
  return has_opened ? status : 2;
}

}  // namespace

int main() {
  for (int round = 0; round < kRounds; ++round) {
    const int status = tests::InChild([round] { return OpenAndFork(round) == 0 ? 0 : 1; });
    if (status != 0) return 1;
  }
  return 0;
}
