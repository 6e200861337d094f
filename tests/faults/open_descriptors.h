// What a process has open.
#ifndef TESTS_FAULTS_OPEN_DESCRIPTORS_H_
#define TESTS_FAULTS_OPEN_DESCRIPTORS_H_

namespace tests {

// How many descriptors this process has open, those that the library hides included.
int OpenDescriptors();

}  // namespace tests

#endif  // TESTS_FAULTS_OPEN_DESCRIPTORS_H_
