#include "compat/session/control_thread.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include "compat/events/counters.h"
#include "compat/events/events.h"
#include "compat/session/faults.h"
#include "compat/session/responder.h"
#include "compat/session/writer.h"
#include "ioas/base/own_thread.h"
#include "ioas/base/system_call.h"
#include "ioas/soft/hidden_descriptors.h"

namespace compat::session {

using ioas::SystemCall;

namespace {

// How long to wait for a daemon before the next attempt, in milliseconds.
constexpr int64_t kShortestDelay = 10;
constexpr int64_t kLongestDelay = 500;
// The same after one of another version.
constexpr int64_t kOtherVersionDelay = 5000;
// How long events are gathered while they keep coming, in milliseconds.
constexpr int64_t kBatchInterval = 4;
// How long the thread looks for more after events. Then it sleeps, and the next event's call wakes
// it, which takes that call some 50 times as long as the event itself.
constexpr int64_t kLinger = 200;
// How often to ask whether the program still has threads, in milliseconds.
constexpr int64_t kLookInterval = 1000;

int64_t Milliseconds() {
  timespec now = {};
  SystemCall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000 + now.tv_nsec / 1'000'000;
}

// Reads a file of /proc. Returns how many bytes it had, as far as they fit.
size_t ReadProc(const char* path, std::span<char> buffer) {
  const ioas::Result<int> fd = ioas::soft::OpenHidden(
      [path] { return SystemCall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0); });
  if (!fd.ok()) return 0;
  const long size = SystemCall(SYS_read, *fd, buffer.data(), buffer.size());
  ioas::soft::CloseHidden(*fd);
  return size > 0 ? static_cast<size_t>(size) : 0;
}

Hello DescribeProcess(const vfio::Host& host) {
  Hello hello = {};
  SystemCall(SYS_getrandom, &hello.session, sizeof(hello.session), 0);
  hello.host = host.state().id;
  timespec now = {};
  SystemCall(SYS_clock_gettime, CLOCK_REALTIME, &now);
  hello.start_time = static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
  hello.pid = static_cast<int32_t>(SystemCall(SYS_getpid));
  hello.backend = host.state().soft ? 1 : 2;
  // Zeros between the arguments, and behind the last.
  const std::span<char> command(hello.command, sizeof(hello.command) - 1);
  size_t size = ReadProc("/proc/self/cmdline", command);
  while (size > 0 && command[size - 1] == '\0') --size;
  std::replace(command.begin(), command.begin() + static_cast<ptrdiff_t>(size), '\0', ' ');
  return hello;
}

}  // namespace

ControlThread::ControlThread(vfio::Host& host, const char* path) : host_(host), path_(path) {}

