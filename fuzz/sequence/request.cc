#include "fuzz/sequence/request.h"

#include <algorithm>

#include "compat/abi/vfio_container.h"
#include "compat/abi/vfio_device.h"
#include "compat/abi/vfio_group.h"
#include "compat/abi/vfio_spapr.h"

namespace fuzz::sequence {
namespace {

namespace abi = compat::abi;

// What is there before a call, where programs have set nothing: all of it has to be as it was, or
// as the call says.
constexpr auto kBefore = std::byte{0xa5};

uint32_t NumberOf(const Step& step) {
  constexpr uint32_t kNumbers[kOps] = {0,  0,  0,  0,  0,  1,  2,  3,  4,  5,  6,  7,  11, 13,
                                       14, 14, 12, 17, 17, 12, 15, 16, 17, 18, 19, 20, 21, 0};
  return step.op == Op::kRaw ? static_cast<uint32_t>(step.values[0])
                             : kNumbers[static_cast<size_t>(step.op)];
}

template <typename T>
void Fill(Request& request, const T& value, size_t size = sizeof(T)) {
  request.structure.assign(size, kBefore);
  request.Put(value, std::min(size, sizeof(T)));
}

// An info call: only argsz is the program's.
void FillInfo(Request& request, uint32_t argsz, size_t size) {
  request.structure.assign(size, kBefore);
  request.Put(argsz);
}

abi::Bitmap MakeBitmap(const Step& step, Request& request) {
  const uint64_t page = step.values[2];
  const uint64_t pages = step.values[1] / page;
  uint64_t bytes = (pages + 63) / 64 * 8;
  if (step.bitmap == BitmapFault::kTooSmall) bytes -= 8;
  abi::Bitmap bitmap = {page, bytes, 0x10000};
  if (step.bitmap == BitmapFault::kKernels) bitmap.data = uint64_t{0xffff} << 48;
  if (step.bitmap != BitmapFault::kUnmapped && step.bitmap != BitmapFault::kKernels &&
      bytes <= Memory::kBitmapBytes) {
    request.bitmap.assign(bytes / 8, 0);
    bitmap.data = reinterpret_cast<uintptr_t>(Memory::Of().Bitmap(bytes));
  }
  return bitmap;
}

void MakeBitmapRequest(const Step& step, Request& request) {
  const bool is_unmap = step.op == Op::kUnmapBitmap;
  struct {
    abi::DmaUnmap unmap;
    abi::Bitmap bitmap;
  } unmap = {{step.argsz, step.flags, step.values[0], step.values[1]}, MakeBitmap(step, request)};
  struct {
    abi::DirtyBitmap head;
    abi::DirtyBitmapGet range;
  } get = {{step.argsz, step.flags}, {step.values[0], step.values[1], unmap.bitmap}};
  if (step.bitmap == BitmapFault::kShortArgsz) {
    get.head.argsz = 47;
    unmap.unmap.argsz = 47;
  }
  is_unmap ? Fill(request, unmap) : Fill(request, get);
}

void MakeSpaprRequest(const Step& step, uint64_t address, Request& request) {
  switch (step.op) {
    case Op::kTceInfo:
      FillInfo(request, step.argsz, std::max(step.argsz, 16u));
      break;
    case Op::kRegister:
    case Op::kUnregister:
      Fill(request, abi::SpaprRegisterMemory{step.argsz, step.flags, address, step.values[1]});
      break;
    case Op::kCreate:
      Fill(request, abi::SpaprTceCreate{.argsz = step.argsz,
                                        .flags = step.flags,
                                        .page_shift = static_cast<uint32_t>(step.values[0]),
                                        .resv1 = 0,
                                        .window_size = step.values[1],
                                        .levels = static_cast<uint32_t>(step.values[2]),
                                        .resv2 = 0,
                                        .start_addr = 0});
      break;
    case Op::kRemove:
      Fill(request, abi::SpaprTceRemove{step.argsz, step.flags, step.values[0]});
      break;
    default:
      Fill(request,
           abi::EehPeOp{
               step.argsz, step.flags, static_cast<uint32_t>(step.values[0]), 0, {0, 0, 0, 0}},
           step.argsz >= sizeof(abi::EehPeOp) ? sizeof(abi::EehPeOp) : 12);
  }
}

// What containers are asked.
void MakeContainerRequest(const Step& step, Request& request) {
  const uint64_t address = Memory::Of().AddressOf(step.memory);
  switch (step.op) {
    case Op::kMap:
      Fill(request, abi::DmaMap{step.argsz, step.flags, address, step.values[0], step.values[1]});
      break;
    case Op::kUnmap:
      Fill(request, abi::DmaUnmap{step.argsz, step.flags, step.values[0], step.values[1]});
      break;
    case Op::kInfo:
      FillInfo(request, step.argsz, std::max(step.argsz, 16u));
      break;
    case Op::kDirty:
      Fill(request, abi::DirtyBitmap{step.argsz, step.flags});
      break;
    case Op::kUnmapBitmap:
    case Op::kDirtyGet:
      MakeBitmapRequest(step, request);
      break;
    default:
      MakeSpaprRequest(step, address, request);
  }
}

}  // namespace

bool IsPlainIoctl(Op op) {
  return op == Op::kApi || op == Op::kExtension || op == Op::kSetIommu || op == Op::kStatus ||
         op == Op::kUnsetContainer || op >= Op::kDeviceInfo;
}

Request MakeRequest(const Step& step) {
  Request request;
  request.number = NumberOf(step);
  switch (step.op) {
    case Op::kApi:
    case Op::kUnsetContainer:
    case Op::kReset:
    case Op::kEnable:
    case Op::kDisable:
      break;
    case Op::kExtension:
    case Op::kSetIommu:
      request.argument = step.values[0];
      break;
    case Op::kRaw:
      request.argument = step.values[1];
      break;
    case Op::kStatus:
      Fill(request, abi::GroupStatus{step.argsz, 0});
      break;
    case Op::kDeviceInfo:
      FillInfo(request, step.argsz, std::clamp<uint32_t>(step.argsz, 16, sizeof(abi::DeviceInfo)));
      break;
    default:
      MakeContainerRequest(step, request);
  }
  return request;
}

}  // namespace fuzz::sequence
