// Everybody who may knock at the daemon's doors.
#ifndef TESTS_AUTHORISATION_CALLERS_H_
#define TESTS_AUTHORISATION_CALLERS_H_

#include <grpcpp/channel.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/certificates.h"
#include "tests/support/daemon.h"

namespace tests::authorisation {

// Whose the session is that callers act on, who another user is, and who is in the readers' group.
inline constexpr uid_t kOwner = 1000;
inline constexpr uid_t kOther = 1001;
inline constexpr uid_t kReader = 1002;
// A group that every Debian system has.
inline constexpr char kReadersGroup[] = "games";

struct NamedCaller {
  std::string name;  // as in the table
  std::shared_ptr<grpc::Channel> channel;
};

// A daemon with both doors, and the certificates that it believes, or not.
class Callers {
 public:
  Callers();

  tests::Daemon& daemon() { return *daemon_; }
  // In the table's order.
  std::vector<NamedCaller> All() const;
  // Root, on the Unix socket.
  NamedCaller Root() const;

 private:
  std::shared_ptr<grpc::Channel> Unix(uid_t uid, bool is_reader) const;
  std::shared_ptr<grpc::Channel> Tls(const Authority& authority,
                                     const CertificateRequest& request) const;

  const Authority authority_{"authority"};
  const Authority wrong_{"wrong"};
  std::unique_ptr<tests::Daemon> daemon_;
};

// Runs `function` in a thread that is this user, and in the readers' group or in none but their
// own.
void RunAs(uid_t uid, bool is_reader, const std::function<void()>& function);

}  // namespace tests::authorisation

#endif  // TESTS_AUTHORISATION_CALLERS_H_
