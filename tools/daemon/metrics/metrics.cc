#include "tools/daemon/metrics/metrics.h"

#include <prometheus/collectable.h>
#include <prometheus/exposer.h>
#include <prometheus/metric_family.h>

#include <exception>
#include <mutex>
#include <set>
#include <utility>
#include <vector>

#include "tools/daemon/metrics/families.h"
#include "tools/daemon/metrics/totals.h"
#include "tools/daemon/sessions/questions.h"

namespace tools::daemon {
namespace {

namespace channel = compat::session;

constexpr uint32_t kSoftware = 1;  // Hello::backend

// Asks the sessions.
class Collector final : public prometheus::Collectable {
 public:
  Collector(const Registry& registry, std::chrono::milliseconds patience)
      : registry_(registry), patience_(patience) {}

  std::vector<prometheus::MetricFamily> Collect() const override {
    const std::lock_guard lock(mutex_);
    Snapshot snapshot;
    std::set<uint64_t> sessions;
    std::set<uint64_t> hosts;
    std::set<uint64_t> answered;
    const Clock::time_point end = Clock::now() + patience_;
    for (const std::shared_ptr<Session>& session : registry_.List()) {
      const SessionIdentity& identity = session->identity();
      sessions.insert(identity.id);
      hosts.insert(identity.host);
      ++snapshot.sessions[identity.backend == kSoftware ? 0 : 1];
      const bool is_answered = Clock::now() < end && AskSession(*session) &&
                               (answered.count(identity.host) != 0 || AskHost(*session, snapshot));
      if (is_answered) answered.insert(identity.host);
      if (!is_answered) ++snapshot.missed;
    }
    sessions_.Keep(sessions);
    hosts_.Keep(hosts);
    snapshot.sums = sessions_.Get();
    snapshot.sums += hosts_.Get();
    return FamiliesOf(snapshot);
  }

 private:
  bool AskSession(Session& session) const {
    const absl::StatusOr<CountersAnswer> counters = GetCounters(session);
    if (counters.ok()) {
      sessions_.Set(session.identity().id, SumsOf(counters->list, counters->counters));
    }
    return counters.ok();
  }

  // What the processes that share a host share: one of them is asked.
  bool AskHost(Session& session, Snapshot& snapshot) const {
    const auto containers = ListContainers(session);
    if (!containers.ok()) return false;
    for (const channel::ContainerInfo& container : *containers) {
      ++snapshot.containers;
      snapshot.mapped_bytes += container.bytes_mapped;
      snapshot.mappings += container.live_mappings;
    }
    const auto ioases = ListIoases(session);
    if (!ioases.ok()) return false;
    for (const channel::IoasInfo& ioas : *ioases) {
      snapshot.mapped_bytes += ioas.bytes_mapped;
      snapshot.mappings += ioas.live_mappings;
    }
    if (session.identity().backend != kSoftware) return true;
    const absl::StatusOr<FaultsAnswer> faults = ListFaults(session);
    if (!faults.ok()) return false;
    Sums sums;
    sums.faults = faults->list.total;
    hosts_.Set(session.identity().host, sums);
    return true;
  }

  const Registry& registry_;
  const std::chrono::milliseconds patience_;
  mutable std::mutex mutex_;
  mutable Totals sessions_;
  mutable Totals hosts_;
};

class ServedMetrics final : public Metrics {
 public:
  ServedMetrics(const std::string& address, std::shared_ptr<Collector> collector)
      : collector_(std::move(collector)), exposer_(address) {
    exposer_.RegisterCollectable(collector_);
  }
  int port() const override { return exposer_.GetListeningPorts().at(0); }

 private:
  const std::shared_ptr<Collector> collector_;
  prometheus::Exposer exposer_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Metrics>> Metrics::Serve(const std::string& address,
                                                        const Registry& registry,
                                                        std::chrono::milliseconds patience) {
  // The library's server says what is wrong by an exception.
  try {
    return std::make_unique<ServedMetrics>(address,
                                           std::make_shared<Collector>(registry, patience));
  } catch (const std::exception& problem) {
    return absl::UnavailableError(address + ": " + problem.what());
  }
}

}  // namespace tools::daemon
