// A program with a session: does what its argument says, writes a line, and ends with its input.
#include <fcntl.h>
#include <linux/vfio.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <filesystem>
#include <iterator>

namespace {

void WaitForEndOfInput() {
  char byte;
  while (read(STDIN_FILENO, &byte, 1) > 0) continue;
}

void Say(const char* line) {
  std::puts(line);
  std::fflush(stdout);
}

void* WaitALittle(void* /*nothing*/) {
  const timespec moment{0, 50'000'000};
  nanosleep(&moment, nullptr);
  return nullptr;
}

// Has a child that uses the container, or iommufd.
int Fork(int container, bool uses_iommufd) {
  const pid_t child = fork();
  if (child == 0) {
    if (uses_iommufd) {
      (void)open("/dev/iommu", O_RDWR);
    } else {
      ioctl(container, VFIO_GET_API_VERSION);
    }
    WaitForEndOfInput();
    return 0;
  }
  Say("forked");
  waitpid(child, nullptr, 0);
  return 0;
}

}  // namespace

int main(int /*count*/, char** arguments) {
  const int container = open("/dev/vfio/vfio", O_RDWR);
  if (container < 0) return 1;
  const char* const task = arguments[1];
  if (std::strcmp(task, "threads") == 0) {
    const std::filesystem::directory_iterator threads("/proc/self/task");
    std::printf("%td\n", std::distance(begin(threads), end(threads)));
    return 0;
  }
  if (std::strcmp(task, "exit of the first thread") == 0) {
    pthread_t thread;
    pthread_create(&thread, nullptr, WaitALittle, nullptr);
    pthread_exit(nullptr);
  }
  if (std::strcmp(task, "fork") == 0) return Fork(container, false);
  if (std::strcmp(task, "fork for iommufd") == 0) return Fork(container, true);
  if (std::strcmp(task, "close all") == 0) {
    closefrom(3);
    for (int fd = 3; fd < 5000; ++fd) close(fd);
  }
  Say("ready");
  WaitForEndOfInput();
  return 0;
}
