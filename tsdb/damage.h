// Damage: a file of a store that cannot be read as it should, or is not there.
#pragma once

#include <string>

namespace tocsin::tsdb {

struct Damage {
  std::string path;  // empty: of no single file
  std::string reason;
  // Nothing stored is lost by it: of a manifest there is a copy, a seed is drawn anew.
  bool harmless = false;

  // For people; reasons often name the file already.
  std::string Text() const {
    return path.empty() || reason.find(path) != std::string::npos ? reason : path + ": " + reason;
  }
};

}  // namespace tocsin::tsdb
