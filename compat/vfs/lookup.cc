#include "compat/vfs/lookup.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <span>
#include <string_view>

#include "compat/vfs/text.h"

namespace compat::vfs {
namespace {

constexpr int kMaxLinks = 40;       // MAXSYMLINKS of include/linux/namei.h
constexpr size_t kLinkGrowth = 64;  // room to make a path longer, for each link of the view

// The part of a path that is still to be walked. It lies at the end of a fixed buffer, so that a
// link's target can be put in front of it.
class PendingPath {
 public:
  bool Prepend(std::string_view text) {
    if (text.size() > start_) return false;
    start_ -= text.size();
    std::memcpy(buffer_ + start_, text.data(), text.size());
    return true;
  }

  // Takes the slashes at the front away; returns whether there were any.
  bool SkipSlashes() {
    const size_t before = start_;
    while (start_ < sizeof(buffer_) && buffer_[start_] == '/') ++start_;
    return start_ != before;
  }

  // The name at the front, without taking it away; empty at the end.
  std::string_view Front() const { return rest().substr(0, rest().find('/')); }
  void Drop(size_t count) { start_ += count; }
  std::string_view rest() const { return {buffer_ + start_, sizeof(buffer_) - start_}; }

 private:
  char buffer_[PATH_MAX + kMaxLinks * kLinkGrowth];
  size_t start_ = sizeof(buffer_);
};

class Walk {
 public:
  Walk(const View& view, NodeId base, bool follow, Resolution* result)
      : view_(view), current_(base), follow_(follow), result_(*result) {}

  void Run(std::string_view path) {
    if (path.empty()) return Fail(ENOENT);
    if (path.size() >= PATH_MAX || !pending_.Prepend(path)) return Fail(ENAMETOOLONG);
    if (path.front() == '/') current_ = View::Root();
    bool slash = pending_.SkipSlashes();
    while (!pending_.rest().empty()) {
      if (!Step()) return;
      slash = pending_.SkipSlashes();
    }
    if (slash && !IsDirectory()) return Fail(ENOTDIR);
    result_.node = current_;
    view_.Path(current_, result_.path);
  }

 private:
  bool IsDirectory() const { return view_.Kind(current_) == NodeKind::kDirectory; }
  void Fail(int error) { result_.error = error; }
  // A path is never longer than its buffer, which compilers cannot know.
  std::string_view PathOf(NodeId id, std::span<char> buffer) const {
    return {buffer.data(), std::min(view_.Path(id, buffer), buffer.size())};
  }

  // Walks over one name. Returns false if the walk has ended.
  bool Step() {
    if (!IsDirectory()) return Fail(ENOTDIR), false;
    const std::string_view name = pending_.Front();
    if (name == ".." && view_.IsDescendant(current_)) return ClimbOut();
    if (name == "..") current_ = view_.Parent(current_);
    if (name == "." || name == "..") return pending_.Drop(name.size()), true;
    const NodeId child = view_.Child(current_, name);
    if (child == kNoNode) return StepFurther();
    pending_.Drop(name.size());
    const bool is_last = pending_.rest().empty();
    if (view_.Kind(child) == NodeKind::kLink && (follow_ || !is_last)) return FollowLink(child);
    current_ = child;
    return true;
  }

  // Walks over several names, or leaves the view.
  bool StepFurther() {
    size_t size = 0;
    const NodeId descendant = view_.Descendant(current_, pending_.rest(), &size);
    if (descendant == kNoNode) return LeaveView(), false;
    pending_.Drop(size);
    current_ = descendant;
    return true;
  }

  // Goes up from a node that is among real directories, none of which is a link; leaves the view if
  // the path ends with one of them, or goes down again from there.
  bool ClimbOut() {
    char buffer[kMaxNodePath];
    const NodeId top = view_.Parent(current_);
    const size_t top_size = view_.Path(top, buffer);
    std::string_view path = PathOf(current_, buffer);
    while (pending_.Front() == "..") {
      pending_.Drop(2);
      pending_.SkipSlashes();
      path = path.substr(0, path.rfind('/'));
      if (path.size() == top_size) return current_ = top, true;
    }
    return LeaveTo(path), false;
  }

  // All links of the view are relative to the directory that they are in.
  bool FollowLink(NodeId link) {
    char target[kMaxNodePath];
    const size_t size = view_.LinkTarget(link, target);
    result_.followed_link = true;
    if (++links_ > kMaxLinks) return Fail(ELOOP), false;
    if (!pending_.Prepend({target, size})) return Fail(ENAMETOOLONG), false;
    return true;
  }

  void LeaveView() {
    if (!view_.IsMerged(current_)) return Fail(ENOENT);
    char buffer[kMaxNodePath];
    LeaveTo(current_ == View::Root() ? std::string_view("") : PathOf(current_, buffer));
  }

  // What is left of the path is the real file system's, from `directory` on.
  void LeaveTo(std::string_view directory) {
    Text path(result_.path);
    path.Append(directory);
    if (!pending_.rest().empty()) path.Append("/");
    path.Append(pending_.rest());
    if (path.truncated()) Fail(ENAMETOOLONG);
  }

  const View& view_;
  NodeId current_;
  bool follow_;
  Resolution& result_;
  PendingPath pending_;
  int links_ = 0;
};

}  // namespace

void Lookup(const View& view, NodeId base, std::string_view path, bool follow, Resolution* result) {
  result->node = kNoNode;
  result->error = 0;
  result->followed_link = false;
  Walk(view, base, follow, result).Run(path);
}

}  // namespace compat::vfs
