#include "daemon/tools/progress.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>

#include "base/duration.h"
#include "base/env.h"

namespace tocsin::daemon {
namespace {

constexpr int64_t kRedrawNs = 100'000'000;
constexpr int64_t kLineNs = 10'000'000'000;
constexpr size_t kBarCells = 30;

}  // namespace

Progress::Progress(Env& env, const Console& console, bool terminal)
    : env_(env),
      console_(console),
      terminal_(terminal),
      began_ns_(env.MonotonicNanos()),
      shown_ns_(began_ns_) {}

bool Progress::OnTerminal() { return isatty(STDERR_FILENO) == 1; }

void Progress::Show(std::string_view what, uint64_t done, uint64_t all) {
  const int64_t now = env_.MonotonicNanos();
  if (now - shown_ns_ < (terminal_ ? kRedrawNs : kLineNs)) return;
  shown_ns_ = now;
  const double share =
      all == 0 ? 0 : std::min(1.0, static_cast<double>(done) / static_cast<double>(all));
  std::string left;
  // Guesses from the first moments are worth nothing.
  if (share > 0.02) {
    const double seconds = static_cast<double>(now - began_ns_) / 1e9 * (1 - share) / share;
    left = ", " + FormatDuration(static_cast<int64_t>(seconds) * 1000) + " left";
  }
  if (!terminal_) {
    return console_.err(fmt::format("{}: {:.0f} %{}\n", what, 100 * share, left));
  }
  const auto cells = static_cast<size_t>(share * static_cast<double>(kBarCells));
  std::string bar(cells, '#');
  bar.resize(kBarCells, '.');
  console_.err(fmt::format("\r\x1b[K{} [{}] {:3.0f} %{}", what, bar, 100 * share, left));
  drawn_ = true;
}

void Progress::End() {
  if (drawn_) console_.err("\r\x1b[K");
  drawn_ = false;
}

}  // namespace tocsin::daemon
