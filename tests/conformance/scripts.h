// The scripts of this folder, and what each is to print.
#ifndef TESTS_CONFORMANCE_SCRIPTS_H_
#define TESTS_CONFORMANCE_SCRIPTS_H_

#include <string>
#include <vector>

#include "tests/conformance/recording.h"

namespace tests::conformance {

// The names ("type1/01-select") of all scripts in a folder.
std::vector<std::string> Scripts(const std::string& folder);

// A script's file.
std::string ScriptFile(const std::string& script);

// The name of a script's folder, which is what its containers are.
std::string ContainerOf(const std::string& script);

// "type1/01-select" as a test's name may be.
std::string CaseName(const std::string& script);

// How `played` differs from what was recorded, or is listed as a deviation, as a reader wants to
// see it; empty if it does not.
std::string Differences(const std::string& script, const Lines& played);

}  // namespace tests::conformance

#endif  // TESTS_CONFORMANCE_SCRIPTS_H_
