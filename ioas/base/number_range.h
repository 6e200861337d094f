// What a table goes through with Next(), for a range-based for.
#ifndef IOAS_BASE_NUMBER_RANGE_H_
#define IOAS_BASE_NUMBER_RANGE_H_

#include <cstdint>

namespace ioas {

// The numbers that have something in `table`, a view whose Next(n) says the lowest of them from n
// on, and `end` if there is none: ascending, from `first` on. The table may change meanwhile.
template <typename Table>
class NumberRange {
 public:
  NumberRange(const Table& table, uint32_t first, uint32_t end)
      : table_(table), first_(first), end_(end) {}

  class Iterator {
   public:
    Iterator(const Table& table, uint32_t number) : table_(&table), number_(number) {}
    uint32_t operator*() const { return number_; }
    Iterator& operator++() {
      number_ = table_->Next(number_ + 1);
      return *this;
    }
    bool operator!=(const Iterator& other) const { return number_ != other.number_; }

   private:
    const Table* table_;
    uint32_t number_;
  };
  Iterator begin() const { return {table_, table_.Next(first_)}; }
  Iterator end() const { return {table_, end_}; }

 private:
  Table table_;
  uint32_t first_;
  uint32_t end_;
};

}  // namespace ioas

#endif  // IOAS_BASE_NUMBER_RANGE_H_
