#include "discovery/file.h"

#include <fnmatch.h>

#include <algorithm>

#include "base/json.h"
#include "base/log.h"
#include "base/yaml.h"
#include "model/labels.h"

namespace tocsin::discovery {
namespace {

constexpr std::string_view kFilePathLabel = "__meta_filepath";
constexpr std::string_view kAddressLabel = "__address__";

bool IsJson(std::string_view path) { return path.ends_with(".json") || path.ends_with(".JSON"); }

// Group `index` of `path`, from its parts.
TargetGroup MakeGroup(const std::string& path, size_t index,
                      const std::vector<std::string>& targets,
                      std::vector<std::pair<std::string, std::string>> labels) {
  TargetGroup group;
  group.source = path + ":" + std::to_string(index);
  for (const std::string& target : targets) {
    group.targets.push_back(model::Labels::FromPairs({{kAddressLabel, target}}));
  }
  labels.emplace_back(kFilePathLabel, path);
  group.labels = model::Labels::FromPairs(std::move(labels));
  return group;
}

std::string NilGroup(size_t index) {
  return "nil target group item found (index " + std::to_string(index) + ")";
}

Result<std::vector<TargetGroup>> ParseYamlGroups(const std::string& path, std::string_view text) {
  TOCSIN_ASSIGN_OR_RETURN(const YamlDocument document, ParseYaml(text, path));
  std::vector<TargetGroup> groups;
  if (document.root.is_null()) return groups;
  if (!document.root.is_sequence()) {
    return Error(document.root.ErrorHere("a list of target groups is wanted"));
  }
  YamlErrors errors;
  for (const YamlNode& node : document.root.items()) {
    if (node.is_null()) return Error(node.ErrorHere(NilGroup(groups.size())));
    YamlMapReader map(node, "target group", &errors);
    std::vector<std::string> targets;
    std::vector<std::pair<std::string, std::string>> labels;
    map.Read("targets", &targets);
    map.Read("labels", &labels);
    map.Finish();
    for (const auto& [name, value] : labels) {
      if (name.empty() || !model::IsValidUtf8(name)) {
        errors.Add(node, model::QuoteString(name) + " is not a valid label name");
      }
    }
    groups.push_back(MakeGroup(path, groups.size(), targets, std::move(labels)));
  }
  TOCSIN_TRY(errors.ToStatus());
  return groups;
}

Status ReadJsonGroup(const JsonValue& value, std::vector<std::string>* targets,
                     std::vector<std::pair<std::string, std::string>>* labels) {
  const auto invalid = [](std::string message) {
    return Status(Code::kInvalidArgument, std::move(message));
  };
  if (!value.is_object()) return invalid("a target group is an object");
  for (const auto& [key, member] : value.AsObject()) {
    if (key == "targets" && member.is_array()) {
      for (const JsonValue& target : member.AsArray()) {
        if (!target.is_string()) return invalid("targets are texts");
        targets->push_back(target.AsString());
      }
    } else if (key == "labels" && member.is_object()) {
      for (const auto& [name, label] : member.AsObject()) {
        if (name.empty() || !model::IsValidUtf8(name)) {
          return invalid(model::QuoteString(name) + " is not a valid label name");
        }
        if (!label.is_string()) return invalid("label values are texts");
        labels->emplace_back(name, label.AsString());
      }
    } else if (key != "targets" && key != "labels") {
      return invalid("unknown field " + model::QuoteString(key));
    } else if (!member.is_null()) {
      return invalid(key + (key == "targets" ? " is a list of texts" : " is an object of texts"));
    }
  }
  return Status::Ok();
}

Result<std::vector<TargetGroup>> ParseJsonGroups(const std::string& path, std::string_view text) {
  auto document = ParseJson(text);
  if (!document) return Error(document.error().Annotate(path));
  if (!document->is_array()) {
    return Error(Code::kInvalidArgument, path + ": a list of target groups is wanted");
  }
  std::vector<TargetGroup> groups;
  for (const JsonValue& value : document->AsArray()) {
    const std::string place = path + ": group " + std::to_string(groups.size());
    if (value.is_null()) {
      return Error(Code::kInvalidArgument, path + ": " + NilGroup(groups.size()));
    }
    std::vector<std::string> targets;
    std::vector<std::pair<std::string, std::string>> labels;
    TOCSIN_TRY(ReadJsonGroup(value, &targets, &labels).Annotate(place));
    groups.push_back(MakeGroup(path, groups.size(), targets, std::move(labels)));
  }
  return groups;
}

}  // namespace

Status ValidateFilePattern(const std::string& pattern) {
  const auto invalid = [&] {
    return Status(Code::kInvalidArgument,
                  "path name " + model::QuoteString(pattern) + " is not valid for file discovery");
  };
  const size_t star = pattern.find('*');
  if (star != std::string::npos && pattern.find('/', star) != std::string::npos) return invalid();
  for (const char* ending : {".json", ".yml", ".yaml", ".JSON", ".YML", ".YAML"}) {
    if (pattern.ends_with(ending)) return Status::Ok();
  }
  return invalid();
}

Result<std::vector<TargetGroup>> ParseTargetGroups(const std::string& path, std::string_view text) {
  return IsJson(path) ? ParseJsonGroups(path, text) : ParseYamlGroups(path, text);
}

FileProvider::FileProvider(Env* env, FileConfig config) : env_(env), config_(std::move(config)) {}

std::vector<std::string> FileProvider::MatchingFiles() const {
  std::vector<std::string> paths;
  for (const std::string& pattern : config_.files) {
    const std::string name(BaseName(pattern));
    if (name.find_first_of("*?[") == std::string::npos) {
      if (env_->Exists(pattern)) paths.push_back(pattern);
      continue;
    }
    const std::string directory(DirName(pattern));
    const auto entries = env_->ListDir(directory);
    if (!entries) continue;
    for (const std::string& entry : *entries) {
      if (fnmatch(name.c_str(), entry.c_str(), 0) == 0) {
        paths.push_back(pattern.find('/') == std::string::npos ? entry
                                                               : JoinPath(directory, entry));
      }
    }
  }
  std::sort(paths.begin(), paths.end());
  paths.erase(std::unique(paths.begin(), paths.end()), paths.end());
  return paths;
}

bool FileProvider::Refresh(const std::string& path, int64_t now_ms, File* file) {
  const auto info = env_->Stat(path);
  const bool seen = file->read_ms != 0;
  if (seen && info && info->size == file->info.size &&
      info->modified_ms == file->info.modified_ms && now_ms >= file->read_ms &&
      now_ms - file->read_ms < config_.refresh_interval_ms) {
    return false;
  }
  if (info) file->info = *info;
  file->read_ms = now_ms;
  std::string error;
  const auto text = env_->ReadFileUpTo(path, kDiscoveryFileBytesMax);
  auto groups = text ? ParseTargetGroups(path, *text)
                     : Result<std::vector<TargetGroup>>(Error(text.error().Annotate(path)));
  if (!groups) error = groups.error().message();
  if (!error.empty() && error != file->error) {
    LogWarn("discovery", "file not taken over, its last good targets stay",
            {{"file", path}, {"err", error}});
  }
  file->error = error;
  if (!groups || (seen && *groups == file->groups)) return false;
  file->groups = std::move(*groups);
  return true;
}

bool FileProvider::Poll(int64_t now_ms) {
  bool changed = !polled_;
  polled_ = true;
  const std::vector<std::string> paths = MatchingFiles();
  const size_t before = files_.size();
  std::erase_if(files_, [&](const auto& entry) {
    return !std::binary_search(paths.begin(), paths.end(), entry.first);
  });
  changed = changed || files_.size() != before;
  for (const std::string& path : paths) {
    if (Refresh(path, now_ms, &files_[path])) changed = true;
  }
  last_error_.clear();
  for (const auto& [path, file] : files_) {
    if (file.error.empty()) continue;
    if (!last_error_.empty()) last_error_ += '\n';
    last_error_ += file.error;
  }
  if (!changed) return false;
  groups_.clear();
  for (const auto& [path, file] : files_) {
    groups_.insert(groups_.end(), file.groups.begin(), file.groups.end());
  }
  return true;
}

}  // namespace tocsin::discovery
