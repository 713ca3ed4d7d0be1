// StaticProvider: the groups that stand in the configuration.
#pragma once

#include "discovery/provider.h"

namespace tocsin::discovery {

class StaticProvider final : public Provider {
 public:
  explicit StaticProvider(const StaticConfig& config) : groups_(config.groups) {}

  bool Poll(int64_t now_ms) override;
  const std::vector<TargetGroup>& groups() const override { return groups_; }
  const std::string& last_error() const override { return no_error_; }
  int64_t poll_interval_ms() const override { return 0; }

 private:
  const std::vector<TargetGroup> groups_;
  const std::string no_error_;
  bool published_ = false;
};

}  // namespace tocsin::discovery
