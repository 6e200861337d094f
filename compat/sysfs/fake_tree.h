// A sysfs (and a /dev) for tests, in a directory of its own.
#ifndef COMPAT_SYSFS_FAKE_TREE_H_
#define COMPAT_SYSFS_FAKE_TREE_H_

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

namespace compat::sysfs {

// Paths are absolute ones of the machine that the tree shows: "/sys/kernel".
class FakeTree {
 public:
  FakeTree() {
    if (mkdtemp(root_.data()) == nullptr) std::abort();
  }
  ~FakeTree() { std::filesystem::remove_all(root_); }
  FakeTree(const FakeTree&) = delete;
  FakeTree& operator=(const FakeTree&) = delete;

  const char* root() const { return root_.c_str(); }

  void Write(const std::string& path, std::string_view content) const {
    MakeParent(path);
    std::ofstream(root_ + path, std::ios::binary) << content;
  }
  void MakeDirectory(const std::string& path) const {
    std::filesystem::create_directories(root_ + path);
  }
  // `target` is as the link is to read.
  void Link(const std::string& path, const std::string& target) const {
    MakeParent(path);
    std::filesystem::create_symlink(target, root_ + path);
  }
  void Remove(const std::string& path) const { std::filesystem::remove_all(root_ + path); }

  // A PCI device of class `device_class` ("0x010802") in `group`.
  void AddDevice(uint32_t group, const std::string& name, const std::string& device_class) const {
    const std::string number = std::to_string(group);
    Write(DevicePath(name) + "/class", device_class + "\n");
    Link("/sys/bus/pci/devices/" + name, "../../../devices/pci0000:00/" + name);
    Link("/sys/kernel/iommu_groups/" + number + "/devices/" + name,
         "../../../../devices/pci0000:00/" + name);
    Link(DevicePath(name) + "/iommu_group", "../../../kernel/iommu_groups/" + number);
  }
  void Bind(const std::string& name, const std::string& driver) const {
    Unbind(name);
    MakeDirectory("/sys/bus/pci/drivers/" + driver);
    Link(DevicePath(name) + "/driver", "../../../bus/pci/drivers/" + driver);
  }
  // Binds to vfio-pci, with vfioN and, as a regular file, its node.
  void BindVfio(const std::string& name, uint32_t cdev) const {
    Bind(name, "vfio-pci");
    AddCdev(DevicePath(name), name, cdev);
  }
  void Unbind(const std::string& name) const {
    Remove(DevicePath(name) + "/driver");
    Remove(DevicePath(name) + "/vfio-dev");
  }
  static std::string DevicePath(const std::string& name) {
    return "/sys/devices/pci0000:00/" + name;
  }

  // A mediated device of the driver mtty with vfioN and its node, in no group.
  void AddMediated(const std::string& uuid, uint32_t cdev) const {
    const std::string path = MediatedPath(uuid);
    MakeDirectory("/sys/bus/mdev/drivers/mtty");
    Link(path + "/driver", "../../../../../bus/mdev/drivers/mtty");
    Link("/sys/bus/mdev/devices/" + uuid, "../../.." + path.substr(sizeof("/sys") - 1));
    AddCdev(path, uuid, cdev);
  }
  void RemoveMediated(const std::string& uuid) const {
    Remove("/sys/bus/mdev/devices/" + uuid);
    Remove(MediatedPath(uuid));
  }
  static std::string MediatedPath(const std::string& uuid) {
    return "/sys/devices/virtual/mtty/mtty/" + uuid;
  }

 private:
  void AddCdev(const std::string& device_path, const std::string& name, uint32_t cdev) const {
    const std::string node = "vfio" + std::to_string(cdev);
    const std::string path = device_path + "/vfio-dev/" + node;
    Write(path + "/dev", "248:" + std::to_string(cdev) + "\n");
    Link(path + "/device", "../../../" + name);
    // As long as it leads nowhere it is as good as gone.
    Remove("/sys/class/vfio-dev/" + node);
    Link("/sys/class/vfio-dev/" + node, "../.." + path.substr(sizeof("/sys") - 1));
    Write("/dev/vfio/devices/" + node, "");
  }
  void MakeParent(const std::string& path) const {
    std::filesystem::create_directories(std::filesystem::path(root_ + path).parent_path());
  }

  // Where other users can get to it, unlike Bazel's own directory for tests.
  std::string root_ = "/tmp/vfio_compat_fake_tree_XXXXXX";
};

}  // namespace compat::sysfs

#endif  // COMPAT_SYSFS_FAKE_TREE_H_
