#include "base/http/message.h"

#include <algorithm>

#include "base/check.h"

namespace tocsin::http {
namespace {

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

}  // namespace

bool EqualsIgnoreCase(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(),
                                            [](char x, char y) { return Lower(x) == Lower(y); });
}

void Headers::Add(std::string name, std::string value) {
  all_.emplace_back(std::move(name), std::move(value));
}

void Headers::Set(std::string name, std::string value) {
  Remove(name);
  Add(std::move(name), std::move(value));
}

std::string_view Headers::Get(std::string_view name) const {
  for (const auto& [key, value] : all_) {
    if (EqualsIgnoreCase(key, name)) return value;
  }
  return "";
}

bool Headers::Has(std::string_view name) const { return Count(name) > 0; }

size_t Headers::Count(std::string_view name) const {
  return static_cast<size_t>(std::count_if(
      all_.begin(), all_.end(), [&](const auto& h) { return EqualsIgnoreCase(h.first, name); }));
}

std::string Headers::Joined(std::string_view name) const {
  std::string joined;
  for (const auto& [key, value] : all_) {
    if (!EqualsIgnoreCase(key, name)) continue;
    if (!joined.empty()) joined += ", ";
    joined += value;
  }
  return joined;
}

void Headers::Remove(std::string_view name) {
  std::erase_if(all_, [&](const auto& h) { return EqualsIgnoreCase(h.first, name); });
}

ResponseBody::~ResponseBody() { Clear(); }

ResponseBody::ResponseBody(ResponseBody&& other) noexcept { *this = std::move(other); }

ResponseBody& ResponseBody::operator=(ResponseBody&& other) noexcept {
  if (this == &other) return *this;
  Clear();
  budget_ = other.budget_;
  unwanted_ = std::move(other.unwanted_);
  sealed_ = std::move(other.sealed_);
  tail_ = std::move(other.tail_);
  sealed_bytes_ = std::exchange(other.sealed_bytes_, 0);
  charged_bytes_ = std::exchange(other.charged_bytes_, 0);
  overflowed_ = std::exchange(other.overflowed_, false);
  other.sealed_.clear();
  other.tail_.clear();
  return *this;
}

void ResponseBody::Append(std::string_view bytes) {
  while (!bytes.empty()) {
    const size_t room = kPieceBytes > tail_.size() ? kPieceBytes - tail_.size() : 0;
    const size_t taken = std::min(bytes.size(), room);
    tail_.append(bytes.substr(0, taken));
    bytes.remove_prefix(taken);
    MaybeFlush();
  }
}

void ResponseBody::AppendPiece(std::string piece) {
  Flush();
  tail_ = std::move(piece);
  Flush();
}

// The piece is charged when it is complete; what is in tail_ alone is bounded by its producer.
void ResponseBody::Flush() {
  if (tail_.empty()) return;
  const bool unwanted =
      sealed_bytes_ > 0 && unwanted_ != nullptr && unwanted_->load(std::memory_order_relaxed);
  if (overflowed_ || unwanted || (budget_ != nullptr && !budget_->Charge(tail_.size()).ok())) {
    Clear();
    overflowed_ = true;
    return;
  }
  if (budget_ != nullptr) charged_bytes_ += tail_.size();
  sealed_bytes_ += tail_.size();
  sealed_.push_back(std::move(tail_));
  tail_.clear();
}

void ResponseBody::Clear() {
  if (budget_ != nullptr) budget_->Release(charged_bytes_);
  charged_bytes_ = 0;
  sealed_bytes_ = 0;
  sealed_.clear();
  tail_.clear();
}

std::string ResponseBody::ToString() const {
  std::string all;
  all.reserve(size());
  for (const std::string& piece : sealed_) all += piece;
  all += tail_;
  return all;
}

std::string_view ResponseBody::Front() {
  Flush();
  return sealed_.empty() ? std::string_view() : std::string_view(sealed_.front());
}

void ResponseBody::PopFront() {
  CHECK(!sealed_.empty());
  const size_t bytes = sealed_.front().size();
  sealed_.pop_front();
  sealed_bytes_ -= bytes;
  if (budget_ != nullptr) {
    budget_->Release(bytes);
    charged_bytes_ -= bytes;
  }
}

void HttpResponse::SetText(int http_status, std::string text) {
  status = http_status;
  headers.Set("Content-Type", "text/plain; charset=utf-8");
  body.Clear();
  body.AppendPiece(std::move(text));
}

void HttpResponse::SetPlainError(int http_status, std::string_view text) {
  SetText(http_status, std::string(text) + "\n");
  headers.Set("X-Content-Type-Options", "nosniff");
  compressible = false;
}

void HttpResponse::SetRedirect(int http_status, std::string location) {
  status = http_status;
  headers.Set("Location", std::move(location));
  body.Clear();
}

}  // namespace tocsin::http
