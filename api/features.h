// /features: what this server can do, by category, for clients that ask instead of comparing
// versions.
#pragma once

#include <string>

#include "api/dependencies.h"

namespace tocsin::api {

// Appends {"category":{"feature":bool,…},…}, sorted.
void AppendFeatures(const Dependencies& dependencies, std::string* out);

}  // namespace tocsin::api
