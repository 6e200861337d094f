// A library that uses VFIO in its constructor.
#ifndef TESTS_PRELOAD_SUBJECTS_EARLY_LIBRARY_H_
#define TESTS_PRELOAD_SUBJECTS_EARLY_LIBRARY_H_

// The container that the constructor opened, and what VFIO_GET_API_VERSION said then.
extern int early_container;
extern int early_version;

#endif  // TESTS_PRELOAD_SUBJECTS_EARLY_LIBRARY_H_
