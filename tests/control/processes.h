// A daemon that can be killed and started again, and a program under the library beside it.
#ifndef TESTS_CONTROL_PROCESSES_H_
#define TESTS_CONTROL_PROCESSES_H_

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

namespace grpc {
class Channel;
}

namespace tests::control {

// A process with pipes to its standard input and from its standard output.
class Process {
 public:
  // `environment`: changes to this process's own, "NAME=VALUE".
  Process(const std::vector<std::string>& arguments, const std::vector<std::string>& environment);
  // Kills it.
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  pid_t pid() const { return pid_; }
  void Signal(int signal) const;
  // Kills it, and waits for its end.
  void Kill();
  // Whether it has not ended.
  bool IsAlive() const;

  void Write(const std::string& text) const;
  // What it writes until it has written `end`, which is left out; "ENDED" if it ends first.
  std::string ReadUntil(const std::string& end);
  // Whether it writes nothing for this long.
  bool IsQuietFor(int milliseconds) const;

 private:
  pid_t pid_ = -1;
  int input_ = -1;
  int output_ = -1;
  std::string read_;  // and not returned yet
};

// vfio-compatd on sockets of its own: //tools/daemon:vfio-compatd in `data`.
class Daemon {
 public:
  Daemon();
  ~Daemon();
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  // kill -9.
  void Kill();
  // Starts it, again.
  void Start();
  std::string session_socket() const { return folder_ + "/session.sock"; }
  // A connection to it.
  std::shared_ptr<grpc::Channel> Connect() const;

 private:
  std::string folder_;
  std::unique_ptr<Process> process_;
};

// qemu-io on an emulated disk: one command at a time.
class QemuIo {
 public:
  // `device`: as VFIO_COMPAT_DEVICES has it, `url`: as QEMU names the disk.
  QemuIo(const Daemon& daemon, const std::string& device, const std::string& url);

  void Send(const std::string& command) const { process_.Write(command + "\n"); }
  // What it says to the command sent.
  std::string Answer() { return process_.ReadUntil("qemu-io> "); }
  std::string Do(const std::string& command);
  Process& process() { return process_; }

 private:
  Process process_;
};

}  // namespace tests::control

#endif  // TESTS_CONTROL_PROCESSES_H_
