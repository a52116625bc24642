#pragma once
// Taking over a file that others may still read.

#include <filesystem>

namespace longshot {

// Moves the file to `to` and opens it for writing if nobody else uses it: no other name and no
// descriptor or mapping of any process of this machine refers to it. Returns the descriptor.
// Otherwise, and where the system cannot tell, returns -1, and `to` does not exist; readers of the
// file keep what they read.
//
// No path may lead to `from` for others, because they could open it at any time. Only files in
// memory (tmpfs) are opened: the answer is that of a lease (fcntl(2), F_SETLEASE), which is refused
// there while others use the file, but not on every file system (overlayfs overlooks mappings, and
// network file systems other machines). Thread-safe for different files.
int open_unshared(const std::filesystem::path& from, const std::filesystem::path& to);

}  // namespace longshot
