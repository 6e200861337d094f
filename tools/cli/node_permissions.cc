#include "tools/cli/node_permissions.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>

namespace tools::cli {
namespace {

std::string UserName(uid_t user) {
  const passwd* const entry = getpwuid(user);
  return entry != nullptr ? entry->pw_name : std::to_string(user);
}

std::string GroupName(gid_t group) {
  const struct group* const entry = getgrgid(group);
  return entry != nullptr ? entry->gr_name : std::to_string(group);
}

std::string OctalMode(mode_t mode) {
  char text[8];
  std::snprintf(text, sizeof(text), "%04o", mode & 07777);
  return text;
}

}  // namespace

NodePermissions ReadNodePermissions(const std::string& root, const std::string& path) {
  NodePermissions node;
  node.path = path;
  struct stat status;
  if (stat((root + path).c_str(), &status) != 0) return node;
  node.exists = true;
  node.is_usable = faccessat(AT_FDCWD, (root + path).c_str(), R_OK | W_OK, AT_EACCESS) == 0;
  node.mode = OctalMode(status.st_mode);
  node.owner = UserName(status.st_uid);
  node.group = GroupName(status.st_gid);
  return node;
}

std::string ToString(const NodePermissions& node) {
  if (!node.exists) return "does not exist";
  return "mode " + node.mode + ", " + node.owner + ":" + node.group;
}

std::string ShareNodeCommand(const std::string& path) {
  return "chgrp GROUP " + path + " && chmod g+rw " + path;
}

}  // namespace tools::cli
