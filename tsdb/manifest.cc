#include "tsdb/manifest.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <utility>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/log.h"

namespace tocsin::tsdb {
namespace {

constexpr std::string_view kMagic = "TOCMAN\r\n";
// magic | u32 CRC-32C of the rest | u8 version | 3 zero bytes. Every version begins so.
constexpr size_t kHeaderBytes = 16;
constexpr size_t kVersionAt = 12;
constexpr std::string_view kNames[] = {kManifestFile, kManifestCopyFile};

Status Damaged(std::string_view what) {
  return Status(Code::kCorruption, "manifest: " + std::string(what));
}

bool DecodeSegment(ByteReader* in, Manifest::Segment* segment) {
  const std::string_view id = in->Bytes(segment->id.bytes.size());
  if (!in->ok()) return false;
  std::copy(id.begin(), id.end(), segment->id.bytes.begin());
  segment->name = in->String();
  segment->file_bytes = in->Varint();
  segment->samples = in->Varint();
  segment->range.min_ms = in->SignedVarint();
  segment->range.max_ms = in->SignedVarint();
  return in->ok();
}

}  // namespace

std::string EncodeManifest(const Manifest& manifest) {
  std::string body;
  PutFixed8(body, kManifestFormatVersion);
  body.append(3, '\0');
  PutVarint(body, manifest.sequence);
  PutVarint(body, manifest.commit);
  PutVarint(body, manifest.segments.size());
  for (const Manifest::Segment& segment : manifest.segments) {
    body.append(reinterpret_cast<const char*>(segment.id.bytes.data()), segment.id.bytes.size());
    PutString(body, segment.name);
    PutVarint(body, segment.file_bytes);
    PutVarint(body, segment.samples);
    PutSignedVarint(body, segment.range.min_ms);
    PutSignedVarint(body, segment.range.max_ms);
  }
  PutVarint(body, manifest.tombstones.size());
  for (const auto& tombstone : manifest.tombstones) EncodeTombstone(*tombstone, &body);
  std::string bytes(kMagic);
  PutFixed32(bytes, Crc32c(body));
  return bytes + body;
}

Result<Manifest> DecodeManifest(std::string_view bytes) {
  if (bytes.size() < kHeaderBytes || !bytes.starts_with(kMagic)) {
    return Error(Damaged("no header"));
  }
  const uint32_t crc = LoadFixed<uint32_t>(bytes.data() + kMagic.size());
  if (Crc32c(bytes.substr(kVersionAt)) != crc) return Error(Damaged("checksum"));
  const auto version = static_cast<uint8_t>(bytes[kVersionAt]);
  if (version > kManifestFormatVersion) {
    return Error(Code::kUnimplemented, "manifest: format version " + std::to_string(version) +
                                           ", this program reads up to " +
                                           std::to_string(kManifestFormatVersion));
  }
  Manifest manifest;
  ByteReader in(bytes.substr(kHeaderBytes));
  manifest.sequence = in.Varint();
  manifest.commit = in.Varint();
  const uint64_t segments = in.Varint();
  if (!in.ok() || segments > in.remaining()) return Error(Damaged("segments"));
  for (uint64_t i = 0; i < segments; ++i) {
    if (!DecodeSegment(&in, &manifest.segments.emplace_back())) return Error(Damaged("segments"));
  }
  const uint64_t tombstones = in.Varint();
  if (!in.ok() || tombstones > in.remaining()) return Error(Damaged("deletes"));
  for (uint64_t i = 0; i < tombstones; ++i) {
    auto tombstone = DecodeTombstone(&in);
    if (tombstone == nullptr) return Error(Damaged("deletes"));
    manifest.tombstones.push_back(std::move(tombstone));
  }
  if (!in.ok() || !in.at_end()) return Error(Damaged("end"));
  return manifest;
}

Status WriteManifest(Env& env, const std::string& directory, const Manifest& manifest) {
  const std::string bytes = EncodeManifest(manifest);
  TOCSIN_RETURN_IF_ERROR(env.WriteFileAtomically(JoinPath(directory, kNames[0]), bytes));
  const std::string copy = JoinPath(directory, kNames[1]);
  if (const Status status = env.WriteFileAtomically(copy, bytes); !status.ok())
    LogWarn("tsdb", "the manifest's copy cannot be written", {{"file", copy}, {"err", status}});
  return Status::Ok();
}

Result<StoredManifest> ReadManifest(Env& env, const std::string& directory) {
  StoredManifest stored;
  std::vector<std::string> copies;
  bool any = false;
  std::map<uint64_t, std::shared_ptr<const Tombstone>> tombstones;
  uint64_t commit = 0;
  for (const std::string_view name : kNames) {
    const std::string path = JoinPath(directory, name);
    auto bytes = env.ReadFile(path);
    if (!bytes && bytes.error().code() == Code::kNotFound) continue;
    auto manifest = bytes ? DecodeManifest(*bytes) : Result<Manifest>(Error(bytes.error()));
    if (!manifest) {
      const Code code = manifest.error().code();
      if (code == Code::kUnimplemented || code == Code::kPermissionDenied)
        return Error(manifest.error());
      stored.damaged.push_back({path, manifest.error().message()});
      continue;
    }
    copies.push_back(*std::move(bytes));
    commit = std::max(commit, manifest->commit);
    for (const auto& tombstone : manifest->tombstones) tombstones[tombstone->commit] = tombstone;
    if (!any || manifest->sequence > stored.manifest.sequence)
      stored.manifest = *std::move(manifest);
    any = true;
  }
  stored.whole = copies.size() == std::size(kNames) && copies.front() == copies.back();
  stored.manifest.commit = commit;
  stored.manifest.tombstones.clear();
  for (const auto& [number, tombstone] : tombstones)
    stored.manifest.tombstones.push_back(tombstone);
  return stored;
}

}  // namespace tocsin::tsdb
