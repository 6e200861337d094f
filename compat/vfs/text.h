// A fixed buffer that text is appended to.
#ifndef COMPAT_VFS_TEXT_H_
#define COMPAT_VFS_TEXT_H_

#include <algorithm>
#include <cstdarg>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <span>
#include <string_view>

namespace compat::vfs {

// Appends to a caller's buffer and keeps it a C string. What does not fit is cut off and leaves the
// text marked as truncated.
class Text {
 public:
  // `buffer` must have room for one byte at least, and outlive this object.
  explicit Text(std::span<char> buffer) : buffer_(buffer) { buffer_[0] = '\0'; }

  void Append(std::string_view text) {
    const size_t room = buffer_.size() - 1 - size_;
    truncated_ = truncated_ || text.size() > room;
    const size_t count = std::min(text.size(), room);
    std::memcpy(buffer_.data() + size_, text.data(), count);
    size_ += count;
    buffer_[size_] = '\0';
  }

  // As printf() does.
  __attribute__((format(printf, 2, 3))) void Format(const char* format, ...) {
    va_list arguments;
    va_start(arguments, format);
    const size_t room = buffer_.size() - size_;
    const int wanted = std::vsnprintf(buffer_.data() + size_, room, format, arguments);
    va_end(arguments);
    if (wanted < 0) return;
    truncated_ = truncated_ || static_cast<size_t>(wanted) >= room;
    size_ += std::min(static_cast<size_t>(wanted), room - 1);
  }

  std::string_view view() const { return {buffer_.data(), size_}; }
  bool truncated() const { return truncated_; }

 private:
  std::span<char> buffer_;
  size_t size_ = 0;
  bool truncated_ = false;
};

}  // namespace compat::vfs

#endif  // COMPAT_VFS_TEXT_H_
