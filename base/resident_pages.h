// ResidentPages: what a mapping of a real file can do beside being read. The mapped files of
// Env::Default() are one, too (dynamic_cast); those of MemEnv are not.
#pragma once

namespace tocsin {

class ResidentPages {
 public:
  virtual ~ResidentPages() = default;
  // The pages touched so far no longer count as the process' memory. They stay in the system's page
  // cache; who reads them next maps them again. Thread-safe, beside readers too.
  virtual void Drop() const = 0;
};

}  // namespace tocsin
