#include "tools/control/picture.h"

#include <gtest/gtest.h>

#include <regex>
#include <string>

namespace tools::control {
namespace {

namespace v1 = vfio::compat::v1;

v1::Mapping NewMapping(uint64_t first, uint64_t last, v1::Access access) {
  v1::Mapping mapping;
  mapping.set_first(first);
  mapping.set_last(last);
  mapping.set_access(access);
  return mapping;
}

size_t CountOf(const std::string& text, const std::string& part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

TEST(PictureTest, NeighboursWithTheSameAccessAreOneStretch) {
  Picture picture;
  picture.Add(NewMapping(0x1000, 0x1fff, v1::ACCESS_READ));
  picture.Add(NewMapping(0x2000, 0x2fff, v1::ACCESS_READ));
  picture.Add(NewMapping(0x3000, 0x3fff, v1::ACCESS_READ_WRITE));
  picture.Add(NewMapping(0x5000, 0x5fff, v1::ACCESS_READ_WRITE));
  ASSERT_EQ(picture.stretches.size(), 3u);
  EXPECT_EQ(picture.stretches[0].last, 0x2fffu);
  EXPECT_EQ(picture.stretches[0].mappings, 2u);
  const std::string svg = picture.Svg();
  EXPECT_EQ(CountOf(svg, "class=\"read\""), 1u);
  EXPECT_EQ(CountOf(svg, "class=\"readwrite\""), 2u);
  EXPECT_NE(svg.find("0x1000-0x2fff"), std::string::npos);
  EXPECT_NE(svg.find("8 KiB, read, 2 mappings"), std::string::npos);
}

TEST(PictureTest, EverythingOfAnAddressSpaceIsShown) {
  Picture picture;
  picture.title = "a <b> & c";
  auto* const aperture = picture.space.add_apertures();
  aperture->set_last(UINT64_MAX);
  auto* const reserved = picture.space.add_reserved();
  reserved->mutable_range()->set_first(0xfee00000);
  reserved->mutable_range()->set_last(0xfeefffff);
  auto* const fault = picture.faults.add_faults();
  fault->set_device("0000:00:05.0");
  fault->set_iova(UINT64_MAX);
  fault->set_count(3);
  fault->set_reason("not mapped");
  const std::string svg = picture.Svg();
  EXPECT_NE(svg.find("a &lt;b&gt; &amp; c"), std::string::npos);
  EXPECT_NE(svg.find("aperture 0x0-0xffffffffffffffff"), std::string::npos);
  EXPECT_NE(svg.find("reserved for the IOMMU"), std::string::npos);
  EXPECT_NE(svg.find("0000:00:05.0, 3 faults: not mapped"), std::string::npos);
  EXPECT_EQ(CountOf(svg, "class=\"fault\""), 1u);
}

TEST(PictureTest, BandsLieBelowOneAnotherInTheOrderOfTheirAddresses) {
  Picture picture;
  for (uint64_t i = 0; i < 20; ++i) {
    picture.Add(NewMapping(i << 20, (i << 20) + (0x1000 << i) / 2, v1::ACCESS_READ));
  }
  const std::string svg = picture.Svg();
  const std::regex band(R"re(class="read" x="\d+" y="(\d+)" width="\d+" height="(\d+)")re");
  int below = 0;
  int bands = 0;
  for (std::sregex_iterator it(svg.begin(), svg.end(), band), end; it != end; ++it, ++bands) {
    EXPECT_GE(std::stoi((*it)[1]), below);
    below = std::stoi((*it)[1]) + std::stoi((*it)[2]);
  }
  EXPECT_EQ(bands, 20);
}

TEST(PictureTest, AMillionStretchesAreDrawnAsAFew) {
  Picture picture;
  for (uint64_t i = 0; i < 1'000'000; ++i) {
    const uint64_t first = i * 0x4000 + (i >= 500'000 ? uint64_t{1} << 40 : 0);
    picture.Add(NewMapping(first, first + 0xfff, v1::ACCESS_WRITE));
  }
  const std::string svg = picture.Svg();
  EXPECT_LE(CountOf(svg, "class=\"write\""), 200u);
  // The one gap that is larger than the others is still one.
  EXPECT_GE(CountOf(svg, "class=\"write\""), 2u);
  EXPECT_NE(svg.find("500,000 mappings"), std::string::npos);
}

}  // namespace
}  // namespace tools::control
