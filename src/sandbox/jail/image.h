#pragma once
// The image: the read-only root that lanes live in and that every run sees below its own overlay. A small file system
// in memory with the directories a program expects, and the host's programs and libraries mounted into it. What is not
// named here does not exist in a jail.

#include <string>
#include <vector>

namespace longshot::sandbox::jail {

constexpr const char* kLowerLayer = "/.jail/lower";  // the image for overlays
constexpr const char* kRunDirectory = "/.jail/run";  // empty: where a run makes its own root

// A host directory or device, taken out of the host's tree and not yet put anywhere.
struct MountSource {
  std::string path;  // the same outside and inside
  int tree = -1;
  bool directory = true;
};

// /usr, the directories that are links into it on merged systems, the devices, and `extra` directories (an
// interpreter's own). Faults end the process.
std::vector<MountSource> open_sources(const std::vector<std::string>& extra);

// Builds the image from the sources and makes it this process's root. Afterwards nothing else of the host is reachable.
// /proc belongs to the present pid namespace. Returns the paths that are mounts, parents first: what a run has to mount
// again on top of its overlay.
std::vector<std::string> enter_image(const std::vector<MountSource>& sources);

}  // namespace longshot::sandbox::jail
