// Everything that calls can change of a host, as text: two pictures are equal if nothing changed.
#ifndef TESTS_FAULTS_HOST_PICTURE_H_
#define TESTS_FAULTS_HOST_PICTURE_H_

#include <string>

#include "compat/soft/test_host.h"

namespace tests {

// Containers and what they map, their windows, registered and locked memory, groups, devices, files
// and this process's descriptors. Not what is kept for reuse only, nor statistics. One line each,
// so that a difference is easily read.
std::string PictureOf(compat::soft::TestHost& host);

// What was in one picture and is not in another, and the other way round; empty if they are equal.
std::string Difference(const std::string& before, const std::string& after);

}  // namespace tests

#endif  // TESTS_FAULTS_HOST_PICTURE_H_
