// What happened on a host, for people to read.
#ifndef COMPAT_SUMMARY_SUMMARY_H_
#define COMPAT_SUMMARY_SUMMARY_H_

#include <string>

#include "compat/vfio/host.h"

namespace compat::summary {

// A paragraph for each container that had an IOMMU, the last 64 that ended and those that live,
// a line for each group that an error froze, and for each DMA fault. Takes the host's lock. Files
// whose processes are gone are ended first.
std::string Summarize(vfio::Host& host);

}  // namespace compat::summary

#endif  // COMPAT_SUMMARY_SUMMARY_H_
