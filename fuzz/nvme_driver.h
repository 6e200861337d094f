// A driver of the NVMe controller, and what it drives.
#ifndef FUZZ_NVME_DRIVER_H_
#define FUZZ_NVME_DRIVER_H_

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "fuzz/input.h"
#include "fuzz/nvme_memory.h"
#include "ioas/soft/nvme/controller.h"

namespace fuzz {

using ioas::soft::NvmeController;
using namespace ioas::soft::nvme;  // NOLINT(google-build-using-namespace): the specification's
                                   // names

// More than any work that a full queue of the longest commands may be.
inline constexpr int kMaxPolls = 4000;
// More than the controller transfers at once.
inline constexpr uint64_t kImageSize = 1152 << 10;
inline constexpr uint32_t kBlock = 512;
inline constexpr uint32_t kBlocks = kImageSize / kBlock;
inline constexpr uint32_t kEntries = 8;
inline constexpr uint32_t kConfiguration = kCcEnable | 6 << 16 | 4 << 20;  // entry sizes

// Queue `id` of the driver that keeps to the rules: one page each.
inline uint64_t SubmissionBase(uint32_t id) { return NvmeMemory::kFirst + id * 2 * kNvmePage; }
inline uint64_t CompletionBase(uint32_t id) { return SubmissionBase(id) + kNvmePage; }
// Where everything else may lie.
inline constexpr uint64_t kFirstFreePage = 4;

class Image {
 public:
  Image() : fd_(memfd_create("image", MFD_ALLOW_SEALING)) {
    FUZZ_REQUIRE(ftruncate(fd_, kImageSize) == 0);
  }
  ~Image() { close(fd_); }
  Image(const Image&) = delete;
  Image& operator=(const Image&) = delete;

  std::string path() const { return "/proc/self/fd/" + std::to_string(fd_); }
  // From now on it cannot be written, or ends in the middle.
  void Seal() const { FUZZ_REQUIRE(fcntl(fd_, F_ADD_SEALS, F_SEAL_WRITE) == 0); }
  void Shorten() const { FUZZ_REQUIRE(ftruncate(fd_, kImageSize / 2) == 0); }
  std::vector<std::byte> Contents() const {
    std::vector<std::byte> bytes(kImageSize);
    FUZZ_REQUIRE(pread(fd_, bytes.data(), kImageSize, 0) == static_cast<ssize_t>(kImageSize));
    return bytes;
  }

 private:
  int fd_;
};

class Driver {
 public:
  explicit Driver(Input& input) : input_(input) { controller_->Reset(); }

  void Step();

 private:
  struct Queue {
    uint32_t tail = 0;
    uint32_t head = 0;
    bool phase = true;
  };

  RegisterPages registers() { return RegisterPages(pages_.data()); }
  void Run();
  // Resets the controller and makes a queue of either kind.
  void Start();
  // Submits one command and takes its completion. Nothing if there is none.
  std::optional<CompletionEntry> Do(uint32_t id, SubmissionEntry command);
  SubmissionEntry TakeCommand();
  uint64_t TakeAddress();
  uint64_t PutList();
  void Transfer();
  void AnyCommand();
  void FillMemory();
  void AccessRegisters();
  // Commands of administration that make sense, with events that are waited for, by messages or by
  // the pin.
  void Session();
  SubmissionEntry TakeAdminCommand();
  // Submits one, and takes all completions there are: of it, and of requests for events.
  void Exchange(SubmissionEntry command);
  bool TakeCompletion(const SubmissionEntry& command);
  // What was set is what is got.
  void SetAndGet(SubmissionEntry command);
  void Zero();
  void Damage();
  void Crowd();
  // How many there are in the second queue that were not taken.
  uint32_t CountCompletions();
  // Whether a transfer would change what this driver and its checks rest on.
  static bool IsHarmless(const NvmeTransfer& transfer, bool is_read);
  void CheckTransfer(const SubmissionEntry& command, const NvmeTransfer& transfer,
                     std::vector<std::byte> memory, std::vector<std::byte> disk,
                     CommandStatus status);

  Input& input_;
  Image image_;
  std::string path_ = image_.path();
  ioas::soft::NvmeState state_{};
  alignas(4096) std::array<std::byte, kRegisterPagesSize> pages_{};
  NvmeMemory memory_;
  NvmeInterrupts interrupts_;
  std::unique_ptr<NvmeController> controller_ = std::make_unique<NvmeController>(
      ioas::soft::NvmeConfig{.image_path = path_.c_str(), .serial_number = "fuzz"}, &state_,
      pages_.data(), memory_, interrupts_);
  Queue queues_[2];
  bool is_started_ = false;
  // The image can no longer be written, or read to its end.
  bool is_damaged_ = false;
  uint16_t last_id_ = 0;
  std::vector<uint16_t> event_requests_;
  std::optional<uint32_t> last_result_;  // of the last command of a session that succeeded
};

}  // namespace fuzz

#endif  // FUZZ_NVME_DRIVER_H_
