// What all commands print alike.
#ifndef TOOLS_CONTROL_PRINT_H_
#define TOOLS_CONTROL_PRINT_H_

#include <google/protobuf/message.h>

#include <string>

#include "vfio/compat/v1/common.pb.h"
#include "vfio/compat/v1/faults.pb.h"

namespace tools::control {

// Prints a message as JSON, in Protobuf's form with the proto files' names: on one line, or on
// several. Ends the line.
void PrintJson(const google::protobuf::Message& message, bool on_one_line = false);

// Names as the command line has them: "type1v2", "r-", "rw".
std::string TypeName(vfio::compat::v1::ContainerType type);
std::string AccessName(vfio::compat::v1::Access access);
// A fault's device, and the PASID that the access named, if any: "0000:00:05.0, PASID 7".
std::string RequesterOf(const vfio::compat::v1::Fault& fault);
// The type that TypeName gives a name; CONTAINER_TYPE_UNSPECIFIED if there is none.
vfio::compat::v1::ContainerType TypeNamed(const std::string& name);

// "FIRST-LAST" as a range. Returns why not, or an empty string.
std::string ParseRange(const std::string& text, vfio::compat::v1::Range& range);

}  // namespace tools::control

#endif  // TOOLS_CONTROL_PRINT_H_