ioas::Status ControlThread::Start() {
  if (buffers_ == nullptr) {
    void* const memory =
        mmap(nullptr, 3 * kMaxMessage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return ioas::Error{ENOMEM, "no memory for messages"};
    buffers_ = static_cast<std::byte*>(memory);
  }
  const ioas::Result<int> hidden = ioas::soft::OpenHidden(
      [] { return SystemCall(SYS_eventfd2, 0, EFD_CLOEXEC | EFD_NONBLOCK); });
  if (!hidden.ok()) return hidden.error();
  wake_ = *hidden;
  hello_ = DescribeProcess(host_);
  is_stopping_ = false;
  ObserveFaults(true);
  events::StartCounting();

  // A program's thread that polls with a real-time priority would never let one like it run.
  if (ioas::StartOwnThread(thread_, ioas::Scheduling::kOrdinary, &ThreadMain, this) != 0) {
    ioas::soft::CloseHidden(wake_);
    return ioas::Error{EAGAIN, "no control thread is to be had"};
  }
  is_running_.store(true, std::memory_order_release);
  return {};
}

void ControlThread::Stop() {
  if (!running()) return;
  is_stopping_ = true;
  const uint64_t one = 1;
  SystemCall(SYS_write, wake_, &one, sizeof(one));
  pthread_join(thread_, nullptr);
  is_running_.store(false, std::memory_order_release);
  ObserveFaults(false);
  events::AfterForkInChild();
  events::ForgetCounters();
  ioas::soft::CloseHidden(wake_);
  wake_ = -1;
  munmap(buffers_, 3 * kMaxMessage);
  buffers_ = nullptr;
}

void ControlThread::AfterForkInChild() {
  is_running_ = false;
  connection_.Close();
  watch_.End();
  ioas::soft::CloseHidden(wake_);
  wake_ = -1;
  batch_size_ = 0;
  delay_ = 0;
  ObserveFaults(false);
  events::AfterForkInChild();
  events::ForgetCounters();
}

void* ControlThread::ThreadMain(void* thread) {
  SystemCall(SYS_prctl, PR_SET_NAME, "vfio-compat");
  static_cast<ControlThread*>(thread)->Run();
  return nullptr;
}

void ControlThread::Run() {
  while (!is_stopping_ && !IsAlone()) {
    if (connection_.is_open()) {
      Serve();
    } else {
      AwaitDaemon();
    }
  }
  Disconnect();
  watch_.End();
}

// A thread that is the last goes, as the program's last would have, and with it the process.
bool ControlThread::IsAlone() {
  const int64_t now = Milliseconds();
  if (now < next_look_) return false;
  next_look_ = now + kLookInterval;
  char stat[512];
  const size_t size = ReadProc("/proc/self/stat", std::span(stat, sizeof(stat) - 1));
  stat[size] = '\0';
  // Behind the name: the first thread's state, and as the 18th field from there how many threads
  // there are, those included that ended before the others.
  const char* field = std::strrchr(stat, ')');
  if (field == nullptr || std::strlen(field) < 3 || field[2] != 'Z') return false;
  field += 2;
  for (int i = 0; i < 17 && field != nullptr; ++i) {
    field = std::strchr(field, ' ');
    if (field != nullptr) ++field;
  }
  return field != nullptr && std::strtol(field, nullptr, 10) == 2;
}

short ControlThread::Wait(int fd, short events, int64_t milliseconds) {
  const timespec timeout = {milliseconds / 1000, milliseconds % 1000 * 1'000'000};
  pollfd waits[] = {{wake_, POLLIN, 0}, {fd, events, 0}};
  if (SystemCall(SYS_ppoll, waits, 2L, &timeout, nullptr, 0L) <= 0) return 0;
  if (waits[0].revents != 0) {
    uint64_t count = 0;
    SystemCall(SYS_read, wake_, &count, sizeof(count));
  }
  return waits[1].revents;
}

// Watches before it tries, so that what appears in between is seen. Each attempt is followed by a
// longer wait, until a daemon has asked something.
void ControlThread::AwaitDaemon() {
  watch_.Begin(path_);
  if (delay_ != 0 && Wait(watch_.descriptor(), POLLIN, delay_) != 0) {
    // What was made may be the socket, on which nobody listens yet.
    watch_.End();
    delay_ = 0;
    return;
  }
  delay_ = std::clamp(delay_ * 2, kShortestDelay, kLongestDelay);
  if (is_stopping_ || !connection_.Open(path_)) return;
  watch_.End();
  Greet();
}

void ControlThread::Greet() {
  // The daemon takes devices' descriptors out of a process that hangs, which Yama permits to the
  // process's debugger alone. Whom the program named before is not to be known. Emulated devices
  // need none of it.
  if (!host_.state().soft) SystemCall(SYS_prctl, PR_SET_PTRACER, connection_.peer());
  Writer message(std::span(buffers_ + kMaxMessage, kMaxMessage),
                 static_cast<uint16_t>(Kind::kHello), 0);
  *message.Add<Hello>() = hello_;
  connection_.Send({buffers_ + kMaxMessage, message.Finish()});
  if (!connection_.is_open()) Disconnect();
}

void ControlThread::Disconnect() {
  connection_.Close();
  events::Watch(0, wake_);
  batch_size_ = 0;
  if (events::Rings* const rings = events::TheRings(); rings != nullptr) {
    Event nobodys[64];
    while (rings->Take(nobodys) != 0) continue;
    rings->TakeDropped();
  }
}

void ControlThread::Serve() {
  const int64_t now = Milliseconds();
  if (SendEvents()) awake_until_ = now + kLinger;
  events::Rings* const rings = events::TheRings();
  const bool sleeps = now >= awake_until_ && (rings == nullptr || rings->BeforeSleep());
  int64_t limit = sleeps ? kLookInterval : kBatchInterval;
  if (rings != nullptr) limit = rings->SleepLimit(limit);
  const auto ready_for = static_cast<short>(batch_size_ != 0 ? POLLIN | POLLOUT : POLLIN);
  if (connection_.is_open()) {
    const short ready = Wait(connection_.descriptor(), ready_for, limit);
    if ((ready & ~POLLOUT) != 0) ReceiveAndAnswer();
  }
  if (rings != nullptr) rings->AfterSleep();
  if (!connection_.is_open()) Disconnect();
}

void ControlThread::ReceiveAndAnswer() {
  const std::span<std::byte> buffer(buffers_, kMaxMessage);
  const size_t size = connection_.Receive(buffer);
  if (size == 0) return;
  const std::span<const std::byte> packet = buffer.first(size);
  const MessageHeader* const header = CheckMessage(packet);
  if (header == nullptr || header->version != kVersion ||
      header->kind == static_cast<uint16_t>(Kind::kGoodbye)) {
    return EndFor(header);
  }
  const std::span<std::byte> answer(buffers_ + kMaxMessage, kMaxMessage);
  const size_t answer_size = Responder(host_, wake_).Answer(packet, answer);
  if (answer_size == 0) return EndFor(header);
  delay_ = 0;
  connection_.Send(answer.first(answer_size));
}

void ControlThread::EndFor(const MessageHeader* header) {
  // So that the next daemon's socket is seen, however soon it is there.
  watch_.Begin(path_);
  if (header != nullptr && header->kind == static_cast<uint16_t>(Kind::kGoodbye)) {
    delay_ = header->version == kVersion ? kLongestDelay : kOtherVersionDelay;
    return connection_.Close();
  }
  const bool is_other = header != nullptr && header->version != kVersion;
  Writer message(std::span(buffers_ + kMaxMessage, kMaxMessage),
                 static_cast<uint16_t>(Kind::kGoodbye), 0);
  Writer::CopyReason(message.Add<Goodbye>()->reason,
                     is_other ? "the message is of another version" : "the message is not right");
  connection_.TrySend({buffers_ + kMaxMessage, message.Finish()});
  delay_ = is_other ? kOtherVersionDelay : kLongestDelay;
  connection_.Close();
}

bool ControlThread::BuildBatch() {
  events::Rings* const rings = events::TheRings();
  if (rings == nullptr) return false;
  Writer message(std::span(buffers_ + 2 * kMaxMessage, kMaxMessage),
                 static_cast<uint16_t>(Kind::kEvents), 0);
  auto* const batch = message.Add<EventBatch>();
  batch->dropped = rings->TakeDropped();
  auto* const events = reinterpret_cast<Event*>(batch + 1);
  batch->count = static_cast<uint32_t>(rings->Take({events, message.Room<Event>()}));
  FindContainersOfFaults(host_, {events, batch->count});
  message.Grow(batch->count * sizeof(Event));
  batch_size_ = batch->count != 0 || batch->dropped != 0 ? message.Finish() : 0;
  return batch_size_ != 0;
}

bool ControlThread::SendEvents() {
  bool any = false;
  while (connection_.is_open() && (batch_size_ != 0 || BuildBatch())) {
    any = true;
    if (!connection_.TrySend({buffers_ + 2 * kMaxMessage, batch_size_})) break;
    batch_size_ = 0;
  }
  return any;
}

}  // namespace compat::session
