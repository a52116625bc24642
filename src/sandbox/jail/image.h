#pragma once
// The image is the read-only root in which lanes live and which every run sees below its own
// overlay. It is a small in-memory file system with the directories that programs expect, and with
// the host's programs and libraries mounted into it. A jail contains nothing that is not named
// here.

#include <string>
#include <vector>

namespace longshot::sandbox::jail {

constexpr const char* kLowerLayer = "/.jail/lower";  // the image for overlays
constexpr const char* kRunDirectory = "/.jail/run";  // empty; a run creates its own root here

// A host directory or device, detached from the host's tree and not yet mounted anywhere.
struct MountSource {
  std::string path;  // same path outside and inside
  int tree = -1;
  bool directory = true;
};

// Opens /usr, the top directories that are not links into it, the devices, and the `extra`
// directories (an interpreter's own). Faults end the process.
std::vector<MountSource> open_sources(const std::vector<std::string>& extra);

// Builds the image from the sources and makes it this process's root. Afterwards nothing else of
// the host is reachable. /proc belongs to the current pid namespace. Returns the paths of the
// mounts, parents first; a run must mount them again on top of its overlay.
std::vector<std::string> enter_image(const std::vector<MountSource>& sources);

}  // namespace longshot::sandbox::jail
