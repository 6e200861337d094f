// Counters of calls.
#include <algorithm>

#include "compat/events/counters.h"
#include "compat/session/responder.h"
#include "compat/session/writer.h"

namespace compat::session {

ioas::Status Responder::GetCounters(Writer& answer) {
  auto* const list = answer.Add<CounterList>();
  const events::Latencies latencies = events::ReadLatencies();
  std::copy_n(latencies.nanoseconds, 2, list->nanoseconds);
  static_assert(sizeof(list->histogram) == sizeof(latencies.histogram));
  std::copy_n(&latencies.histogram[0][0], 64, &list->histogram[0][0]);
  for (uint32_t call = 0; call <= events::kUnknownCall; ++call) {
    for (uint32_t error = 0; error < events::kErrnos; ++error) {
      const uint64_t count = events::CountOf(call, error);
      if (count == 0) continue;
      auto* const counter = answer.Add<Counter>();
      if (counter == nullptr) return {};
      counter->call = static_cast<uint16_t>(call == events::kUnknownCall ? 0xffff : call);
      counter->error = static_cast<uint16_t>(error);
      counter->count = count;
      ++list->count;
    }
  }
  return {};
}

}  // namespace compat::session
