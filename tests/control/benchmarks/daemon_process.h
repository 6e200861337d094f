// A vfio-compatd of the benchmark's own, with sockets in a temporary folder.
#ifndef TESTS_CONTROL_BENCHMARKS_DAEMON_PROCESS_H_
#define TESTS_CONTROL_BENCHMARKS_DAEMON_PROCESS_H_

#include <sys/types.h>

#include <cstdint>
#include <string>

namespace tests::control {

class DaemonProcess {
 public:
  // Starts it, and returns when it takes connections. Ends the program if it does not.
  DaemonProcess();
  // Ends it, and removes the folder.
  ~DaemonProcess();
  DaemonProcess(const DaemonProcess&) = delete;
  DaemonProcess& operator=(const DaemonProcess&) = delete;

  // Where programs and where gRPC's clients connect.
  std::string session_socket() const { return folder_ + "/session.sock"; }
  std::string target() const { return "unix:" + folder_ + "/control.sock"; }

  // Memory that it has, in bytes (VmRSS).
  uint64_t resident_bytes() const;

 private:
  std::string folder_;
  pid_t process_ = -1;
};

}  // namespace tests::control

#endif  // TESTS_CONTROL_BENCHMARKS_DAEMON_PROCESS_H_
